"""A folder as content: a manifest that names its files by digest."""

import os
import stat
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Literal, Self

from pydantic import ValidationError, model_validator

from experiment_hub.artifacts.digests import checked
from experiment_hub.artifacts.names import inner_path
from experiment_hub.canonical import encoded
from experiment_hub.errors import BadInputError, CorruptError
from experiment_hub.strict import StrictModel

MAGIC = b"experiment_hub folder 1\n"
"""Content that begins like this is a folder; files that do are refused, so the two are never confused."""
_ONLY = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a named pipe must not make us wait


class Entry(StrictModel):
    path: str
    """Relative, with `/`."""
    digest: str
    size: int
    executable: bool


class Manifest(StrictModel):
    """Sorted by path, so that equal folders have equal digests, whatever their times, owners and other rights."""

    format: Literal[1] = 1
    entries: tuple[Entry, ...]
    empty: tuple[str, ...] = ()
    """Folders without anything in them."""

    @model_validator(mode="after")
    def _safe(self) -> Self:
        paths = [tuple(inner_path(entry.path).split("/")) for entry in self.entries]
        paths += [tuple(inner_path(path).split("/")) for path in self.empty]
        for one, other in pairwise(sorted(paths)):
            if other[: len(one)] == one:
                raise ValueError(f"{'/'.join(one)!r} is there twice, or as a file and as a folder")
        for entry in self.entries:
            checked(entry.digest)
        return self

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries)


def encode(manifest: Manifest) -> bytes:
    return MAGIC + encoded(manifest.model_dump())


def decode(content: bytes, digest: str) -> Manifest:
    """Raises CorruptError for anything that this hub did not write, hostile paths included."""
    if not content.startswith(MAGIC):
        raise CorruptError(f"{digest} is no folder: it does not begin with {MAGIC!r}")
    try:
        return Manifest.model_validate_json(content[len(MAGIC) :])
    except (ValidationError, BadInputError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise CorruptError(f"{digest} is no usable folder: {reason}") from error


def files_below(root: int) -> Iterator[tuple[str, bool]]:
    """Relative path of each file and of each empty folder, with whether it is a folder; refuses what is neither."""
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        parts = waiting.pop()
        handle = open_below(root, parts, os.O_DIRECTORY)
        try:
            with os.scandir(handle) as found:
                kinds = {entry.name: entry.stat(follow_symlinks=False).st_mode for entry in found}
        finally:
            os.close(handle)
        if not kinds and parts:
            yield inner_path("/".join(parts)), True
        for name, mode in kinds.items():
            if stat.S_ISDIR(mode):
                waiting.append((*parts, name))
            else:
                yield _plain_file((*parts, name), mode), False


def _plain_file(parts: Sequence[str], mode: int) -> str:
    path = inner_path("/".join(parts))
    if stat.S_ISLNK(mode):
        raise BadInputError(f"{path!r} is a symbolic link; only files and folders are stored: copy what it points to")
    if not stat.S_ISREG(mode):
        raise BadInputError(f"{path!r} is neither a file nor a folder; only these are stored: remove it")
    return path


def open_below(root: int, parts: Sequence[str], flags: int = 0) -> int:
    """A handle reached step by step without following a link, so that nothing swapped meanwhile leads outside."""
    handle = os.dup(root)
    for index, part in enumerate(parts):
        kind = os.O_DIRECTORY if index < len(parts) - 1 else flags
        try:
            inner = os.open(part, _ONLY | kind, dir_fd=handle)
        except OSError as error:
            raise BadInputError(f"{'/'.join(parts)!r} cannot be read: {error.strerror}") from error
        finally:
            os.close(handle)
        handle = inner
    return handle


def open_plain(path: Path) -> BinaryIO:
    """A file that somebody named; links are followed, pipes and devices refused."""
    try:
        return plain(os.open(path.resolve(), _ONLY), str(path))
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}") from error


def plain(handle: int, name: str) -> BinaryIO:
    """The handle as a stream; raises BadInputError, and closes it, where it is no file."""
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise BadInputError(f"{name!r} is neither a file nor a folder; only these are stored")
    return os.fdopen(handle, "rb", buffering=0)
