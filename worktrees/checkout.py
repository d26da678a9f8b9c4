"""A tree on disk as a context manager: written from git objects, registered, archived before it is removed.

No `.git` is in sight and no `git worktree add` is involved: that command shares a lock and a registry with
every other one, fails under load, and hands the agent a repository. See docs/decisions.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from tickets.errors import EnvironmentFailure
from worktrees import files
from worktrees.layer import Layer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from worktrees.git import Repository

ARCHIVE = "refs/orchestrate/attempts"
STAMP = tuple[int, int, int, int]
TICK_S = 0.02
"""More than a tick of the clock of file systems: what is changed a tick after its stamp was taken bears another one."""


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """An attempt's tree: where it stands and what it was written from."""

    ticket: str
    attempt: int
    base: str
    """The recorded base commit; every change is computed against it."""
    start: str
    """The commit whose tree was written: the base, or what the attempt before left."""
    subject: str = "attempt"
    """What commits of this attempt say in their first line."""
    path: Path
    home: Path
    """HOME and TMPDIR of the agent stand below; not part of the tree."""
    owner: int
    """Process id of the harness that made it."""
    snapshot: str = ""
    """Folder that holds the start's tree, where the attempt's tree is a layer above it; empty where it is written out."""

    @property
    def layer(self) -> Layer | None:
        if not self.snapshot:
            return None
        place = self.home.with_name(f"{self.home.name}.layer")
        return Layer(lower=Path(self.snapshot), upper=place / "upper", work=place / "work", at=self.path)

    @property
    def contents(self) -> Path:
        """Where the harness sees what is in the tree at its start; a layer shows itself to its own processes only."""
        return Path(self.snapshot) if self.snapshot else self.path

    @property
    def written(self) -> Path:
        """Where the harness finds, and puts, what is written."""
        return self.layer.upper if self.layer else self.path


def folder_of_worktrees(repository: Repository, configured: str) -> Path:
    if configured:
        return (repository.root / configured).resolve()
    return repository.root.with_name(f"{repository.root.name}-wt")


def write_tree(repository: Repository, tree: str, folder: Path) -> dict[str, STAMP]:
    """Write the exact tree into the empty folder, byte for byte; give the file system's stamp of each file."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=repository.state, prefix="index-") as scratch:
        index = {"GIT_INDEX_FILE": str(Path(scratch) / "index"), "GIT_WORK_TREE": str(folder)}
        try:
            repository.plumb("read-tree", tree, env=index)
            repository.plumb("checkout-index", "--all", "--quiet", f"--prefix={folder}/", env=index)
        except OSError as error:
            raise EnvironmentFailure(f"{folder} could not be written: {error}") from error
    return {entry.path: entry.stamp for entry in files.walk(folder)}


@contextmanager
def checkout(repository: Repository, spec: Checkout, prepare: Callable[[], None] = lambda: None) -> Iterator[Checkout]:
    """Make the tree of an attempt, hand it out, and remove it once it is archived; a crash leaves it registered.

    `prepare` brings along what git does not keep; what it adds is not the attempt's change.
    """
    make(repository, spec, prepare)
    yield spec
    # reached only when nothing failed: a tree that could not be archived stays on disk and in the register
    discard(repository, spec)


def make(repository: Repository, spec: Checkout, prepare: Callable[[], None] = lambda: None) -> None:
    """Write and register the tree; what stood there is a registered leftover, archived by `recover` before."""
    spec.path.parent.mkdir(parents=True, exist_ok=True)
    spec.home.mkdir(parents=True, exist_ok=True)
    register(repository, spec, stamps={})
    try:
        spec.path.mkdir()
    except FileExistsError as error:
        # what stands there is not ours: nobody may take it for the leftover of this attempt and clear it away
        _register_file(repository, spec).unlink()
        raise EnvironmentFailure(f"{spec.path} stands in the way; `orchestrate worktrees clean` archives it") from error
    if spec.layer:
        spec.layer.make()
        prepare()
        stamps = {entry.path: entry.stamp for entry in files.walk(spec.written)}
    else:
        stamps = write_tree(repository, repository.tree(spec.start), spec.path)
        prepare()
        stamps = {entry.path: entry.stamp for entry in files.walk(spec.path)} | stamps
    time.sleep(TICK_S)
    register(repository, spec, stamps=stamps)


def discard(repository: Repository, spec: Checkout) -> None:
    """Remove an archived tree; refuse one that is not archived."""
    if repository.commit(archive_ref(spec)) is None:
        raise EnvironmentFailure(f"{spec.path} is not archived yet, so it is not removed")
    _remove_folders(spec)
    _register_file(repository, spec).unlink(missing_ok=True)


def _remove_folders(spec: Checkout) -> None:
    for folder in (spec.path, *((spec.written.parent,) if spec.layer else ()), spec.home):
        remove(folder)


def forget(repository: Repository, spec: Checkout) -> None:
    """Drop the registration of a tree that was never made."""
    _remove_folders(spec)
    _register_file(repository, spec).unlink(missing_ok=True)


def remove(folder: Path) -> None:
    """Delete a folder that an agent may have made unreadable, or thousands of folders deep, on purpose."""
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink(missing_ok=True)
        return
    folder.chmod(0o700)  # one that is closed to its owner cannot be moved
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".gone"))
    todo = [folder.rename(aside / "0")]
    for number in count(1):
        # each inner folder is moved up here, so that no path gets too long
        if not todo:
            break
        current = todo.pop()
        with suppress(OSError):
            todo += [inner.rename(aside / f"{number}.{index}") for index, inner in enumerate(_emptied(current))]
            current.rmdir()
    shutil.rmtree(aside, ignore_errors=True)


def _emptied(folder: Path) -> list[Path]:
    """Delete what is directly in the folder but for other folders; give those, writable."""
    folder.chmod(0o700)
    inner = []
    for row in list(os.scandir(folder)):
        if row.is_dir(follow_symlinks=False):
            inner.append(Path(row.path))
            inner[-1].chmod(0o700)
        else:
            os.unlink(row.path)  # noqa: PTH108 - as fast as it gets
    return inner


def archive_ref(spec: Checkout) -> str:
    return f"{ARCHIVE}/{spec.ticket}/{spec.attempt}"


# the register: one small file for each live checkout, written atomically


def _register_file(repository: Repository, spec: Checkout) -> Path:
    return repository.state / "checkouts" / f"{spec.ticket}-{spec.attempt}.json"


def register(repository: Repository, spec: Checkout, *, stamps: dict[str, STAMP]) -> None:
    target = _register_file(repository, spec)
    target.parent.mkdir(parents=True, exist_ok=True)
    record = {**asdict(spec), "path": str(spec.path), "home": str(spec.home), "stamps": stamps}
    ready = target.with_suffix(f".{os.getpid()}.tmp")
    ready.write_text(json.dumps(record), encoding="utf-8")
    ready.replace(target)


def registered(repository: Repository) -> list[Checkout]:
    """List the live checkouts, oldest ticket first."""
    found = sorted((repository.state / "checkouts").glob("*.json"))
    return [_read(file)[0] for file in found]


def stamps_of(repository: Repository, spec: Checkout) -> dict[str, STAMP]:
    """Give the stamps taken when the tree was written; none where the writing was interrupted."""
    return _read(_register_file(repository, spec))[1]


def _read(file: Path) -> tuple[Checkout, dict[str, STAMP]]:
    record = json.loads(file.read_text(encoding="utf-8"))
    stamps = {path: tuple(stamp) for path, stamp in record.pop("stamps").items()}
    return Checkout(**{**record, "path": Path(record["path"]), "home": Path(record["home"])}), stamps
