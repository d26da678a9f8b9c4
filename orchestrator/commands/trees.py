"""`worktrees ...`: live checkouts, ordinary ones for people, and the archive of what is over."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from orchestrator.bench import SESSIONS
from orchestrator.commands.output import say, table
from orchestrator.workspace import Workspace
from tickets.errors import InputError
from worktrees.checkout import ARCHIVE, registered
from worktrees.usage import shown, usage_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY_S, HOUR_S, MINUTE_S = 86400, 3600, 60
OPENED = "-open"
"""Ends the names of the worktrees that people asked for."""


def show_all(repo: Path, *, json: bool) -> int:
    workspace = Workspace.open(repo)
    found = {
        "live": list(_live(workspace)),
        "open": [_sized(path) for path, _ in workspace.repository.worktrees() if path.name.endswith(OPENED)],
        "archived": list(_archived(workspace)),
        "bundles": list(_bundles(workspace)),
        "sessions": [_sized(path) for path in sorted((workspace.worktrees / SESSIONS).glob("T-*"))],
        "trash": list(_trash(workspace)),
    }
    rows = [(kind, *_row(one)) for kind, ones in found.items() for one in ones]
    say(found, lambda: table(rows) or "no checkout, live or archived", as_json=json)
    return 0


def _sized(path: Path) -> dict[str, Any]:
    usage = usage_of(path)
    return {"path": str(path), "bytes": usage.bytes, "age_s": round(usage.age_s)}


def _live(workspace: Workspace) -> Iterator[dict[str, Any]]:
    for spec in registered(workspace.repository):
        about = {"ticket": spec.ticket, "attempt": spec.attempt, "base": spec.base}
        yield {**_sized(spec.written), **about, "path": str(spec.path)}


def _archived(workspace: Workspace) -> Iterator[dict[str, Any]]:
    listing = workspace.repository.git("for-each-ref", "--format=%(refname) %(objectname) %(creatordate:unix)", ARCHIVE)
    for line in listing.text.splitlines():
        ref, commit, at = line.split(" ")
        _, ticket, attempt = ref.rsplit("/", 2)
        age = round(time.time() - int(at or 0))
        yield {
            "ticket": ticket,
            "attempt": int(attempt) if attempt.isdigit() else attempt,
            "commit": commit,
            "age_s": age,
        }


def _bundles(workspace: Workspace) -> Iterator[dict[str, Any]]:
    from worktrees.bundles import bundles

    for one in bundles(workspace.repository):
        yield {**_sized(one.file), "attempts": sorted(one.refs)}


def _trash(workspace: Workspace) -> Iterator[dict[str, Any]]:
    from worktrees.archive import trash

    for one in trash(workspace.repository, workspace.worktrees):
        yield {**_sized(one.path), "obstacle": one.obstacle}


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    size = shown(one["bytes"]) if "bytes" in one else ""
    where = one.get("path") or one["commit"][:12]
    return (one.get("ticket", ""), str(one.get("attempt", "")), size, _age(one["age_s"]), where)


def _age(seconds: float) -> str:
    for unit, length in (("d", DAY_S), ("h", HOUR_S), ("min", MINUTE_S)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def open_tree(repo: Path, ticket: str, *, json: bool) -> int:
    from filelock import FileLock

    from orchestrator.retention import bring_back

    workspace = Workspace.open(repo)
    row = workspace.records.ticket(ticket)
    branch = f"tickets/{row.record.slug}"
    path = workspace.worktrees / f"{row.record.slug}{OPENED}"
    restored = bring_back(workspace, ticket)
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
    lines = [f"{path} (branch {branch})", *(f"restored from the archive: {name}" for name in restored)]
    data = {"ticket": ticket, "branch": branch, "path": str(path), "restored": restored}
    say(data, lambda: "\n".join(lines), as_json=json)
    return 0


def clean(repo: Path, *, json: bool, dry_run: bool = False, everything: bool = False) -> int:
    """Put in order what crashes left behind, then archive what is over; `dry_run` only says what the second would do."""
    from orchestrator.keeping import still_at_work
    from orchestrator.reconcile import recover
    from orchestrator.retention import retain
    from orchestrator.runner import exclusively

    workspace = Workspace.open(repo)
    workspace.prepare()
    with nullcontext() if dry_run else exclusively(workspace):
        found = [] if dry_run else recover(workspace, everything=True)
        found += still_at_work(workspace)
        found += retain(workspace, everything=everything, dry=dry_run)
    archived = [one.subject for one in found if one.kind == "attempt"]
    data = {"archived": archived, "dry_run": dry_run, "found": [asdict(one) for one in found]}
    say(data, lambda: "\n".join(one.said for one in found) or "nothing was left behind", as_json=json)
    return int(any(one.done == "stuck" for one in found))
