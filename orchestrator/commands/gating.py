"""`gate`: the gates on the current tree, without any feature."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.commands.output import say
from orchestrator.workspace import Workspace
from tickets.errors import InputError
from tickets.files import read as read_ticket
from worktrees.git import call, checked, environment

if TYPE_CHECKING:
    from tickets.model import Ticket
    from worktrees.changes import ChangeSet

EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 4}


@dataclass(frozen=True)
class Kept:
    """Verdicts of one call; a tree on somebody's disk is judged anew each time it is asked about."""

    values: dict[str, dict[str, object]]

    def get(self, key: str) -> dict[str, object] | None:
        return self.values.get(key)

    def put(self, key: str, value: dict[str, object]) -> None:
        self.values[key] = value


def gate(repo: Path, worktree: Path, *, base: str | None, ticket: str | None, json: bool) -> int:
    from gates import reports
    from gates.catalogue import catalogue
    from gates.protocol import Case
    from gates.runner import judge
    from orchestrator.judging import workshop

    where = worktree if worktree != Path() else repo
    workspace = Workspace.open(where)
    workspace.prepare()
    record = _ticket(workspace, ticket)
    start = _base(workspace, base)
    change = snapshot(workspace, start)
    logs = workspace.state / "logs" / "gate" / str(os.getpid())
    with workshop(workspace, start, logs=logs) as place:
        case = Case(
            ticket=record,
            policy=workspace.policy_at(start),
            repository=workspace.repository,
            change=change,
            stage="worktree",
            workshop=place,
            store=Kept({}),
        )
        report = reports.build(case, judge(case, catalogue()))
    say(report, lambda: reports.render_text(report), as_json=json)
    return EXIT_CODES[report["verdict"]]


def _ticket(workspace: Workspace, named: str | None) -> Ticket | None:
    if named is None:
        return None
    if named.startswith("T-"):
        return workspace.records.ticket(named).record
    file = Path(named)
    if not file.is_file():
        raise InputError(f"--ticket is the id of a ticket or a ticket file, not {named!r}")
    return read_ticket(file.read_text(encoding="utf-8"), str(file))


def _base(workspace: Workspace, named: str | None) -> str:
    repository = workspace.repository
    if named is not None:
        commit = repository.commit(named)
        if commit is None:
            raise InputError(f"--base is a revision of this repository, not {named!r}")
        return commit
    head = workspace.head()
    here = _here(workspace, "rev-parse", "HEAD")
    return repository.plumb("merge-base", head, here).text


def _here(workspace: Workspace, *arguments: str, env: dict[str, str] | None = None) -> str:
    """Ask git about the person's own worktree that the command was called for; it may be a linked one."""
    answer = call(arguments, cwd=workspace.repository.here, env=environment(env))
    return checked(arguments, answer).text


def snapshot(workspace: Workspace, base: str) -> ChangeSet:
    """Take the worktree as it is, untracked files included, as a commit that no ref names; its index stays as it is."""
    from worktrees.changes import between
    from worktrees.merge import commit_tree

    with tempfile.TemporaryDirectory(dir=workspace.state, prefix=f"index-{os.getpid()}-") as scratch:
        index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        _here(workspace, "read-tree", "HEAD", env=index)
        _here(workspace, "add", "--all", env=index)  # the state folder is ignored: `prepare` sees to it
        tree = _here(workspace, "write-tree", env=index)
    head = _here(workspace, "rev-parse", "HEAD")
    commit = commit_tree(workspace.repository, tree, parents=(head,), message="snapshot for the gates\n")
    return between(workspace.repository, base, commit)
