"""A folder on a file system: `objects/ab/abcd...`, complete or absent."""

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from experiment_hub.artifacts.digests import CHUNK, PREFIX, digits
from experiment_hub.artifacts.protocol import Staged, Stored
from experiment_hub.artifacts.staging import THREADS, sweep, writing_to
from experiment_hub.errors import ConfigurationError, CorruptError
from experiment_hub.files import sync

OWNER = "owner"
READ_ONLY = 0o444  # against accidents: content never changes


class LocalStore:
    distant = False

    def __init__(self, root: Path) -> None:
        self.place = str(root)
        self.staging = root / "staging"
        self._objects = root / "objects"

    def owner(self, token: str) -> str:
        path = Path(self.place) / OWNER
        with writing_to(self.place):
            if not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                part = path.with_name(f".{OWNER}.{secrets.token_hex(8)}")
                part.write_text(token, encoding="ascii")
                sync(part)
                part.replace(path)
            return path.read_text(encoding="ascii")

    def add(self, staged: Sequence[Staged]) -> None:
        """Files first, then their names: what has a name is complete, even after a power cut."""
        with writing_to(self.place), ThreadPoolExecutor(THREADS) as pool:
            folders = {folder for folder in pool.map(self._add, staged) if folder}
            list(pool.map(sync, sorted(folders)))
            if folders:
                sync(self._objects)

    def _add(self, staged: Staged) -> Path | None:
        """The folder that has a new name now; None where nothing had to be done."""
        target = self._path(staged.digest)
        if target.is_file() and _same(staged.path, target):
            return None
        target.parent.mkdir(parents=True, exist_ok=True)
        staged.path.chmod(READ_ONLY)
        sync(staged.path)
        fresh = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
        _second_name(staged.path, fresh)
        fresh.replace(target)
        return target.parent

    def open(self, digest: str) -> BinaryIO:
        path = self._path(digest)
        try:
            return path.open("rb")
        except FileNotFoundError as error:
            raise CorruptError(f"{digest} is not in the artifact store {self.place}") from error
        except OSError as error:
            raise CorruptError(f"{digest} in {self.place} cannot be read: {error.strerror}") from error

    def size(self, digest: str) -> int | None:
        try:
            return self._path(digest).stat().st_size
        except FileNotFoundError:
            return None

    def remove(self, digests: Sequence[str]) -> None:
        with writing_to(self.place):
            for digest in digests:
                self._path(digest).unlink(missing_ok=True)

    def listing(self) -> Iterator[Stored]:
        for folder in sorted(self._objects.glob("??")):
            for path in sorted(folder.iterdir()):
                with suppress(FileNotFoundError):  # removed since its name was read
                    if not path.name.startswith("."):
                        yield Stored(PREFIX + path.name, path.stat().st_size)

    def tidy(self) -> int:
        with writing_to(self.place):
            return sweep([*self.staging.glob("*"), *self._objects.glob("??/.*")])

    def _path(self, digest: str) -> Path:
        name = digits(digest)
        return self._objects / name[:2] / name


def _second_name(path: Path, other: Path) -> None:
    """A hard link of a staged file, which nobody writes to; a copy where the file system has no links."""
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)
        sync(other)


def _same(one: Path, other: Path) -> bool:
    """Byte by byte: quicker than hashing, and damaged content is replaced as soon as it is stored again."""
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb", buffering=0) as left, other.open("rb", buffering=0) as right:
        while content := left.read(CHUNK):
            if content != right.read(CHUNK):
                return False
    return True


class LocalKind:
    name = "local"
    schemes = frozenset({"file", "local"})

    def open(self, url: str, home: Path) -> LocalStore:
        parts = urlsplit(url)
        path = Path(unquote(parts.path))
        if parts.netloc or not path.is_absolute():
            raise ConfigurationError(f"artifacts: {url!r}: expected file:///absolute/path (the home is {home})")
        return LocalStore(path)


STORE = LocalKind()
