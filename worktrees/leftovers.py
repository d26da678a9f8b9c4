"""What a killed harness left half-made in its own folders: removed once the process that made it is gone."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from worktrees.checkout import remove
from worktrees.locks import lives, made_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from worktrees.git import Repository

PLACES = ("", "checkouts", "reports", "archive", "archive/logs", "git", "git/info")
"""Folders of the state that files are written into."""
_FILES = (
    re.compile(r"\..+\.(?P<pid>\d+)-\d+\.tmp"),  # written beside its place, then renamed
    re.compile(r".+\.(?P<pid>\d+)\.tmp"),
    re.compile(r"(?:index|rules)-(?P<pid>\d+)-.+"),
)
_TREES = (re.compile(r"\..+\.[a-z0-9_]{8}\.gone"),)
"""A folder that was archived, or can be had again from git, and was being deleted. Snapshots and leases are tidied where they are made."""


def remove_half_made(repository: Repository, worktrees: Path) -> list[str]:
    """Remove files and folders that their makers, gone now, did not finish; give their paths."""
    gone = []
    files, trees = _in(repository.state, PLACES, _FILES), _in(worktrees, ("",), _TREES)
    for path, owner in (*files, *trees):
        if not owner or not lives(owner, made=made_at(path)):
            remove(path)
            gone.append(str(path))
    return gone


def _in(root: Path, folders: tuple[str, ...], shapes: tuple[re.Pattern[str], ...]) -> Iterator[tuple[Path, int]]:
    """Give what is half-made with the process that its name tells; 0 where it tells none."""
    for folder in folders:
        place = root / folder
        for name in os.listdir(place) if place.is_dir() else ():  # noqa: PTH208 - thousands of names, few paths
            if match := next(filter(None, (shape.fullmatch(name) for shape in shapes)), None):
                yield place / name, int(match.groupdict().get("pid") or 0)
