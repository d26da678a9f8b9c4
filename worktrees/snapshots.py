"""Immutable trees on disk, written once and shared: what layers stand on."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from worktrees.checkout import registered, remove, write_tree

if TYPE_CHECKING:
    from pathlib import Path

    from worktrees.git import Repository

FOLDER = ".snapshots"
KEPT = 3
"""Unused ones that are kept: the next attempt most often starts from the newest."""
RECENT_S = 60.0
"""One that was used just now may be about to get a layer, and is never removed."""


def snapshot(repository: Repository, tree: str, worktrees: Path) -> Path:
    """Give the folder that holds exactly this tree; nobody may write there."""
    place = worktrees / FOLDER / tree
    if place.is_dir():
        os.utime(place)
        return place
    making = place.with_name(f".{tree}.{os.getpid()}.{time.monotonic_ns()}")
    write_tree(repository, tree, making)
    try:
        making.rename(place)
    except OSError:  # somebody else was faster: theirs holds the same
        remove(making)
        if not place.is_dir():
            raise
    prune(repository, worktrees)
    return place


def prune(repository: Repository, worktrees: Path) -> None:
    """Remove snapshots that no layer stands on, but for the newest."""
    used = {spec.snapshot for spec in registered(repository)}
    found = [place for place in (worktrees / FOLDER).iterdir() if str(place) not in used]
    ages = {place: time.time() - place.stat().st_mtime for place in found if place.is_dir()}
    for place in sorted(ages, key=lambda one: ages[one])[KEPT:]:
        if ages[place] > RECENT_S:
            remove(place)
