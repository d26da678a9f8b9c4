"""Reading logs of any size: never more than a piece of them in memory."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PIECE_BYTES = 1 << 16
LONGEST_LINE = 300


def tail(path: Path, lines: int) -> int:
    """Byte position where the last so many lines begin."""
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        wanted = lines + 1 if _ends_with_newline(file, position) else lines
        while position > 0:
            size = min(PIECE_BYTES, position)
            position -= size
            file.seek(position)
            piece = file.read(size)
            breaks = piece.count(b"\n")
            if breaks >= wanted:
                return position + _nth_last(piece, wanted) + 1
            wanted -= breaks
    return 0


def pieces(path: Path, offset: int) -> Iterator[bytes]:
    """What there is from a byte position on."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        file.seek(offset)
        while piece := file.read(PIECE_BYTES):
            yield piece


def last_line(path: Path) -> str:
    """The last line with something in it, shortened, safe to show; empty when there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - PIECE_BYTES))
        text = file.read(PIECE_BYTES).decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "".join(each for each in lines[-1][:LONGEST_LINE] if each.isprintable()) if lines else ""


def _ends_with_newline(file: BinaryIO, size: int) -> bool:
    if size == 0:
        return False
    file.seek(size - 1)
    return file.read(1) == b"\n"


def _nth_last(piece: bytes, count: int) -> int:
    position = len(piece)
    for _ in range(count):
        position = piece.rindex(b"\n", 0, position)
    return position
