"""Opening a data file: inside its folder, no link anywhere, a plain file, the declared content, a bounded size."""

import gzip
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from pydantic import Field

from experiment_hub.errors import CorruptError, DataError
from experiment_hub.strict import StrictModel

MIB = 2**20
PLAIN = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a named pipe must not hold us up


class DataFile(StrictModel):
    name: str = Field(min_length=1)
    """Relative to `folder`."""
    sha256: str | None = Field(pattern="^[0-9a-f]{64}$")
    """What `sha256sum` prints; other content is refused. null takes whatever is there."""


class _Bounded(io.RawIOBase):
    """Counts what is read, so that a small archive cannot become an endless table."""

    def __init__(self, inner: io.BufferedIOBase, *, limit: int, name: str) -> None:
        self._inner, self._left, self._limit, self._name = inner, limit, limit, name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override] # io's stub says WriteableBuffer
        data = self._inner.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise DataError(
                f"{self._name}: holds more than {self._limit // MIB} MiB once unpacked; raise data.maximum_mib if that is right"
            )
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def opened(folder: str, file: DataFile, maximum_mib: int) -> Iterator[io.BufferedReader]:
    """The file's bytes; raises DataError, and CorruptError where the content is not the declared one."""
    with os.fdopen(_descriptor(Path(folder), file.name), "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > maximum_mib * MIB:
            raise DataError(f"{file.name}: has {size} bytes, more than data.maximum_mib {maximum_mib} allows")
        if file.sha256 is not None and digest_of(stream) != file.sha256:
            raise CorruptError(
                f"{file.name}: its content is not the declared one (data.files sha256); restore the file, "
                "or declare the new content and register a new version"
            )
        yield stream


@contextmanager
def opened_text(folder: str, file: DataFile, maximum_mib: int) -> Iterator[io.TextIOWrapper]:
    """The file as UTF-8, unpacked where its name ends in `.gz`."""
    with opened(folder, file, maximum_mib) as stream:
        plain = gzip.GzipFile(fileobj=stream) if file.name.endswith(".gz") else stream
        bounded = _Bounded(plain, limit=maximum_mib * MIB, name=file.name)
        with io.TextIOWrapper(io.BufferedReader(bounded), encoding="utf-8-sig", newline="") as text:
            try:
                yield text
            except UnicodeDecodeError as error:
                raise DataError(f"{file.name}: expected UTF-8 text, byte {error.start} of a block is none") from error
            except (EOFError, gzip.BadGzipFile, OSError) as error:
                raise DataError(f"{file.name}: cannot be unpacked or read: {error}") from error


def digest_of(stream: io.BufferedReader) -> str:
    """SHA-256 of a file from its start; the position is at the start again afterwards."""
    stream.seek(0)
    digest = hashlib.file_digest(stream, "sha256").hexdigest()
    stream.seek(0)
    return digest


def _descriptor(folder: Path, name: str) -> int:
    """Opened one folder after the other without following links, so nobody can swap one in between."""
    parts = PurePosixPath(name).parts
    if not parts or "\0" in name or "\\" in name or PurePosixPath(name).is_absolute() or ".." in parts:
        raise DataError(f"data.files: {name!r}: expected a path inside data.folder, without '..'")
    try:
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise DataError(f"data.folder: {str(folder)!r}: expected a folder that can be read") from error
    try:
        for part in parts[:-1]:
            place = _step(place, part)
        found = os.open(parts[-1], PLAIN, dir_fd=place)
    except OSError as error:
        raise DataError(
            f"{name}: expected a readable file in {folder} that is no link ({error.strerror or error})"
        ) from error
    finally:
        os.close(place)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise DataError(f"{name}: expected a plain file")
    return found


def _step(place: int, part: str) -> int:
    inner = os.open(part, PLAIN | os.O_DIRECTORY, dir_fd=place)
    os.close(place)
    return inner
