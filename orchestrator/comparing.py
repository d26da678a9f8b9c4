"""Refs and records compared both ways: a ref that nobody recorded, and a record whose ref is gone."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from memory import inventory
from orchestrator.findings import Finding
from worktrees.archive import RESCUED
from worktrees.bundles import bundled
from worktrees.checkout import ARCHIVE
from worktrees.git import GitError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.workspace import Workspace

BRANCHES = "refs/heads/tickets"
ARCHIVED = frozenset({"captured", "passed", "refused", "failed", "conflict", "inconclusive"})
"""States of attempts whose work was archived before they got there."""
LOOSE = 256
"""So many refs of attempts in files of their own are packed into one: git reads each of them at every look."""


def compare(workspace: Workspace) -> Iterator[Finding]:
    yield from _pack(workspace)
    yield from _attempts(workspace)
    yield from _branches(workspace)
    yield from _landings(workspace)


def _pack(workspace: Workspace) -> Iterator[Finding]:
    loose = _loose(workspace.repository.common / ARCHIVE)
    if loose <= LOOSE:
        return
    try:
        workspace.repository.git("pack-refs", "--all")
    except GitError:
        return  # they stay as they are until the next time, and harm nobody
    said = f"{loose} refs of attempts were packed into one file, as `git gc` does it"
    yield Finding(kind="ref", subject=ARCHIVE, done="packed", said=said)


def _loose(folder: Path) -> int:
    return len(os.listdir(folder)) if folder.is_dir() else 0  # noqa: PTH208 - one name for each ticket; only their number is wanted


def _below(workspace: Workspace, prefix: str) -> set[str]:
    """Give the names of the refs below the prefix, which has three parts, without it."""
    answer = workspace.repository.git("for-each-ref", "--format=%(refname:lstrip=3)", prefix)
    return set(answer.text.splitlines())


def _attempts(workspace: Workspace) -> Iterator[Finding]:
    there, known = _below(workspace, ARCHIVE), inventory.attempt_names(workspace.database)
    for name in sorted(there - known):
        said = f"{ARCHIVE}/{name} belongs to no attempt that is recorded; it was kept"
        yield Finding(kind="ref", subject=f"{ARCHIVE}/{name}", done="kept", said=said)
    # what other machines made is in their repositories
    missing: set[str] = set() if workspace.policy.state.database_url else known - there
    if missing:
        missing -= {ref.removeprefix(f"{ARCHIVE}/") for ref in bundled(workspace.repository)}
    states = inventory.states_of_attempts(workspace.database, missing)
    for name in sorted(name for name, state in states.items() if state in ARCHIVED):
        said = f"{ARCHIVE}/{name} is recorded, and neither there nor in a bundle: what that attempt wrote may be lost"
        yield Finding(kind="record", subject=f"{ARCHIVE}/{name}", done="kept", said=said)


def _branches(workspace: Workspace) -> Iterator[Finding]:
    named = {name: re.match(r"t-(\d+)", name) for name in _below(workspace, BRANCHES)}
    tickets = inventory.ticket_ids(workspace.database) if named else set()
    for name in sorted(name for name, number in named.items() if not number or f"T-{number[1]}" not in tickets):
        said = f"the branch tickets/{name} belongs to no ticket that is recorded; it was kept"
        yield Finding(kind="ref", subject=f"{BRANCHES}/{name}", done="kept", said=said)


def _landings(workspace: Workspace) -> Iterator[Finding]:
    target = workspace.policy.project.target
    head = workspace.repository.commit(f"refs/heads/{target}")
    if head is None:
        return
    under_way = inventory.tickets_in(workspace.database, "landing")
    newest = {one.ticket: one.new for one in inventory.intended(workspace.database, under_way)}
    for ticket, new in newest.items():
        if workspace.repository.is_ancestor(new, head):
            said = f"{target} had moved to {new[:12]} for {ticket} when the run was interrupted; the next run records it as landed"
            yield Finding(kind="record", subject=f"{ticket} {new}", done="kept", said=said)
    yield from _rewound(workspace, head)


def _rewound(workspace: Workspace, head: str) -> Iterator[Finding]:
    """Keep the newest landing reachable where somebody moved the target back behind it."""
    last, target = inventory.last_landing(workspace.database), workspace.policy.project.target
    elsewhere = bool(
        workspace.policy.state.database_url
    )  # it may have landed on another machine, and not be fetched yet
    if last is None or elsewhere or last.new == head or workspace.repository.is_ancestor(last.new, head):
        return
    ref = f"{RESCUED}/landing-{last.ticket}-{last.new[:12]}"
    if workspace.repository.commit(last.new) is None:
        said = f"{last.new}, which landed for {last.ticket}, is not in this repository any more"
    else:
        if workspace.repository.commit(ref) is None:
            workspace.repository.move(ref, new=last.new, old=None, reason="no longer on the target")
        said = f"{target} no longer holds {last.new[:12]}, which landed for {last.ticket}; it is kept as {ref}"
    yield Finding(kind="record", subject=f"{last.ticket} {last.new}", done="kept", said=said)
