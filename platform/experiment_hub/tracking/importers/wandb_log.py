"""The container of a `.wandb` file: LevelDB's log format behind a header of W&B; what is torn at its end is left out.

Source: wandb/core/pkg/leveldb/record.go of wandb 0.31: blocks of 32 KiB; each chunk is a checksum (4 bytes), a length
(2), a type (1: whole, 2: first, 3: middle, 4: last) and its content, little-endian. The header takes the first 7 bytes.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from experiment_hub.errors import BadInputError

MAGIC = b":W&B"
HEADER_BYTES = 7
BLOCK_BYTES = 32 * 1024
_CHUNK = struct.Struct("<IHB")
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records(path: Path) -> Iterator[bytes]:
    """Contents of whole records. Raises BadInputError for another kind of file."""
    parts: list[bytes] = []
    for kind, content in _chunks(path):
        parts = [content] if kind in {WHOLE, FIRST} else [*parts, content]
        if kind in {WHOLE, LAST}:
            yield b"".join(parts)


def _chunks(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        begin = file.read(HEADER_BYTES)
        if not begin.startswith(MAGIC):
            raise BadInputError(f"{path} is no file of W&B: it does not begin with {MAGIC.decode()}")
        room = BLOCK_BYTES - HEADER_BYTES
        while block := file.read(room):
            yield from _in_block(block)
            room = BLOCK_BYTES


def _in_block(block: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place + _CHUNK.size <= len(block):
        _, length, kind = _CHUNK.unpack_from(block, place)
        content = block[place + _CHUNK.size : place + _CHUNK.size + length]
        if kind not in {WHOLE, FIRST, MIDDLE, LAST} or len(content) < length:
            return  # filling at the end of a block, or a record that was being written
        yield kind, content
        place += _CHUNK.size + length
