"""What a run prints, kept beside it: the beginning and the end of any amount, each write at once in the file."""

import io
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

HEAD = "output.log"
HEAD_BYTES = 32 * 1024 * 1024
PIECE_BYTES = 16 * 1024 * 1024
PIECES = 2  # of the end are kept
_PIECE = re.compile(r"output\.(\d+)\.log")
BLOCK = 1024 * 1024


class OutputLog:
    """Appends to `output.log`, and beyond its size to `output.1.log`, `output.2.log`, ... of which the last ones stay."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = max((number for number, _ in _pieces(folder)), default=0)
        self._open()

    def write(self, content: bytes) -> None:
        """Never raises: a log that cannot be written must not stop what it tells about."""
        while content:
            room = (PIECE_BYTES if self._number else HEAD_BYTES) - self._size
            if room <= 0:
                self._rotate()
                continue
            part, content = content[:room], content[room:]
            try:
                os.write(self._file, part)
            except OSError:
                return
            self._size += len(part)

    def close(self) -> None:
        os.close(self._file)

    def _open(self) -> None:
        path = self._folder / (f"output.{self._number}.log" if self._number else HEAD)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._size = os.fstat(self._file).st_size

    def _rotate(self) -> None:
        os.close(self._file)
        self._number += 1
        self._open()
        old = self._folder / f"output.{self._number - PIECES}.log"
        if self._number > PIECES:
            old.unlink(missing_ok=True)


class Tee:
    """From now on, what is printed also goes to the run's log; `close` puts everything back."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError where the log cannot be written."""
        self._log = OutputLog(folder)
        self._process = os.getpid()
        self._streams = {name: getattr(sys, name) for name in ("stdout", "stderr")}
        self._doubles = {name: _Double(stream, self) for name, stream in self._streams.items() if stream is not None}
        for name, double in self._doubles.items():
            setattr(sys, name, double)

    def take(self, text: str) -> None:
        if self._process == os.getpid():  # a forked child has an output of its own
            self._log.write(text.encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        """A stream that somebody else replaced meanwhile is left alone."""
        for name, double in self._doubles.items():
            if getattr(sys, name) is double:
                setattr(sys, name, self._streams[name])
            double.hub_tee = None
        self._log.close()


def tee(folder: Path) -> Tee | None:
    """None, and a word about it, where the log cannot be written: what it would tell about goes on."""
    try:
        return Tee(folder)
    except OSError as error:
        sys.stderr.write(f"hub: {folder / HEAD} cannot be written, so output is not kept: {error.strerror}\n")
        return None


class _Double(io.TextIOBase):
    """A stream that behaves as the one it stands for."""

    def __init__(self, stream: Any, tee: Tee) -> None:
        self.hub_stream = stream
        self.hub_tee: Tee | None = tee

    def write(self, text: str) -> int:
        count = self.hub_stream.write(text)
        if self.hub_tee:
            self.hub_tee.take(text)
        return int(count)

    def flush(self) -> None:
        self.hub_stream.flush()

    def isatty(self) -> bool:
        return bool(self.hub_stream.isatty())

    def fileno(self) -> int:
        return int(self.hub_stream.fileno())

    def close(self) -> None:
        """The stream is not ours to close."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.hub_stream, name)

    @property
    def encoding(self) -> Any:  # type: ignore[override] # io declares a plain attribute
        return self.hub_stream.encoding

    @property
    def errors(self) -> Any:  # type: ignore[override] # io declares a plain attribute
        return self.hub_stream.errors


class Position(NamedTuple):
    """Where a reader is: a piece and a byte in it."""

    number: int = 0
    offset: int = 0


def read_log(folder: Path, position: Position) -> Iterator[tuple[bytes, Position]]:
    """Blocks from a position on, with the position behind each; says how much was left out between the pieces."""
    for number, path in [(0, folder / HEAD), *_pieces(folder)]:
        if number < position.number or not path.exists():
            continue
        begin = position.offset if number == position.number else 0
        if missing := number - position.number - 1:
            yield _gap(missing) if missing > 0 else b"", Position(number, 0)
        for block, end in _blocks(path, begin):
            yield block, Position(number, end)
        position = Position(number, max(begin, path.stat().st_size if path.exists() else 0))


def _gap(pieces: int) -> bytes:
    return f"\n... about {pieces * PIECE_BYTES // BLOCK} MiB left out ...\n".encode()


def _blocks(path: Path, begin: int) -> Iterator[tuple[bytes, int]]:
    try:
        with path.open("rb") as file:
            file.seek(begin)
            while block := file.read(BLOCK):
                begin += len(block)
                yield block, begin
    except FileNotFoundError:
        return  # it was rotated away meanwhile


def _pieces(folder: Path) -> list[tuple[int, Path]]:
    """Numbered ones, in order."""
    found = ((_PIECE.fullmatch(path.name), path) for path in folder.glob("output.*.log"))
    return sorted((int(match[1]), path) for match, path in found if match)
