"""The journal of an embedded database: every transaction as a line of JSON, synced before it is acknowledged, and copies of the file.

    journal/segment-000001.jsonl   what was written since the database was new
    journal/copy-000002.sqlite     the database when segment 2 began, by SQLite's backup, with its sha256 beside it
    journal/segment-000002.jsonl   what was written since then

A lost or damaged database is the newest sound copy and the lines that follow it. Two copies are kept, so that one of them may be damaged.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from tickets.errors import EnvironmentFailure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FOLDER = "journal"
COPIES = 2
LONG_BYTES = 4 << 20
"""A journal below this is always replayed faster than it is worth copying the database for."""
_SUM = len(hashlib.sha256().hexdigest())
_HEAD = '{"sha256":"'
_MIDDLE = '","entry":'
_PREFIX = len(_HEAD) + _SUM + len(_MIDDLE)


class Mirror:
    def __init__(self, file: Path) -> None:
        self.file = file
        self.folder = file.parent / FOLDER

    @property
    def exists(self) -> bool:
        return any(self.folder.glob("segment-*.jsonl"))

    def segment(self, number: int) -> Path:
        return self.folder / f"segment-{number:06d}.jsonl"

    def copy(self, number: int) -> Path:
        return self.folder / f"copy-{number:06d}.sqlite"

    # writing

    def begin(self, connection: sqlite3.Connection) -> None:
        """See to it that the journal can be added to; one that lacks its beginning is begun anew, on a copy."""
        _, number = _place(connection)
        if self.segment(number).exists():
            return
        if connection.execute("SELECT 1 FROM events LIMIT 1").fetchone():
            self.renew(connection, number)
        else:
            self._start(number)

    def _start(self, number: int) -> None:
        if not self.folder.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            sync_folder(self.folder.parent)
        # added to, never cut: another process may have begun it and written to it in this very moment
        with self.segment(number).open("ab") as stream:
            os.fsync(stream.fileno())
        sync_folder(self.folder)

    @contextmanager
    def written(self, connection: sqlite3.Connection, writes: Sequence[tuple[str, Any]]) -> Iterator[None]:
        """Add what the open transaction has written, and take it back where the block, which commits, certainly failed."""
        connection.execute("UPDATE journal SET position = position + 1")
        position, number = _place(connection)
        self._add(number, {"n": position, "writes": writes})
        try:
            yield
        except BaseException:
            # where SQLite has ended the transaction itself it may stand in spite of the error: the number that follows will tell
            if connection.in_transaction:
                self._add(number, {"n": position, "void": True})
            raise

    def _add(self, number: int, entry: dict[str, Any]) -> None:
        text = json.dumps(entry, separators=(",", ":"))
        line = f"\n{_HEAD}{_digest(text)}{_MIDDLE}{text}}}\n"  # begun on a line of its own: the one before may have been torn
        handle = os.open(self.segment(number), os.O_WRONLY | os.O_APPEND)
        try:
            end = os.fstat(handle).st_size
            try:
                _put(handle, line.encode())
            except OSError:
                with suppress(OSError):  # what stays is replaced by the next line, which bears the same number
                    os.ftruncate(handle, end)
                raise
        finally:
            os.close(handle)

    # copies

    def copy_when_due(self, connection: sqlite3.Connection) -> None:
        """Copy the database once the journal has grown with it: the cost stays in proportion to what was written."""
        # the transaction stands; what there is no room to copy is still in the journal, and the next one tries again
        with suppress(OSError, sqlite3.OperationalError):
            _, number = _place(connection)
            if self.segment(number).stat().st_size >= max(LONG_BYTES, self.file.stat().st_size // 2):
                self.renew(connection, number)

    def renew(self, connection: sqlite3.Connection, old: int) -> None:
        """Begin the segment after that one and copy the database to stand before it; drop what the two newest copies do not need."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            number = old + 1
            if _place(connection)[1] != old:  # another process was faster
                connection.execute("ROLLBACK")
                return
            self._start(number)
            connection.execute("UPDATE journal SET segment = ?", (number,))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._copy(connection, number)
        self._drop_old()

    def _copy(self, connection: sqlite3.Connection, number: int) -> None:
        ready = self.copy(number).with_suffix(".tmp")
        ready.unlink(missing_ok=True)
        with closing(sqlite3.connect(ready)) as target:
            connection.backup(target)
        with ready.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
            os.fsync(stream.fileno())
        beside = self.copy(number).with_suffix(".sha256")
        with beside.open("w", encoding="ascii") as stream_of_sum:
            stream_of_sum.write(found)
            stream_of_sum.flush()
            os.fsync(stream_of_sum.fileno())
        ready.replace(self.copy(number))
        sync_folder(self.folder)

    def _drop_old(self) -> None:
        kept = sorted(self.folder.glob("copy-*.sqlite"))[-COPIES:]
        if len(kept) < COPIES:
            return
        oldest = number_of(kept[0])
        for path in self.folder.iterdir():
            if path.suffix in {".jsonl", ".sqlite", ".sha256"} and number_of(path) < oldest:
                path.unlink(missing_ok=True)

    # reading

    def check(self, connection: sqlite3.Connection) -> None:
        """Raise EnvironmentFailure where the journal holds more than the one transaction that a crash may leave uncommitted."""
        position, number = _place(connection)
        last = _last(self.segment(number), position)
        if last > position + 1:
            raise EnvironmentFailure(
                f"{self.file} lacks {last - position} transactions that its journal knows, as if an older copy had been put in its place; "
                "`orchestrate log --restore` makes it anew"
            )

    def mended(self, connection: sqlite3.Connection) -> str:
        """Begin the journal anew on a copy where a sound database could not be made of it any more; say so, or nothing."""
        position, number = _place(connection)
        if self._leads_to(position):
            return ""
        self.renew(connection, number)
        return (
            f"the journal in {self.folder} was damaged, and the database is sound: it was begun anew on a copy of that"
        )

    def _leads_to(self, position: int) -> bool:
        """Say whether the newest copy is sound, and every transaction after it can be read."""
        copies = sorted(self.folder.glob("copy-*.sqlite"))
        if copies and not sound(copies[-1]):
            return False
        done, first = (_position(copies[-1]), number_of(copies[-1])) if copies else (0, 1)
        for entry in self.transactions(first, until=position):
            if entry["n"] > done + 1:
                return False
            done = max(done, entry["n"])
        return done >= position

    def transactions(self, first: int, *, until: int | None = None) -> Iterator[dict[str, Any]]:
        """Give the lines from that segment on that stand, as far as `until`.

        Of two with one number the first was rolled back, or never committed. One that was taken back stands nevertheless where the next
        one bears the next number, or where `until`, which a database is known to be at, says so.
        """
        pending: dict[str, Any] | None = None
        void = False
        for segment in sorted(self.folder.glob("segment-*.jsonl")):
            for entry in entries(segment) if number_of(segment) >= first else ():
                if until is not None and entry["n"] > until:
                    continue
                if pending is not None and entry["n"] > pending["n"]:
                    yield pending
                    pending = None
                void = bool(entry.get("void"))
                pending = pending if void else entry
        if pending is not None and (not void or until is not None):
            yield pending

    # the end of a run

    @property
    def doubt(self) -> Path:
        """This file is there while a run is at work, and stays where it did not end well: the next one looks more closely."""
        return self.folder / "unfinished"

    def suspect(self) -> None:
        """Have the next run look closely."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.doubt.touch()
        sync_folder(self.folder)


def _put(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]
    os.fdatasync(handle) if hasattr(os, "fdatasync") else os.fsync(handle)


def sound(copy: Path) -> bool:
    beside = copy.with_suffix(".sha256")
    with copy.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    return beside.is_file() and beside.read_text("ascii", errors="replace") == found


def _position(copy: Path) -> int:
    with closing(sqlite3.connect(f"{copy.as_uri()}?immutable=1", uri=True)) as connection:
        return _place(connection)[0]


def _place(connection: sqlite3.Connection) -> tuple[int, int]:
    """Give the number of the last transaction, and of the segment that it stands in."""
    row = connection.execute("SELECT position, segment FROM journal").fetchone()
    return int(row[0]), int(row[1])


def number_of(path: Path) -> int:
    return int(path.stem.partition("-")[2])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def entries(segment: Path, *, start: int = 0) -> Iterator[dict[str, Any]]:
    """Read the sound lines of a segment from that byte on, in order; torn and damaged ones are passed over."""
    if not segment.exists():
        return
    with segment.open("rb") as stream:
        stream.seek(start)
        for line in stream:
            text = line.decode(errors="replace").rstrip("\n")
            if not text.startswith(_HEAD) or not text.endswith("}"):
                continue
            entry = text[_PREFIX:-1]
            if _digest(entry) == text[len(_HEAD) : len(_HEAD) + _SUM]:
                yield json.loads(entry)


def _last(segment: Path, default: int) -> int:
    """Give the number in the last sound line, without reading all that stands before it."""
    start = size = segment.stat().st_size
    window = 64 << 10
    while start:
        start, window = max(0, size - window), window * 8
        found = [int(entry["n"]) for entry in entries(segment, start=start)]
        if found:
            return found[-1]
    return default


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
