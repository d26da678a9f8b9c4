"""A leased tree that is written out: what was done to it is found by its stamps, and undone from git's objects."""

from __future__ import annotations

import json
import os
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from worktrees import deltas, files
from worktrees.checkout import STAMP, TICK_S, remove, write_tree
from worktrees.views import View

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worktrees.deltas import Delta
    from worktrees.git import Repository

OPEN = 0o700
MANIFEST = "manifest"


@dataclass(kw_only=True)
class Sight:
    """What stands in a folder, by its stamps; an edit that leaves them as they were is not possible."""

    files: dict[str, STAMP] = field(default_factory=dict)
    """Everything that is not a folder."""
    folders: dict[str, int] = field(default_factory=dict)
    """With their permissions."""

    def differing(self, now: Sight) -> set[str]:
        """List the files that are not there any more as they were."""
        return {path for path, stamp in self.files.items() if now.files.get(path) != stamp}


def look(folder: Path) -> Sight:
    """Look at everything below the folder; a folder that is closed to its owner is opened for that."""
    seen, todo = Sight(), [""]
    while todo:
        prefix = todo.pop()
        for row in os.scandir(folder / prefix):
            path, status = f"{prefix}{row.name}", row.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                seen.folders[path] = mode = stat.S_IMODE(status.st_mode)
                if mode & OPEN != OPEN:
                    Path(row.path).chmod(OPEN)
                todo.append(f"{path}/")
            else:
                seen.files[path] = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return seen


@dataclass(kw_only=True)
class PlainTree:
    repository: Repository
    tree: str
    place: Path
    _own: Sight
    """The tree itself, without what was brought along."""
    _sealed: Sight | None = None
    layer: None = None

    @classmethod
    def make(cls, repository: Repository, tree: str, place: Path) -> PlainTree:
        """Turn what the place holds into the exact tree; where its state is in doubt, by comparing contents."""
        place.mkdir(exist_ok=True)
        folder = place / "tree"
        known = _taken(place)
        delta = deltas.Trees.of(repository).difference(known[0], tree) if known else None
        if known and delta is not None:
            deltas.write_into(repository, delta, folder)
            own = _followed(known[1], delta, folder)
        else:
            _converge(repository, tree, folder) if folder.is_dir() else write_tree(repository, tree, folder)
            own = look(folder)
        time.sleep(TICK_S)
        return cls(repository=repository, tree=tree, place=place, _own=own)

    @property
    def folder(self) -> Path:
        return self.place / "tree"

    @property
    def view(self) -> View:
        return View((self.folder,))

    def seal(self) -> None:
        self._sealed = look(self.folder)
        time.sleep(TICK_S)

    def discard(self, path: str) -> None:
        (self.folder / path).unlink()

    def written(self) -> tuple[files.Found, ...]:
        expected, now = self._sealed or self._own, look(self.folder)
        paths = (path for path, stamp in now.files.items() if expected.files.get(path) != stamp)
        return tuple(files.found(path, (self.folder / path).lstat()) for path in paths)

    def clean(self) -> bool:
        try:
            return self._restore(self._sealed or self._own)
        except OSError:  # folders too deep for a path, say
            return False

    def give_back(self) -> None:
        try:
            done = self._restore(self._own)
        except OSError:
            done = False
        if done:
            _keep(self.place, self.tree, self._own)
        else:
            remove(self.place)

    def _restore(self, expected: Sight) -> bool:
        """Bring the folder back to what is expected; false where that was not of the tree, so that git does not have it."""
        now = look(self.folder)
        off = expected.differing(now)
        if any(self._own.files.get(path) != expected.files[path] for path in off):
            return False
        _drop(self.folder, now, keeping=expected)
        for path, mode in sorted(expected.folders.items()):  # outer folders before inner ones
            (self.folder / path).mkdir(exist_ok=True)
            if now.folders.get(path) != mode or mode & OPEN != OPEN:
                (self.folder / path).chmod(mode)
        if off:
            entries = {one.path: (one.mode, one.oid) for one in self.repository.entries(self.tree) if one.path in off}
            deltas.write_files(self.repository, entries, self.folder)
            for path in off:
                self._own.files[path] = expected.files[path] = _stamp(self.folder / path)
            time.sleep(TICK_S)
        return True


def _drop(folder: Path, now: Sight, *, keeping: Sight) -> None:
    """Remove what stands there and is not expected."""
    for path in now.files.keys() - keeping.files.keys():
        (folder / path).unlink()
    for path in sorted(now.folders.keys() - keeping.folders.keys(), key=len, reverse=True):
        (folder / path).rmdir()


def _converge(repository: Repository, tree: str, folder: Path) -> None:
    """Turn a folder of unknown content into the tree: what has the right bytes stays."""
    wanted = {one.path: (one.mode, one.oid) for one in repository.entries(tree)}
    parents = {str(parent) for path in wanted for parent in PurePosixPath(path).parents}
    needed = parents | {path for path, (mode, _) in wanted.items() if mode == deltas.SUBMODULE}
    now = look(folder)
    for found in files.walk(folder):
        if found.links == 1 and not found.special and wanted.get(found.path) == _identity(folder, found, tree):
            del wanted[found.path]
        else:
            (folder / found.path).unlink()
    for path in sorted(now.folders.keys() - needed, key=len, reverse=True):
        (folder / path).rmdir()
    usual = stat.S_IMODE(folder.stat().st_mode)
    for path in now.folders.keys() & needed:
        (folder / path).chmod(usual)
    deltas.write_files(repository, wanted, folder)


def _identity(folder: Path, found: files.Found, tree: str) -> tuple[str, str]:
    algorithm = "sha256" if len(tree) == 64 else "sha1"  # noqa: PLR2004 - digits of an id
    return found.mode, files.blob_id(folder, found, algorithm)


def _followed(known: Sight, delta: Delta, folder: Path) -> Sight:
    """Give what stands there now that the delta was written."""
    for path in delta.gone:
        known.files.pop(path, None)
        known.folders.pop(path, None)
    for path, (mode, _) in delta.made.items():
        if mode in {deltas.FOLDER, deltas.SUBMODULE}:
            known.folders[path] = stat.S_IMODE((folder / path).stat().st_mode)
        else:
            known.files[path] = _stamp(folder / path)
    return known


def _stamp(place: Path) -> STAMP:
    status = place.lstat()
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


# the manifest: what stands in a directory that nobody uses; while somebody does there is none, so a crash leaves doubt


def _keep(place: Path, tree: str, sight: Sight) -> None:
    record = {"tree": tree, "boot": _boot(), "files": sight.files, "folders": sight.folders}
    ready = place / f"{MANIFEST}.new"
    ready.write_text(json.dumps(record), encoding="utf-8", errors="surrogateescape")
    ready.replace(place / MANIFEST)


def _taken(place: Path) -> tuple[str, Sight] | None:
    try:
        text = (place / MANIFEST).read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None
    (place / MANIFEST).unlink()
    try:
        record = json.loads(text)
    except ValueError:
        return None
    if record["boot"] != _boot():  # a power cut may have kept the manifest and lost the files
        return None
    stamps: Iterable[tuple[str, list[int]]] = record["files"].items()
    return record["tree"], Sight(files={path: tuple(one) for path, one in stamps}, folders=record["folders"])  # type: ignore[misc]


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except FileNotFoundError:
        return ""
