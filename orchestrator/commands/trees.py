"""`worktrees ...`: live checkouts, and ordinary ones for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.bench import SESSIONS
from orchestrator.commands.output import say, table
from orchestrator.workspace import Workspace
from tickets.errors import InputError
from worktrees.checkout import ARCHIVE, registered

if TYPE_CHECKING:
    from pathlib import Path


def show_all(repo: Path, *, json: bool) -> int:
    workspace = Workspace.open(repo)
    specs = registered(workspace.repository)
    live = [{"ticket": s.ticket, "attempt": s.attempt, "path": str(s.path), "base": s.base} for s in specs]
    archived = workspace.repository.refs(ARCHIVE)
    rows: list[tuple[str, ...]] = [("live", s.ticket, str(s.attempt), str(s.path)) for s in specs]
    rows += [("archived", *ref.split("/")[-2:], commit[:12]) for ref, commit in archived.items()]
    sessions = sorted(str(path) for path in (workspace.worktrees / SESSIONS).glob("T-*"))
    rows += [("session", "", "", path) for path in sessions]
    data = {"live": live, "archived": archived, "sessions": sessions}
    say(data, lambda: table(rows) or "no checkout, live or archived", as_json=json)
    return 0


def open_tree(repo: Path, ticket: str, *, json: bool) -> int:
    from filelock import FileLock

    workspace = Workspace.open(repo)
    row = workspace.records.ticket(ticket)
    branch = f"tickets/{row.record.slug}"
    path = workspace.worktrees / f"{row.record.slug}-open"
    if workspace.repository.commit(f"refs/heads/{branch}") is None:
        if row.head is None:
            raise InputError(f"{ticket} has nothing to open yet ({row.state})")
        workspace.repository.move(
            f"refs/heads/{branch}", new=row.head, old=None, reason=f"opened for a person: {ticket}"
        )
    if not path.exists():
        # parallel `git worktree add` races with itself, even without tracking
        with FileLock(workspace.state / "worktree-add.lock"):
            workspace.repository.git("worktree", "add", str(path), branch)  # an existing branch: nothing is tracked
    say({"ticket": ticket, "branch": branch, "path": str(path)}, lambda: f"{path} (branch {branch})", as_json=json)
    return 0


def clean(repo: Path, *, json: bool) -> int:
    from orchestrator.runner import exclusively, recover

    workspace = Workspace.open(repo)
    workspace.prepare()
    with exclusively(workspace):
        archived = recover(workspace)
    text = "\n".join(f"archived and removed: {name}" for name in archived) or "nothing was left behind"
    say({"archived": archived}, lambda: text, as_json=json)
    return 0
