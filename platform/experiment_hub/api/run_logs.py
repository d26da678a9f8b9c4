"""What a run printed, in parts of a bounded size."""

import codecs
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, Field

from experiment_hub.tracking.output import Position, read_log

PART_BYTES = 1 << 20


class LogPart(BaseModel):
    text: str
    piece: int = Field(description="With `offset`, where to go on reading.")
    offset: int
    more: bool = Field(description="There is more already; else ask again later, if the run goes on.")


def log_part(folder: Path, position: Position) -> LogPart:
    """From a position on; a character that is not whole yet is left for the next part."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    texts: list[str] = []
    size, more = 0, False
    for block, end in read_log(folder, position):
        if size >= PART_BYTES:
            more = True
            break
        if end.number != position.number:
            decoder.reset()
        texts.append(decoder.decode(block))
        size, position = size + len(block), end
    rest = len(decoder.getstate()[0])
    return LogPart(text="".join(texts), piece=position.number, offset=position.offset - rest, more=more)


def whole_log(folder: Path) -> Iterator[bytes]:
    return (block for block, _ in read_log(folder, Position()))


def near_end(folder: Path, size: int) -> Position:
    """Where the last `size` bytes of the newest piece begin."""
    newest = Position()
    for number, path in _pieces(folder):
        newest = Position(number, max(0, path.stat().st_size - size))
    return newest


def _pieces(folder: Path) -> Iterator[tuple[int, Path]]:
    first = folder / "output.log"
    if first.is_file():
        yield 0, first
    numbered = ((path.name.split(".")[1], path) for path in folder.glob("output.*.log"))
    yield from sorted((int(number), path) for number, path in numbered if number.isdecimal())
