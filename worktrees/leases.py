"""A pool of directories that hold an exact tree, are lent to one user at a time, and come back clean.

Where the machine offers layers, a lease is one above an immutable snapshot of a near tree: what differs from it lies in a
layer of its own, what commands write in another, which is thrown away. Elsewhere it is a directory that is kept, compared
file by file when it comes back, and turned from one tree into the next. Several processes share one pool: each directory
has a lock file, and what a crash left unlocked is cleared away by whoever comes next.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Protocol

from filelock import FileLock, Timeout

from worktrees import deltas
from worktrees.checkout import remove
from worktrees.layer import Layer, contents, make_room
from worktrees.levels import layer_trouble
from worktrees.plain import PlainTree
from worktrees.snapshots import BELOW, LEASES, newest, snapshot, touched
from worktrees.views import View

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from worktrees.confinement import Level
    from worktrees.deltas import Delta
    from worktrees.files import Found
    from worktrees.git import Repository

LARGEST = 400
"""Differences from the nearest snapshot beyond which a tree gets a snapshot of its own."""
KEPT = 4
"""Directories of each kind that are kept when nobody uses them."""


class Tree(Protocol):
    """The exact tree in one directory of the pool."""

    @property
    def layer(self) -> Layer | None:
        """What a process has to mount to see the tree; None where it is written out."""

    @property
    def view(self) -> View:
        """The tree as its processes see it now, for those outside."""

    def seal(self) -> None:
        """Count what was brought along until now as a part of the lease."""

    def discard(self, path: str) -> None:
        """Remove the file at the path, as a process in the tree would."""

    def written(self) -> tuple[Found, ...]:
        """List what was written since; what came with the tree is left out as long as it is unchanged."""

    def clean(self) -> bool:
        """Undo what was done since; false where this takes a new lease."""

    def give_back(self) -> None:
        """Leave nothing behind that is not of the tree, or nothing at all."""


@dataclass(kw_only=True)
class LayeredTree:
    repository: Repository
    place: Path
    below: Path
    """The snapshot."""
    _delta: Layer = field(init=False)
    _top: Layer | None = None

    def __post_init__(self) -> None:
        at = self.place / "tree"
        self._delta = Layer(lower=self.below, upper=self.place / "delta", work=self.place / "delta-work", at=at)

    @classmethod
    def make(cls, repository: Repository, tree: str, place: Path) -> LayeredTree:
        """Build the exact tree in a place of which nothing is left."""
        (place / "tree").mkdir(parents=True)
        below, delta = _nearest(repository, tree, place)
        made = cls(repository=repository, place=place, below=below)
        made._delta.make()
        deltas.write_layer(repository, delta, made._delta.upper)
        return made

    @property
    def layer(self) -> Layer:
        return self._top or self._delta

    @property
    def view(self) -> View:
        top = self.layer
        return View((top.upper, *top.between, top.lower))

    def seal(self) -> None:
        self._top = self._fresh()

    def _fresh(self) -> Layer:
        folder, delta = self.place / "top", self._delta
        made = Layer(
            lower=delta.lower, between=(delta.upper,), upper=folder / "upper", work=folder / "work", at=delta.at
        )
        made.make()
        return made

    def written(self) -> tuple[Found, ...]:
        return contents(self.layer).written

    def discard(self, path: str) -> None:
        make_room(self.layer.upper, path)
        if self.view.find(path):
            deltas.whiteout(self.layer.upper / path)

    def clean(self) -> bool:
        remove(self.place / "top")
        self._top = self._fresh()
        return True

    def give_back(self) -> None:
        remove(self.place)


def _nearest(repository: Repository, tree: str, place: Path) -> tuple[Path, Delta]:
    """Give a snapshot that the tree is near to, registered as in use, and what differs from it."""
    worktrees, trees = place.parent.parent, deltas.Trees.of(repository)
    for found in newest(worktrees):
        delta = trees.difference(found.name, tree)
        if delta is not None and len(delta) <= LARGEST and _stand_on(found, place):
            return found, delta
    while True:
        made = snapshot(repository, tree, worktrees)
        if _stand_on(made, place):
            return made, deltas.NOTHING_DIFFERS


def _stand_on(snapshot_: Path, place: Path) -> bool:
    """Register the snapshot as used; false when it was removed meanwhile."""
    (place / BELOW).write_text(str(snapshot_), encoding="utf-8", errors="surrogateescape")
    return touched(snapshot_)


@dataclass(kw_only=True)
class LeasedTree:
    """One directory of the pool, locked for one user."""

    tree: str
    folder: Path
    """Where the tree appears to its processes; with a layer it is empty for everybody else."""
    home: Path
    """For HOME and TMPDIR; not part of the tree."""
    scratch: Path
    """Outside the tree; survives the cleaning between two commands."""
    held: Tree
    lock: FileLock = field(repr=False)

    def give_back(self) -> None:
        """Leave the directory clean to the next user."""
        try:
            self.held.give_back()
            for folder in (self.home, self.scratch):
                remove(folder)
        finally:
            self.lock.release()


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The directories of one repository; any number of processes may have one each."""

    repository: Repository
    worktrees: Path
    """Folder of all trees of the harness, by its real path; snapshots and leases stand below."""
    layered: bool

    @classmethod
    def of(cls, repository: Repository, worktrees: Path, *, level: Level) -> Pool:
        """Choose by a probe what leases are made of here."""
        layered = level == "bubblewrap" and not layer_trouble(worktrees)
        worktrees.mkdir(parents=True, exist_ok=True)
        return cls(repository=repository, worktrees=worktrees.resolve(), layered=layered)

    def take(self, tree: str) -> LeasedTree:
        """Lend a directory that holds exactly this tree, with an empty home and scratch folder."""
        place, lock = self._free()
        with ExitStack() as undo:
            undo.callback(lock.release)
            for name in ("home", "scratch"):
                remove(place / name)
            held: Tree
            if self.layered:
                remove(place)
                held = LayeredTree.make(self.repository, tree, place)
            else:
                held = PlainTree.make(self.repository, tree, place)
            lent = LeasedTree(
                tree=tree,
                folder=place / "tree",
                home=place / "home",
                scratch=place / "scratch",
                held=held,
                lock=lock,
            )
            for folder in (lent.home, lent.scratch):
                folder.mkdir()
            undo.pop_all()
        return lent

    def _free(self) -> tuple[Path, FileLock]:
        """Lock the first directory that nobody uses."""
        folder = self.worktrees / LEASES
        folder.mkdir(exist_ok=True)
        for number in count():
            place = folder / (f"{number}" if self.layered else f"p{number}")  # short: a socket's path has 107 bytes
            if lock := _locked(place):
                return place, lock
        raise AssertionError("there are always more numbers")


def tidy(worktrees: Path) -> None:
    """Clear away what crashes left in directories that nobody uses, and directories beyond those that are kept."""
    for place in _places(worktrees / LEASES):
        if lock := _locked(place):
            try:
                if not place.name.startswith("p") or int(place.name[1:]) >= KEPT:
                    remove(place)
                else:
                    for name in ("home", "scratch"):
                        remove(place / name)
            finally:
                lock.release()


def _places(folder: Path) -> Iterator[Path]:
    return (place for place in folder.glob("*") if place.is_dir() and place.name.removeprefix("p").isdigit())


def _locked(place: Path) -> FileLock | None:
    """Lock a directory of the pool; None when somebody uses it. The lock file stays: another one would be no lock."""
    lock = FileLock(place.with_name(f"{place.name}.lock"), thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock
