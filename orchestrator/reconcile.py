"""Recovery at the start of every run: what is there is compared with what the records say, put in order, and told.

Nothing is deleted that is not archived, repeating it changes nothing, and where there is nothing to do it costs milliseconds.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from memory.events import About
from orchestrator.comparing import compare
from orchestrator.findings import Finding
from tickets.errors import EnvironmentFailure
from worktrees.archive import TRASH, put_away
from worktrees.checkout import registered
from worktrees.durable import write_durably
from worktrees.leases import tidy
from worktrees.leftovers import remove_half_made
from worktrees.locks import remove_stale
from worktrees.torn import FOLDER as TORN
from worktrees.torn import put_aside, refs_put_aside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.workspace import Workspace

HOMES = ".homes"
TOLD = "recovered.json"
_QUIET = {"kept", "stuck"}
"""What stays as it is would be found at every start."""


def recover(workspace: Workspace, *, everything: bool = False) -> list[Finding]:
    """Put in order what a crash left behind, and say it; what is only kept is told once, or each time where `everything` is wanted."""
    mended = workspace.database.check()
    found = [Finding(kind="log", subject="journal", done="settled", said=mended)] if mended else []
    found += [*_processes(workspace), *_leftovers(workspace), *_attempts(workspace), *_strangers(workspace)]
    found += compare(workspace)
    news = _news(workspace, found)
    if news:
        names = {kind: [one.subject for one in news if one.kind == kind] for kind in ("attempt", "lock")}
        told = [asdict(one) for one in news]
        data = {
            "archived": names["attempt"],
            "locks": names["lock"],
            "said": [one.pop("said") for one in told],
            "found": told,
        }
        workspace.records.note("runner.recovered", About(), data)
    return found if everything else news


def _news(workspace: Workspace, found: list[Finding]) -> list[Finding]:
    """Leave out what was found, kept and told before."""
    place = workspace.state / TOLD
    before = set(json.loads(place.read_text(encoding="utf-8"))) if place.is_file() else set()
    kept = {f"{one.kind} {one.subject}" for one in found if one.done in _QUIET}
    if kept != before:
        write_durably(place, json.dumps(sorted(kept)).encode())
    return [one for one in found if one.done not in _QUIET or f"{one.kind} {one.subject}" not in before]


# processes


def _processes(workspace: Workspace) -> Iterator[Finding]:
    """End what an agent started and nobody supervises any more: it would go on writing while its tree is archived."""
    homes = workspace.worktrees / HOMES
    if not homes.is_dir() or not any(homes.iterdir()):
        return
    for process in psutil.process_iter(["environ", "ppid"]):
        home = (process.info["environ"] or {}).get("HOME", "")
        if home.startswith(f"{homes}/") and not _supervised(process) and _ended(process):
            said = f"process {process.pid} of {_inside(home, homes)} had outlived its supervisor; it was ended"
            yield Finding(kind="process", subject=str(process.pid), done="ended", said=said)


def _ended(process: psutil.Process) -> bool:
    try:
        process.kill()
    except psutil.Error:
        return False  # gone meanwhile
    return True


def _inside(home: str, homes: Path) -> str:
    return Path(home).relative_to(homes).parts[0]


def _supervised(process: psutil.Process) -> bool:
    try:
        return any(_is_supervisor(parent) for parent in process.parents())
    except psutil.Error:
        return True  # gone meanwhile


def _is_supervisor(process: psutil.Process) -> bool:
    return any(word.endswith("worktrees/supervisor.py") for word in process.cmdline())


# files of git and of our own


def _leftovers(workspace: Workspace) -> Iterator[Finding]:
    for lock in remove_stale(workspace.repository, since=_last_step(workspace)):
        said = f"{_shown(workspace, lock)} was left behind by a git that was killed; it was removed"
        yield Finding(kind="lock", subject=lock, done="removed", said=said)
    since, place = _last_step(workspace), f"{workspace.policy.state.dir}/{TORN}"
    for name in (*put_aside(workspace.repository, since=since), *refs_put_aside(workspace.repository, since=since)):
        said = f"{'' if '/' in name else 'object '}{name} was torn by a power cut; what is left of it is in {place}"
        yield Finding(kind="object", subject=name, done="removed", said=said)
    tidy(workspace.worktrees)
    for path in remove_half_made(workspace.repository, workspace.worktrees):
        said = f"{_shown(workspace, path)} was never finished, and whoever wrote it is gone; it was removed"
        yield Finding(kind="half-made", subject=path, done="removed", said=said)


def _last_step(workspace: Workspace) -> float:
    """Give the time of the last event: a lock older than our last crash can only be somebody else's."""
    row = workspace.database.connection().execute("SELECT at FROM events ORDER BY seq DESC LIMIT 1").fetchone()
    return datetime.fromisoformat(row["at"]).timestamp() if row else time.time()


def _shown(workspace: Workspace, path: str) -> str:
    return os.path.relpath(path, workspace.root.parent)


# attempts and their money


def _attempts(workspace: Workspace) -> Iterator[Finding]:
    from orchestrator.keeping import rescue
    from orchestrator.money.purse import recover as settle_what_was_left

    yield from rescue(workspace)
    if settled := settle_what_was_left(workspace):
        said = f"{settled} reservations of runs that are gone were settled with what they had used"
        yield Finding(kind="money", subject=str(settled), done="settled", said=said)


# folders that nobody knows


def _strangers(workspace: Workspace) -> Iterator[Finding]:
    """Archive and put away what stands among our trees and is neither ours nor a person's worktree."""
    for path in (*_unknown(workspace), *_layers(workspace)) if workspace.worktrees.is_dir() else ():
        if (path / ".git").exists():
            said = f"{_quoted(workspace, path)} holds a git repository of its own that nobody here knows; it was left alone"
            yield Finding(kind="folder", subject=str(path), done="kept", said=said)
        else:
            yield _put_away(workspace, path)


def _put_away(workspace: Workspace, path: Path) -> Finding:
    shown = _quoted(workspace, path)
    try:
        rescued = put_away(workspace.repository, path, worktrees=workspace.worktrees)
    except EnvironmentFailure as error:
        return Finding(kind="folder", subject=str(path), done="stuck", said=f"nobody knows {shown}: {error}")
    archived = f"archived as {rescued.ref} and " if rescued.ref else ""
    more = f"; {len(rescued.left_out)} of its entries are in no commit and stay there" if rescued.left_out else ""
    said = f"nobody knew {shown}; it was {archived}moved to {TRASH}/{rescued.trash.name}{more}"
    return Finding(kind="folder", subject=str(path), done="archived", said=said)


def _quoted(workspace: Workspace, path: Path) -> str:
    return repr(_shown(workspace, str(path)))


def _unknown(workspace: Workspace) -> list[Path]:
    place = workspace.worktrees
    own = place == workspace.root.with_name(f"{workspace.root.name}-wt")
    known = {spec.path for spec in registered(workspace.repository)}
    # in a folder that the configuration names, others may keep things of theirs
    found = [one for one in place.iterdir() if not one.name.startswith(".") and (own or _is_our_name(one.name))]
    found = [one for one in found if one not in known]
    persons = {path for path, _ in workspace.repository.worktrees()} if found else set()
    return sorted(one for one in found if one not in persons)


def _is_our_name(name: str) -> bool:
    letter, _, rest = name.partition("-")
    return letter == "t" and rest.partition("-")[0].isdigit()


def _layers(workspace: Workspace) -> list[Path]:
    """List what agents wrote into layers of trees that are no longer registered."""
    known = {spec.written for spec in registered(workspace.repository) if spec.layer}
    found = (workspace.worktrees / HOMES).glob("*.layer/upper")
    return sorted(one for one in found if one not in known and not one.is_symlink())
