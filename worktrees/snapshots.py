"""Immutable trees on disk, written once and shared: what layers stand on."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
from filelock import FileLock

from worktrees.checkout import registered, remove, write_tree
from worktrees.durable import sync

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from worktrees.git import Repository

FOLDER, LEASES = ".snapshots", ".leases"
BELOW = "below"
"""File of a lease that names the snapshot it stands on."""
KEPT = 3
"""Unused ones that are kept: the next tree is most often near the newest."""
RECENT_S = 60.0
"""One that was used just now may be about to get a layer, and is never removed."""


def snapshot(repository: Repository, tree: str, worktrees: Path) -> Path:
    """Give the folder that holds exactly this tree; nobody may write there."""
    place = worktrees / FOLDER / tree
    if touched(place):
        return place
    making = place.with_name(f".{tree}.{os.getpid()}.{time.monotonic_ns()}")
    write_tree(repository, tree, making)
    sync(making)  # after a power cut its name must not stand for files that never reached the disk
    try:
        making.rename(place)
    except OSError:  # somebody else was faster: theirs holds the same
        remove(making)
        if not place.is_dir():
            raise
    prune(repository, worktrees)
    return place


def touched(place: Path) -> bool:
    """Keep a snapshot from being removed for a while; false where there is none."""
    try:
        with _lock(place.parent):
            os.utime(place)
    except FileNotFoundError:
        return False
    return True


def newest(worktrees: Path) -> list[Path]:
    """List the snapshots, the one that was used last first."""
    return sorted(_complete(worktrees / FOLDER), key=_age)


def prune(repository: Repository, worktrees: Path) -> None:
    """Remove snapshots that no layer stands on, but for the newest, and what crashes left half made."""
    folder = worktrees / FOLDER
    used = {spec.snapshot for spec in registered(repository)} | set(_leased(worktrees))
    aside = [place for place in folder.glob(".*") if _left_behind(place)]
    with _lock(folder):
        unused = [place for place in newest(worktrees) if str(place) not in used]
        old = [place for place in unused[KEPT:] if _age(place) > RECENT_S]
        aside += [place.rename(place.with_name(f".{place.name}.{os.getpid()}.{time.monotonic_ns()}")) for place in old]
    for place in aside:
        with suppress(FileNotFoundError):  # somebody else removes the same
            remove(place)


def _lock(folder: Path) -> FileLock:
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "lock")


def _complete(folder: Path) -> Iterator[Path]:
    return (place for place in folder.glob("[!.]*") if place.is_dir())


def _age(place: Path) -> float:
    try:
        return time.time() - place.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _leased(worktrees: Path) -> Iterator[str]:
    for file in (worktrees / LEASES).glob(f"*/{BELOW}"):
        with suppress(FileNotFoundError):
            yield file.read_text(encoding="utf-8", errors="surrogateescape")


def _left_behind(place: Path) -> bool:
    """Say whether the process that was making it is gone; its number is the last but one part of the name."""
    number = place.name.split(".")[-2]
    return place.is_dir() and (not number.isdigit() or not psutil.pid_exists(int(number)))
