"""A lost or damaged database made anew from its journal, and a sound one compared with it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from memory.embedded import Embedded, set_up
from memory.mirror import number_of, sound, sync_folder
from tickets.errors import EnvironmentFailure, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from memory.database import Database
    from memory.mirror import Mirror

_PASSING = {"claims": ("boot", "until"), "trains": ("shown", "at"), "journal": ("segment",)}
"""Columns that are never journalled: they are made anew all the time."""
_JOURNALLED = {"trains": "record IS NOT NULL"}
"""Which rows are journalled, where not all of a table are: a train that was only shown is made anew as well."""


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What could be made from the journal."""

    transactions: int
    """The last one that is in it."""
    replayed: int
    lost: int
    """Transactions that the journal names behind a gap; they could not be brought back."""
    segment: int

    def __str__(self) -> str:
        missing = (
            f"; {self.lost} behind a damaged place of the journal are lost" if self.lost else "; nothing is missing"
        )
        return f"{self.transactions} transactions restored, {self.replayed} of them from the journal{missing}"


@dataclass(frozen=True, kw_only=True)
class Restored:
    replay: Replay
    aside: tuple[Path, ...]
    """Where the files that were there before are now."""


def restore(database: Database) -> Restored:
    """Put a database made from the journal in the place of the present one, which is kept beside it. Nobody else may use it meanwhile.

    Raise InputError where there is no journal, EnvironmentFailure where no database can be made of it; nothing was changed then.
    """
    mirror = database.mirror
    if not mirror.exists:
        raise InputError(f"there is no journal in {mirror.folder} to restore anything from")
    database.close()
    ready = mirror.file.with_suffix(".new")
    replay = rebuild(mirror, ready)
    aside = tuple(_set_aside(mirror.file))
    ready.replace(mirror.file)
    sync_folder(mirror.file.parent)
    with closing(Embedded(mirror.file.parent).open()) as connection:
        mirror.renew(connection, replay.segment)
    return Restored(replay=replay, aside=aside)


def _set_aside(file: Path) -> Iterator[Path]:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    # SQLite would roll a journal that is left beside the new file back into it: these go first
    for ending in ("-journal", "-wal", "-shm", ""):
        found = file.with_name(f"{file.name}{ending}")
        if found.exists():
            yield found.rename(found.with_name(f"{found.name}.damaged-{stamp}"))
    sync_folder(file.parent)


def rebuild(mirror: Mirror, file: Path, *, until: int | None = None) -> Replay:
    """Make the database in that file: from the newest sound copy, or an older one where the lines after it lead further.

    `until` is the last transaction to be in it; all that the journal has where it is left out.
    """
    best: tuple[Replay, Path | None] | None = None
    found = None
    for base in [*sorted(mirror.folder.glob("copy-*.sqlite"), reverse=True), None]:
        found = _replay(mirror, base, file, until)
        if found is not None and (best is None or found.transactions > best[0].transactions):
            best = (found, base)
        if best is not None and not best[0].lost:
            break
    if best is None:
        raise EnvironmentFailure(f"neither a sound copy nor the beginning of the journal is left in {mirror.folder}")
    if found is not best[0]:  # a worse one stands in the file now
        _replay(mirror, best[1], file, until)
    return best[0]


def _replay(mirror: Mirror, base: Path | None, file: Path, until: int | None) -> Replay | None:
    """Play the journal on that copy, or from the beginning; None where the copy is damaged or the beginning is gone."""
    first = 1 if base is None else number_of(base)
    if (base is None and not mirror.segment(1).exists()) or (base is not None and not sound(base)):
        return None
    for path in (file, file.with_name(f"{file.name}-journal")):
        path.unlink(missing_ok=True)
    if base is not None:
        shutil.copyfile(base, file)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # synced as a whole at the end
        _begin(connection, new=base is None)
        start = int(connection.execute("SELECT position FROM journal").fetchone()[0])
        done, last = start, start
        for entry in mirror.transactions(first, until=until):
            last = max(last, entry["n"])
            if entry["n"] == done + 1:
                for sql, parameters in entry["writes"]:
                    connection.execute(sql, parameters)
                done += 1
        segment = max(number_of(path) for path in mirror.folder.glob("segment-*.jsonl"))
        connection.execute("UPDATE journal SET position = ?, segment = ?", (done, segment))
        connection.execute("COMMIT")
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
    return Replay(transactions=done, replayed=done - start, lost=last - done, segment=segment)


def _begin(connection: sqlite3.Connection, *, new: bool) -> None:
    connection.execute("BEGIN IMMEDIATE")
    if new:
        set_up(connection)


class JournalError(EnvironmentFailure):
    """The journal cannot say what the records must be; they may be sound."""


def differences(database: Database) -> list[str]:
    """Compare every record with what the journal says it must be; tell each table that differs, in a sentence.

    Raise JournalError where the journal itself is damaged; the next run then begins it anew, if the database is sound.
    """
    mirror = database.mirror
    file = mirror.file.with_suffix(".compare")
    connection = database.connection()
    try:
        with database.transaction(kept=False):
            # a crash may have left one line that was never committed: the next transaction takes its number
            position = connection.execute("SELECT position FROM journal").fetchone()["position"]
            replay = rebuild(mirror, file, until=position)
            if replay.lost or replay.transactions < position:
                mirror.suspect()
                raise JournalError(f"the journal in {mirror.folder} is damaged; the next run begins it anew")
            with closing(sqlite3.connect(file)) as other:
                return [said for table in _tables(other) if (said := _difference(connection, other, table))]
    finally:
        file.unlink(missing_ok=True)


def _tables(connection: sqlite3.Connection) -> list[str]:
    query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    return [str(row[0]) for row in connection.execute(query)]


def _difference(here: Any, there: sqlite3.Connection, table: str) -> str:
    columns = [row[1] for row in there.execute(f"PRAGMA table_info({table})") if row[1] not in _PASSING.get(table, ())]
    key = ", ".join(row[1] for row in there.execute(f"PRAGMA table_info({table})") if row[5])
    where = _JOURNALLED.get(table, "1 = 1")
    query = f"SELECT {', '.join(columns)} FROM {table} WHERE {where} ORDER BY {key}"  # noqa: S608 - our own tables
    try:
        found = [tuple(row) for row in here.execute(query).fetchall()]
    except sqlite3.DatabaseError as error:
        return f"{table} cannot be read: {error}"
    wanted = there.execute(query).fetchall()
    wrong = sum(one != other for one, other in zip(found, wanted, strict=False)) + abs(len(found) - len(wanted))
    return f"{table}: {wrong} rows differ from what was written" if wrong else ""
