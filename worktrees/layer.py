"""The private layer of an attempt: where it stands, and what an agent left in it.

A layer holds only what was written. A deletion is a device 0/0 (a whiteout); a folder that was replaced as a whole
carries an attribute (opaque) and hides all that was below it at the base.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from worktrees import files

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPAQUE = ("user.overlay.opaque", "trusted.overlay.opaque")


@dataclass(frozen=True, kw_only=True)
class Layer:
    lower: Path
    """An immutable snapshot of the start; nobody writes to it while a layer is mounted above."""
    upper: Path
    """What is written goes here."""
    work: Path
    """The kernel's own, on the same file system."""
    at: Path
    """Where the tree appears to its own processes; for everybody else an empty folder."""
    between: tuple[Path, ...] = ()
    """Immutable layers above `lower`, the uppermost first."""

    def make(self) -> None:
        for folder in (self.upper, self.work):
            folder.mkdir(parents=True)


def make_room(upper: Path, path: str) -> None:
    """Have the folders in which the path lies, and nothing at the path: in place of whiteouts where there are any."""
    place = upper / path
    for folder in reversed(place.parents[: len(PurePosixPath(path).parts) - 1]):
        if is_whiteout(folder):
            folder.unlink()
            folder.mkdir()
            os.setxattr(folder, _OPAQUE[0], b"y")  # what was hidden below must stay so
        folder.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a layer holds: what was written, and what hides the tree below."""

    written: tuple[files.Found, ...]
    hiding: frozenset[str]
    """Paths that stand for themselves and for everything that was below them at the base."""

    def hides(self, path: str) -> bool:
        place = PurePosixPath(path)
        return path in self.hiding or any(str(parent) in self.hiding for parent in place.parents)


def contents(layer: Layer) -> Contents:
    """Read a layer that nobody is writing to any more."""
    written, hiding = [], set[str]()
    for found in files.walk(layer.upper):
        hiding.add(found.path)  # a file hides a folder of its name, too
        if not is_whiteout(layer.upper / found.path):
            written.append(found)
    hiding.update(_opaque(layer.upper))  # now that every folder has been opened
    return Contents(written=tuple(written), hiding=frozenset(hiding))


def is_whiteout(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _opaque(upper: Path) -> Iterator[str]:
    todo = [""]  # no recursion: an agent can make folders deeper than that goes
    while todo:
        prefix = todo.pop()
        try:
            names = [row.name for row in os.scandir(upper / prefix) if row.is_dir(follow_symlinks=False)]
        except OSError:  # named as unreadable by the walk over the files
            continue
        for path in (f"{prefix}{name}" for name in names):
            todo.append(f"{path}/")
            if is_opaque(upper / path):
                yield path


def is_opaque(folder: Path) -> bool:
    for name in _OPAQUE:
        try:
            if os.getxattr(folder, name) == b"y":
                return True
        except OSError:  # it has none, or the file system knows no such attributes
            continue
    return False
