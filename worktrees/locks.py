"""What a killed git left behind in the repository: removed on evidence of its owner's death, never by age alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from worktrees.git import Repository

NAMES = ("*.lock", "packed-refs.new")
"""A killed `git pack-refs` leaves `packed-refs.new`, after which every later one fails."""
HALF_OBJECTS = ("tmp_obj_", "tmp_pack_", "tmp_idx_", "tmp_rev_", ".tmp-")
"""How git begins the names of objects and packs that it has not finished."""
SLACK_S = 60.0


def remove_stale(repository: Repository, *, since: float) -> list[str]:
    """Remove locks and half-written objects made since our last journalled step, unless their owner lives; give their paths.

    `since` is in seconds since the epoch. What is older is not ours, and a git at work here may be its owner.
    """
    oldest = since - SLACK_S
    candidates = (*_locks(repository.common), *_half_objects(repository.common / "objects", oldest))
    found = [path for path in candidates if made_at(path) >= oldest]
    if not found or _git_is_at_work(repository):
        return []
    held = held_open(found)
    return [str(path) for path in found if path not in held and _removed(path)]


def _removed(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:  # gone meanwhile, or not ours to remove: the next git says so in its own words
        return False
    return True


def _locks(common: Path) -> Iterator[Path]:
    for folder in (common, common / "worktrees"):
        for name in NAMES:
            yield from folder.glob(name if folder == common else f"*/{name}")
    for place, _, names in os.walk(common / "refs"):
        yield from (Path(place, name) for name in names if name.endswith(".lock"))


def _half_objects(objects: Path, oldest: float) -> Iterator[Path]:
    """Look only where something was made since: a folder bears the time of its newest entry."""
    if not objects.is_dir():
        return
    for row in os.scandir(objects):
        if row.name.startswith(HALF_OBJECTS):
            yield Path(row.path)
        elif row.is_dir(follow_symlinks=False) and row.stat(follow_symlinks=False).st_mtime >= oldest:
            yield from (Path(row.path, name) for name in os.listdir(row.path) if name.startswith(HALF_OBJECTS))  # noqa: PTH208 - names alone are wanted, of thousands of files


def made_at(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0


def _git_is_at_work(repository: Repository) -> bool:
    """Look for a git process that stands in one of the repository's folders or names one on its command line."""
    places = [str(repository.root), str(repository.common), *(str(path) for path, _ in repository.worktrees())]
    for process in psutil.process_iter(["name", "cwd", "cmdline", "environ"]):
        if process.info["name"] == "git":
            facts = process.info
            at = (facts["environ"] or {}).get("GIT_DIR", "")
            if at == str(repository.state / "git"):
                continue  # ours, that reads objects and merges: it never takes a lock of the person's
            words = [facts["cwd"] or "", *(facts["cmdline"] or ()), at]
            if any(word.startswith(place) for word in words for place in places):
                return True
    return False


def held_open(paths: Collection[Path]) -> set[Path]:
    """Give those of the files that some process has open: it is at work on them, whatever its name."""
    wanted, held = {str(path): path for path in paths}, set()
    for process in psutil.process_iter():
        try:
            held |= {wanted[file.path] for file in process.open_files() if file.path in wanted}
        except (psutil.Error, OSError):
            continue  # gone meanwhile, or somebody else's, who could not write here
    return held


def lives(pid: int, *, made: float) -> bool:
    """Say whether the process that wrote its number into the name of a file, made at that time, is still there.

    The system gives numbers to later processes: one that began after the file was made is not its owner.
    """
    try:
        return psutil.Process(pid).create_time() <= made + SLACK_S
    except psutil.Error:
        return False
