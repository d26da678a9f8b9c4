"""A tree that lies in layers, looked at from outside: what its own processes see merged is put together here."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from worktrees import files
from worktrees.layer import is_opaque, is_whiteout

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_LINKS = 40
"""As many as the kernel follows for one path."""


@dataclass(frozen=True)
class View:
    """Layers of one tree, the uppermost first; a tree that is written out is one layer."""

    layers: tuple[Path, ...]

    def find(self, path: str) -> Path | None:
        """Say where the thing at the path stands; no link is followed on the way. None where nothing is."""
        parent, name = PurePosixPath(path).parent, PurePosixPath(path).name
        if not name:
            return self.layers[0]
        seen = _seen([folder / name for folder in self._folders(str(parent))])
        return seen[0] if seen else None

    def _folders(self, path: str) -> Sequence[Path]:
        """Give the folders that the layers show merged at the path; none where there is no folder."""
        here: Sequence[Path] = self.layers
        for part in PurePosixPath(path).parts:
            here = _seen([folder / part for folder in here])
            if not here or not _is_folder(here[0]):
                return ()
        return here

    def is_folder(self, path: str) -> bool:
        place = self.find(path)
        return place is not None and _is_folder(place)

    def is_file(self, path: str) -> bool:
        """Say whether a regular file is at the path itself."""
        place = self.find(path)
        return place is not None and stat.S_ISREG(place.lstat().st_mode)

    def names(self, path: str) -> list[str]:
        """List what is directly in the folder, sorted; nothing where there is no folder."""
        folders = self._folders(path)
        found = sorted({name for folder in folders for name in os.listdir(folder)})  # noqa: PTH208 - names only
        return [name for name in found if _seen([folder / name for folder in folders])]

    def resolve(self, path: str, *, at: Path) -> str | None:
        """Follow links as a process would that has the tree at `at`; None where that leads nowhere, or out of the tree."""
        todo, done, links = list(reversed(PurePosixPath(path).parts)), list[str](), 0
        while todo:
            part = todo.pop()
            if part == "..":
                if not done:
                    return None
                done.pop()
                continue
            place = self.find("/".join((*done, part)))
            if place is None or links > MOST_LINKS:
                return None
            if not place.is_symlink():
                done.append(part)
                continue
            links += 1
            target = place.readlink()
            if target.is_absolute():
                if not target.is_relative_to(at):
                    return None
                done, target = [], target.relative_to(at)
            todo += reversed(target.parts)
        return "/".join(done)

    def leads_to_folder(self, path: str, *, at: Path) -> bool:
        real = self.resolve(path, at=at)
        return real is not None and self.is_folder(real)

    def walk(self) -> Iterator[files.Found]:
        """Yield everything that is not a folder, as `files.walk` does for one layer."""
        todo: list[tuple[str, Sequence[Path]]] = [("", self.layers)]
        while todo:
            prefix, folders = todo.pop()
            if len(folders) == 1:
                found = (replace(one, path=f"{prefix}{one.path}") for one in files.walk(folders[0]))
                yield from found if len(self.layers) == 1 else self._without_whiteouts(found)
                continue
            for name in sorted({name for folder in folders for name in os.listdir(folder)}):  # noqa: PTH208 - names only
                seen = _seen([folder / name for folder in folders])
                if seen and _is_folder(seen[0]):
                    todo.append((f"{prefix}{name}/", seen))
                elif seen:
                    yield files.found(f"{prefix}{name}", seen[0].lstat())

    def _without_whiteouts(self, found: Iterator[files.Found]) -> Iterator[files.Found]:
        for one in found:
            if one.mode != "device" or self.find(one.path):
                yield one


def _seen(places: Sequence[Path]) -> list[Path]:
    """Give what the layers show of one name: one thing, or the folders that are merged."""
    seen: list[Path] = []
    for place in places:
        try:
            mode = place.lstat().st_mode
        except OSError:
            continue
        if stat.S_ISDIR(mode):
            seen.append(place)
            if is_opaque(place):
                break
        else:
            return seen or ([] if is_whiteout(place) else [place])
    return seen


def _is_folder(place: Path) -> bool:
    try:
        return stat.S_ISDIR(place.lstat().st_mode)
    except OSError:
        return False
