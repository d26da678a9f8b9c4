"""Any place that fsspec can reach: s3, gcs, abfs, sftp, memory, ..."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from experiment_hub.artifacts.digests import CHUNK, PREFIX, digits
from experiment_hub.artifacts.protocol import Staged, Stored
from experiment_hub.artifacts.staging import sweep
from experiment_hub.errors import ConfigurationError, CorruptError, HubError, MissingExtraError, StoreGoneError

CONNECTIONS = 8
BUCKETS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "az", "oss", "hf"})
OWNER = "owner"
EXTRAS = {"s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3"), "gs": ("gcsfs", "gcs"), "gcs": ("gcsfs", "gcs")}


class _Reaching:
    """Turns whatever a library for remote storage raises into one error that names the place."""

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, Exception) and not isinstance(error, HubError):
            raise StoreGoneError(
                f"the artifact store {self._place} cannot be used: {type(error).__name__}: {error}"
            ) from error


class RemoteStore:
    distant = True

    def __init__(self, filesystem: Any, root: str, *, place: str, staging: Path) -> None:
        self._filesystem, self._root = filesystem, root
        self.place, self.staging = place, staging

    def owner(self, token: str) -> str:
        path = f"{self._root}/{OWNER}"
        with _Reaching(self.place):
            if not self._filesystem.exists(path):
                self._folder_of(path)
                self._filesystem.pipe_file(path, token.encode())
            return bytes(self._filesystem.cat_file(path)).decode()

    def add(self, staged: Sequence[Staged]) -> None:
        """Read back after the upload: a store that says yes and keeps something else is found out here."""
        with _Reaching(self.place), ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(self._add, staged))

    def _add(self, staged: Staged) -> None:
        if self.size(staged.digest) == staged.size:
            return
        path = self._path(staged.digest)
        self._folder_of(path)
        self._filesystem.put_file(str(staged.path), path)
        summed = hashlib.sha256()
        with self._filesystem.open(path, "rb") as stream:
            while content := stream.read(CHUNK):
                summed.update(content)
        if PREFIX + summed.hexdigest() != staged.digest:
            self._filesystem.rm(path)
            raise CorruptError(f"{staged.digest} did not arrive in {self.place} as it was sent; nothing was recorded")

    def open(self, digest: str) -> BinaryIO:
        with _Reaching(self.place):
            try:
                stream: BinaryIO = self._filesystem.open(self._path(digest), "rb")
            except FileNotFoundError as error:
                raise CorruptError(f"{digest} is not in the artifact store {self.place}") from error
            return stream

    def size(self, digest: str) -> int | None:
        with _Reaching(self.place):
            self._filesystem.invalidate_cache()
            try:
                return int(self._filesystem.info(self._path(digest))["size"])
            except FileNotFoundError:
                return None

    def remove(self, digests: Sequence[str]) -> None:
        with _Reaching(self.place):
            for digest in digests:
                try:
                    self._filesystem.rm(self._path(digest))
                except FileNotFoundError:
                    continue

    def listing(self) -> Iterator[Stored]:
        with _Reaching(self.place):
            self._filesystem.invalidate_cache()
            found = self._filesystem.find(f"{self._root}/objects", detail=True)
        for path, facts in sorted(found.items()):
            yield Stored(PREFIX + path.rpartition("/")[2], int(facts["size"]))

    def tidy(self) -> int:
        return sweep(self.staging.glob("*"))

    def _folder_of(self, path: str) -> None:
        """Where there are buckets there are no folders, and a bucket whose name is wrong must not come into being."""
        if not BUCKETS.intersection(_protocols(self._filesystem)):
            self._filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)

    def _path(self, digest: str) -> str:
        name = digits(digest)
        return f"{self._root}/objects/{name[:2]}/{name}"


def _protocols(filesystem: Any) -> tuple[str, ...]:
    return (filesystem.protocol,) if isinstance(filesystem.protocol, str) else tuple(filesystem.protocol)


class RemoteKind:
    name = "remote"
    schemes: frozenset[str] = frozenset()

    def open(self, url: str, home: Path) -> RemoteStore:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped] # it ships no types

        scheme = urlsplit(url).scheme
        place = f"{scheme}://{url.partition('://')[2].rpartition('@')[2]}"
        try:
            filesystem, root = url_to_fs(url)
        except ImportError as error:
            module, extra = EXTRAS.get(scheme, (f"an fsspec driver for {scheme}", scheme))
            raise MissingExtraError(f"the artifact store {place}", module, extra) from error
        except ValueError as error:
            raise ConfigurationError(f"artifacts: {place}: {error}") from error
        return RemoteStore(filesystem, root.rstrip("/"), place=place, staging=home / "cache" / "staging")


STORE = RemoteKind()
