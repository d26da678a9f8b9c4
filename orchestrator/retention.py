"""`worktrees clean`: what is over moves out of git and out of the logs into the archive; what is there only once stays."""

from __future__ import annotations

import os
import time
from datetime import datetime
from typing import TYPE_CHECKING

from filelock import FileLock

from memory import inventory
from orchestrator.findings import Finding
from tickets.errors import EnvironmentFailure
from tickets.states import State
from worktrees import bundles
from worktrees.archive import empty, trash
from worktrees.checkout import ARCHIVE
from worktrees.packing import SUFFIX, pack, unpack
from worktrees.snapshots import FOLDER as SNAPSHOTS
from worktrees.snapshots import prune
from worktrees.usage import Usage, shown, usage_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.workspace import Workspace

DAY_S = 86400.0
OVER = (State.LANDED, State.ABANDONED, State.REJECTED, State.FAILED)
"""States of tickets whose logs nobody writes to."""
BIGGEST = 3


def retain(workspace: Workspace, *, everything: bool, dry: bool) -> list[Finding]:
    """Archive what is older than the policy keeps it at hand, or everything that is over; `dry` only says what would be done."""
    with _archive(workspace):
        found = [one for step in (_attempts, _logs, _trash) for one in step(workspace, everything=everything, dry=dry)]
    if not dry and (workspace.worktrees / SNAPSHOTS).is_dir():
        prune(workspace.repository, workspace.worktrees)
    return [*found, *_budget(workspace, everything=everything)]


def _archive(workspace: Workspace) -> FileLock:
    """What one process moves in, another one must not bring back meanwhile."""
    return FileLock(workspace.state / "archive.lock")


def _age_s(at: str) -> float:
    return time.time() - datetime.fromisoformat(at).timestamp()


def _due(workspace: Workspace, state: State, *, days: int, everything: bool) -> set[str]:
    since = inventory.over_since(workspace.database, state)
    return {ticket for ticket, at in since.items() if everything or _age_s(at) > days * DAY_S}


# attempts, from git into bundles


def _attempts(workspace: Workspace, *, everything: bool, dry: bool) -> Iterator[Finding]:
    days = workspace.policy.retention.archive_days
    due = _due(workspace, State.LANDED, days=days, everything=everything)
    refs = {ref: one for ref, one in workspace.repository.refs(ARCHIVE).items() if ref.split("/")[-2] in due}
    if not refs:
        return
    subject = f"{len(refs)} attempts of {len({ref.split('/')[-2] for ref in refs})} landed tickets"
    if dry:
        yield Finding(kind="bundle", subject=subject, done="archived", said=f"{subject} would move into a bundle")
        return
    try:
        said = f"{subject} moved into {_bundled(workspace, refs)}; `orchestrate worktrees open T` brings them back"
        yield Finding(kind="bundle", subject=subject, done="archived", said=said)
    except EnvironmentFailure as error:
        yield Finding(kind="bundle", subject=subject, done="stuck", said=f"{subject} stay in git: {error}")


def _bundled(workspace: Workspace, refs: dict[str, str]) -> str:
    """Bundle what is in no bundle yet: a crash may have come before the refs of an earlier one were deleted."""
    repository = workspace.repository
    there = {ref: one for ref, one in bundles.sound(repository).items() if refs.get(ref) == one}
    new = {ref: one for ref, one in refs.items() if ref not in there}
    name = str(bundles.bundle(repository, new, ground=workspace.head()).file) if new else "the bundles that hold them"
    if there:
        bundles.delete(repository, there)
    return name


# logs, compressed


def log_archive(workspace: Workspace, ticket: str) -> Path:
    return workspace.state / bundles.FOLDER / "logs" / f"{ticket}{SUFFIX}"


def _logs(workspace: Workspace, *, everything: bool, dry: bool) -> Iterator[Finding]:
    days = workspace.policy.retention.keep_logs_days
    for state in OVER:
        for ticket in sorted(_due(workspace, state, days=days, everything=everything)):
            folder = workspace.state / "logs" / ticket
            if folder.is_dir() and not folder.is_symlink():
                yield _packed(workspace, ticket, folder, dry=dry)


def _packed(workspace: Workspace, ticket: str, folder: Path, *, dry: bool) -> Finding:
    archive = log_archive(workspace, ticket)
    size = shown(usage_of(folder).bytes)
    if dry:
        return Finding(
            kind="log", subject=ticket, done="packed", said=f"{size} of logs of {ticket} would be compressed"
        )
    try:
        pack(folder, archive)
    except EnvironmentFailure as error:
        return Finding(kind="log", subject=ticket, done="stuck", said=str(error))
    said = f"{size} of logs of {ticket} are {shown(archive.stat().st_size)} in {archive}"
    return Finding(kind="log", subject=ticket, done="packed", said=said)


def bring_back(workspace: Workspace, ticket: str) -> list[str]:
    """Restore a ticket's attempts and logs from the archive; say what came back."""
    archive, folder = log_archive(workspace, ticket), workspace.state / "logs" / ticket
    with _archive(workspace):
        back = bundles.restore(workspace.repository, ticket)
        if archive.is_file():
            unpack(archive, folder)
            archive.unlink()
            back.append(str(folder))
    return back


# what can be had again


def _trash(workspace: Workspace, *, everything: bool, dry: bool) -> Iterator[Finding]:
    days = workspace.policy.retention.archive_days
    for one in trash(workspace.repository, workspace.worktrees):
        due = everything or one.age_s > days * DAY_S
        if one.obstacle:
            said = f"{one.path} stays in the trash: {one.obstacle}; only you can delete it"
            yield Finding(kind="trash", subject=str(one.path), done="kept", said=said)
        elif due:
            gone = "would be deleted" if dry else "was deleted"
            said = f"{one.path} {gone}: git holds all of it"
            if not dry:
                empty([one])
            yield Finding(kind="trash", subject=str(one.path), done="removed", said=said)


# the budget


def _budget(workspace: Workspace, *, everything: bool) -> Iterator[Finding]:
    """Say how much is used, and by what, where it is more than the policy allows."""
    parts = list(_parts(workspace))
    used, budget = sum(one.bytes for one in parts), workspace.policy.retention.disk_mib << 20
    if used <= budget:
        return
    biggest = sorted(parts, key=lambda one: one.bytes, reverse=True)[:BIGGEST]
    named = ", ".join(f"{one.path} ({shown(one.bytes)})" for one in biggest)
    way = "only you can remove these" if everything else "`orchestrate worktrees clean --all` archives whatever is over"
    said = f"{shown(used)} are used, {shown(budget)} are allowed by disk_mib under [retention]; most by {named}; {way}"
    yield Finding(kind="disk", subject=str(workspace.worktrees), done="kept", said=said)


def _parts(workspace: Workspace) -> Iterator[Usage]:
    for place in (workspace.state, workspace.worktrees):
        for row in os.scandir(place) if place.is_dir() else ():
            yield usage_of(place / row.name)
