"""Content in and out of a store, always checked; who needs it is the catalog's business."""

import os
import secrets
import shutil
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from experiment_hub.artifacts.cache import Cache
from experiment_hub.artifacts.digests import CHUNK, Verified
from experiment_hub.artifacts.folders import Entry, Manifest, decode
from experiment_hub.artifacts.protocol import Store
from experiment_hub.artifacts.staging import THREADS
from experiment_hub.errors import BadInputError, ConflictError
from experiment_hub.files import sync

EXECUTABLE, PLAIN = 0o755, 0o644


class Content:
    def __init__(self, store: Store, home: Path) -> None:
        self.store = store
        self.cache = Cache(store, home / "cache" / "objects") if store.distant else None

    def open(self, digest: str) -> BinaryIO:
        """A stream from start to end that raises CorruptError rather than hand out the last of damaged bytes."""
        if self.cache is None:
            source, size = self.store.open(digest), self.store.size(digest)
        else:
            path = self.cache.path(digest)
            source, size = path.open("rb"), path.stat().st_size
        return BufferedReader(Verified(source, digest=digest, size=size or 0, place=self.store.place), CHUNK)

    def manifest(self, digest: str) -> Manifest:
        with self.open(digest) as stream:
            return decode(stream.read(), digest)

    def check(self, digest: str) -> None:
        """Read all of it where it is stored, not in a cache; raises CorruptError."""
        source, size = self.store.open(digest), self.store.size(digest)
        with Verified(source, digest=digest, size=size or 0, place=self.store.place) as stream:
            buffer = bytearray(CHUNK)
            while stream.readinto(buffer):
                pass

    def fetch_file(self, digest: str, target: Path) -> None:
        """The whole file under its name, or nothing."""
        part = _beside(target)
        try:
            self._write(digest, part, PLAIN)
            part.replace(target)
        except OSError as error:
            raise _unwritable(target, error) from error
        finally:
            part.unlink(missing_ok=True)
        sync(target.parent)

    def fetch_folder(self, digest: str, target: Path) -> None:
        """The whole folder under its name, or nothing."""
        manifest, part = self.manifest(digest), _beside(target)
        try:
            self._fill(part, manifest)
            part.rename(target)
        except OSError as error:
            raise _unwritable(target, error) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
        sync(target.parent)

    def _fill(self, folder: Path, manifest: Manifest) -> None:
        for path in {folder, *((folder / entry.path).parent for entry in manifest.entries)}:
            path.mkdir(parents=True, exist_ok=True)
        for empty in manifest.empty:
            (folder / empty).mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(THREADS) as pool:
            if self.cache is not None:  # each content once, however many names it has
                list(pool.map(self.cache.path, sorted({entry.digest for entry in manifest.entries})))
            list(pool.map(lambda entry: self._member(folder, entry), manifest.entries))

    def _member(self, folder: Path, entry: Entry) -> None:
        self._write(entry.digest, folder / entry.path, EXECUTABLE if entry.executable else PLAIN)

    def _write(self, digest: str, path: Path, mode: int) -> None:
        with self.open(digest) as stream, path.open("xb") as file:
            shutil.copyfileobj(stream, file, CHUNK)
            file.flush()
            os.fsync(file.fileno())
        path.chmod(mode)


def _beside(target: Path) -> Path:
    """A name in the same folder, so that the last step is one rename; raises ConflictError for a target in use."""
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise ConflictError(f"{target} exists already and is not overwritten; name another place")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.part")


def _unwritable(target: Path, error: OSError) -> BadInputError:
    return BadInputError(f"{target} cannot be written: {error.strerror or error}")
