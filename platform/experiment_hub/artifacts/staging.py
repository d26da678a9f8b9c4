"""Copies on their way into a store: hashed while they are written, in a folder that goes away whatever happens."""

import hashlib
import io
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from experiment_hub.artifacts.digests import CHUNK, PREFIX
from experiment_hub.artifacts.folders import MAGIC, Entry, Manifest, encode, files_below, open_below, open_plain, plain
from experiment_hub.artifacts.protocol import Staged
from experiment_hub.errors import BadInputError, StoreGoneError

FILE, FOLDER = "file", "folder"
DAY_SECONDS = 86_400
THREADS = 4  # hashing and waiting for the disk both let other threads run

Source = Path | bytes | BinaryIO


@dataclass(frozen=True)
class Tree:
    """One artifact on its way: a file, or a folder's manifest with the files that it names."""

    digest: str
    kind: str
    size: int
    staged: tuple[Staged, ...]
    """Each content once, sorted by digest."""

    @property
    def parts(self) -> list[Staged]:
        """What a folder is made of."""
        return [each for each in self.staged if each.digest != self.digest]


@contextmanager
def staging(place: Path) -> Iterator["Stage"]:
    folder = place / f"{os.getpid()}-{secrets.token_hex(8)}"
    with writing_to(place):
        folder.mkdir(parents=True)
    try:
        yield Stage(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def writing_to(place: Path | str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreGoneError(f"the artifact store {place} cannot be used: {error.strerror or error}") from error


def sweep(leftovers: Iterable[Path]) -> int:
    """Remove those that nobody touched for a day; gives bytes."""
    limit, freed = time.time() - DAY_SECONDS, 0
    for path in leftovers:
        with suppress(FileNotFoundError):  # its writer was alive and is done with it now
            if path.stat().st_mtime < limit:
                freed += sum(each.stat().st_size for each in (path, *path.rglob("*")) if each.is_file())
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    return freed


class Stage:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def tree(self, source: Source) -> Tree:
        """Raises BadInputError for what cannot be stored, StoreGoneError where there is no room for it."""
        if isinstance(source, Path) and source.is_dir():
            return self._folder_tree(source)
        with closing(_opened(source)) as stream:
            staged = self.take(stream, "content")
        return Tree(staged.digest, FILE, staged.size, (staged,))

    def take(self, source: BinaryIO, name: str, *, manifest: bool = False) -> Staged:
        """Copy and hash in one pass, so that the digest is that of the copy even while the source changes."""
        path = self._folder / secrets.token_hex(16)
        summed, size = hashlib.sha256(), 0
        with writing_to(self._folder.parent), path.open("xb", buffering=0) as copy:
            while content := _read(source, name):
                if size == 0 and content.startswith(MAGIC) and not manifest:
                    raise BadInputError(f"{name!r} begins like the store's own folder manifests and is not stored")
                summed.update(content)
                _write(copy, content)
                size += len(content)
        return Staged(PREFIX + summed.hexdigest(), size, path)

    def _folder_tree(self, path: Path) -> Tree:
        root = os.open(path.resolve(), os.O_RDONLY | os.O_DIRECTORY)
        try:
            found = sorted(files_below(root))
            files = [name for name, is_folder in found if not is_folder]
            with ThreadPoolExecutor(THREADS) as pool:
                pairs = list(pool.map(lambda name: self._member(root, name), files))
        finally:
            os.close(root)
        empty = tuple(name for name, is_folder in found if is_folder)
        return self._manifest(Manifest(entries=tuple(entry for entry, _ in pairs), empty=empty), pairs)

    def _member(self, root: int, name: str) -> tuple[Entry, Staged]:
        with plain(open_below(root, name.split("/")), name) as stream:
            executable = bool(os.fstat(stream.fileno()).st_mode & 0o100)
            staged = self.take(stream, name)
        return Entry(path=name, digest=staged.digest, size=staged.size, executable=executable), staged

    def _manifest(self, manifest: Manifest, pairs: Sequence[tuple[Entry, Staged]]) -> Tree:
        own = self.take(io.BytesIO(encode(manifest)), "manifest", manifest=True)
        once = {staged.digest: staged for _, staged in pairs} | {own.digest: own}
        return Tree(own.digest, FOLDER, manifest.size, tuple(once[digest] for digest in sorted(once)))


def _opened(source: Source) -> BinaryIO:
    if isinstance(source, Path):
        return open_plain(source)
    return io.BytesIO(source) if isinstance(source, bytes) else source


def _read(source: BinaryIO, name: str) -> bytes:
    try:
        return source.read(CHUNK)
    except OSError as error:
        raise BadInputError(f"{name!r} cannot be read: {error.strerror}") from error


def _write(copy: io.FileIO, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[copy.write(left) :]
