"""A tree on disk as a context manager: written from git objects, registered, archived before it is removed.

No `.git` is in sight and no `git worktree add` is involved: that command shares a lock and a registry with
every other one, fails under load, and hands the agent a repository. See docs/decisions.
"""

from __future__ import annotations

import errno
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
from worktrees.durable import write_durably
from worktrees.layer import Layer
from worktrees.views import View

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from worktrees.git import Repository

ARCHIVE = "refs/orchestrate/attempts"
STARTS = "refs/orchestrate/starts"
"""What live attempts are compared with: without a ref of ours a person's `git gc --prune=now` could take it from under them."""
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
    def contents(self) -> View:
        """Where the harness sees what is in the tree at its start; a layer shows itself to its own processes only."""
        return View((Path(self.snapshot) if self.snapshot else self.path,))

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
    with tempfile.TemporaryDirectory(dir=repository.state, prefix=f"index-{os.getpid()}-") as scratch:
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
    _hold(repository, spec)
    register(repository, spec, stamps={})
    try:
        spec.path.mkdir()
    except FileExistsError as error:
        # what stands there is not ours: nobody may take it for the leftover of this attempt and clear it away
        _unregister(repository, spec)
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
    _unregister(repository, spec)


def _remove_folders(spec: Checkout) -> None:
    for folder in (spec.path, *((spec.written.parent,) if spec.layer else ()), spec.home):
        remove(folder)


def forget(repository: Repository, spec: Checkout) -> None:
    """Drop the registration of a tree that was never made."""
    _remove_folders(spec)
    _unregister(repository, spec)


SHALLOW = 100
"""Folders in each other that are removed the fast way."""


def remove(folder: Path) -> None:
    """Delete a folder that an agent may have made unreadable, or thousands of folders deep, on purpose."""
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink(missing_ok=True)
        return
    folder.chmod(0o700)  # one that is closed to its owner cannot be moved
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".gone"))
    todo = [folder.rename(aside / "0")]
    with suppress(OSError):
        _swept(str(aside), SHALLOW)
        return
    for number in count(1):
        # each inner folder is moved up here, so that no path gets too long
        if not todo:
            break
        current = todo.pop()
        with suppress(OSError):
            todo += [inner.rename(aside / f"{number}.{index}") for index, inner in enumerate(_emptied(current))]
            current.rmdir()
    shutil.rmtree(aside, ignore_errors=True)


def _swept(folder: str, depth: int) -> None:
    """Delete a folder that is as folders usually are; raise OSError for one that is too deep or closed to its owner."""
    if depth == 0:
        raise OSError(errno.ELOOP, "too deep", folder)
    with os.scandir(folder) as rows:
        for row in list(rows):
            if row.is_dir(follow_symlinks=False):
                _swept(row.path, depth - 1)
            else:
                os.unlink(row.path)  # noqa: PTH108 - as fast as it gets
    os.rmdir(folder)  # noqa: PTH106 - as fast as it gets


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


def _starts(spec: Checkout) -> dict[str, str]:
    ref = f"{STARTS}/{spec.ticket}/{spec.attempt}"
    return {ref: spec.start} | ({f"{ref}-base": spec.base} if spec.base != spec.start else {})


def _hold(repository: Repository, spec: Checkout) -> None:
    orders = "".join(f"update {ref} {commit}\n" for ref, commit in _starts(spec).items())
    repository.git("update-ref", "--stdin", stdin=orders.encode())


def _let_go(repository: Repository, refs: Collection[str]) -> None:
    if refs:
        # where it fails they stay until the next recovery, and harm nobody
        repository.ask("update-ref", "--stdin", stdin="".join(f"delete {ref}\n" for ref in refs).encode())


def let_go_of_what_is_over(repository: Repository) -> None:
    """Drop refs of starts that a crash left behind: those of no registered checkout."""
    held = {ref for spec in registered(repository) for ref in _starts(spec)}
    _let_go(repository, sorted(repository.refs(STARTS).keys() - held))


# the register: one small file for each live checkout, written atomically


def _register_file(repository: Repository, spec: Checkout) -> Path:
    return repository.state / "checkouts" / f"{spec.ticket}-{spec.attempt}.json"


def _unregister(repository: Repository, spec: Checkout) -> None:
    _register_file(repository, spec).unlink(missing_ok=True)
    _let_go(repository, _starts(spec))


def register(repository: Repository, spec: Checkout, *, stamps: dict[str, STAMP]) -> None:
    record = {**asdict(spec), "path": str(spec.path), "home": str(spec.home), "stamps": stamps}
    # synced before it gets its name: after a power cut an empty entry would stand for a tree that nobody could archive
    write_durably(_register_file(repository, spec), json.dumps(record).encode())


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
