"""Digests name contents; what is read is checked against its name."""

import hashlib
import io
import re
from typing import BinaryIO, Protocol

from experiment_hub.errors import BadInputError, CorruptError

PREFIX = "sha256:"
PATTERN = re.compile(rf"{PREFIX}[0-9a-f]{{64}}")
CHUNK = 1 << 20


class _Buffer(Protocol):
    def __len__(self) -> int: ...
    def __setitem__(self, place: slice, content: bytes) -> None: ...


def checked(digest: str) -> str:
    """The digest itself; raises BadInputError, so that no other text ever becomes part of a path."""
    if not PATTERN.fullmatch(digest):
        raise BadInputError(f"{digest[:100]!r} is no digest: expected {PREFIX} and 64 hexadecimal digits")
    return digest


def digits(digest: str) -> str:
    return checked(digest).removeprefix(PREFIX)


class Verified(io.RawIOBase):
    """Reads content from its start to its end; hands out the last bytes only if all of it is what the digest says.

    Whoever stops earlier has bytes that nobody vouches for. Raises CorruptError.
    """

    def __init__(self, source: BinaryIO, *, digest: str, size: int, place: str) -> None:
        self._source, self._digest, self._place = source, digest, place
        self._left = size
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: _Buffer, /) -> int:  # type: ignore[override] # io leaves the buffer's type open
        content = self._source.read(len(buffer))
        self._hash.update(content)
        self._left -= len(content)
        if self._left <= 0 or not content:
            self._check()
        buffer[: len(content)] = content
        return len(content)

    def _check(self) -> None:
        if self._left or PREFIX + self._hash.hexdigest() != self._digest:
            raise damaged(self._digest, self._place)

    def close(self) -> None:
        self._source.close()
        super().close()


def damaged(digest: str, place: str) -> CorruptError:
    return CorruptError(
        f"{digest} in {place} is damaged: its content is not what was stored; "
        f"`hub artifacts why {digest}` names who uses it"
    )
