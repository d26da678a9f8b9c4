"""The records in one SQLite file of the state folder, so that an acknowledged write survives a power cut."""

from __future__ import annotations

import sqlite3
import time
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory.mirror import Mirror
from memory.schema import BEFORE, INDEXES, REPORTS_IN_ORDER, SQLITE_RULES, TABLES, VERSION
from tickets.errors import EnvironmentFailure, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memory.connection import Connection

FILE = "signalbox.sqlite"
BUSY_S = 60
SAFE_WAL = (3, 51, 3)
"""Before it, a write-ahead log could lose what two writers did at once."""
_EXTRA = 3
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def settle(connection: Any, place: str) -> None:
    """Set a raw SQLite connection up to survive power cuts, and read back that it does; raise EnvironmentFailure where it does not.

    With a rollback journal only EXTRA also syncs the folder once the journal is gone, which is the commit. A write-ahead log needs FULL,
    and EXTRA is no less.
    """
    wanted = "wal" if sqlite3.sqlite_version_info >= SAFE_WAL else "delete"
    connection.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000}")
    mode = str(connection.execute(f"PRAGMA journal_mode = {wanted}").fetchone()[0])
    connection.execute("PRAGMA synchronous = EXTRA")
    level = int(connection.execute("PRAGMA synchronous").fetchone()[0])
    if (mode, level) != (wanted, _EXTRA):
        raise EnvironmentFailure(
            f"{place} cannot be made to survive a power cut here: SQLite answers with journal_mode {mode} and synchronous {level} where "
            f"{wanted} and {_EXTRA} were asked for. Is it on a network file system? Name a local folder in [state] dir, or a PostgreSQL "
            "server in [state] database_url"
        )


class Recorder(sqlite3.Connection):
    """Keeps what a transaction has written, for the mirror."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.writes: list[tuple[str, Any]] = []

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        cursor = super().execute(sql, parameters)
        if sql.startswith(("INSERT", "UPDATE", "DELETE")):
            self.writes.append((sql, parameters))
        return cursor


class Embedded:
    def __init__(self, folder: Path) -> None:
        self.file = folder / FILE
        self.mirror = Mirror(self.file)

    @property
    def exists(self) -> bool:
        return self.file.is_file() or self.mirror.exists

    def open(self) -> Recorder:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._refuse_a_loss()
        with ExitStack() as undo:
            try:
                connection = sqlite3.connect(self.file, timeout=BUSY_S, isolation_level=None, factory=Recorder)
                undo.callback(connection.close)
                connection.row_factory = sqlite3.Row
                self._prepare(connection)
            except (sqlite3.DatabaseError, OSError) as error:
                raise EnvironmentFailure(
                    f"{self.file} cannot be used as the database: {error}{self._way_out(error)}"
                ) from error
            undo.pop_all()
        return connection

    def _refuse_a_loss(self) -> None:
        # SQLite takes a missing or empty file for a new database, and would begin a second history in its place
        if self.mirror.exists and (not self.file.exists() or not self.file.stat().st_size):
            raise EnvironmentFailure(
                f"{self.file} is gone, but there is a journal of it: `orchestrate log --restore` makes it anew"
            )

    def _way_out(self, error: Exception) -> str:
        damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
        return "; `orchestrate log --restore` makes it anew from its journal" if damaged and self.mirror.exists else ""

    def _prepare(self, connection: Recorder) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise InputError(
                f"{self.file} has version {version}, this Signalbox knows up to {VERSION}: "
                "upgrade Signalbox, or name another folder in [state] dir"
            )
        settle(connection, str(self.file))
        if version < VERSION:
            self._upgrade(connection)
        self.mirror.begin(connection)
        connection.writes.clear()

    @staticmethod
    def _upgrade(connection: Recorder) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]  # another process may have been faster
            if version < VERSION:
                set_up(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    @staticmethod
    def usable(connection: Connection) -> bool:  # noqa: ARG004 - a file does not hang up
        return True

    @staticmethod
    def begin(connection: Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        _recorder(connection).writes.clear()

    def commit(self, connection: Connection, *, kept: bool) -> None:
        recorder = _recorder(connection)
        writes = recorder.writes[:]
        recorder.writes.clear()
        if not (writes and kept):
            recorder.execute("COMMIT")
            return
        # written ahead: the journal may know one transaction more than the database, which nobody was told of, but never one less
        with self.mirror.written(recorder, writes):
            recorder.execute("COMMIT")
        self.mirror.copy_when_due(recorder)

    def failure(self, error: BaseException) -> EnvironmentFailure | None:
        if isinstance(error, sqlite3.OperationalError | OSError):
            return EnvironmentFailure(f"{self.file} could not be written: {error}")
        if type(error) is sqlite3.DatabaseError:
            return EnvironmentFailure(f"{self.file} is damaged: {error}{self._way_out(error)}")
        return None

    @staticmethod
    def clock(connection: Connection) -> tuple[str, float]:  # noqa: ARG004 - the machine's own clock
        return _boot(), time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))

    def check(self) -> str:
        """Raise EnvironmentFailure where the file is damaged or has lost what its journal knows; say what was mended, or nothing.

        Every page is read, and the whole journal, where the last run did not end well.
        """
        with closing(self.open()) as connection:
            closely = self.mirror.doubt.exists()
            try:
                found = _all_pages(connection) if closely else _ends(connection, self.file.stat().st_size)
            except sqlite3.DatabaseError as error:
                found = str(error)
            if found:
                raise EnvironmentFailure(
                    f"{self.file} is damaged: {found}; `orchestrate log --restore` makes it anew from its journal"
                )
            self.mirror.check(connection)
            said = self.mirror.mended(connection) if closely else ""
            self.mirror.doubt.unlink(missing_ok=True)
            return said

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Have the next check look closely, unless the block comes to its end."""
        self.mirror.suspect()
        yield
        self.mirror.doubt.unlink(missing_ok=True)


def _all_pages(connection: sqlite3.Connection) -> str:
    found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
    return "" if found == ["ok"] else "; ".join(found)


def _ends(connection: sqlite3.Connection, size: int) -> str:
    """Look at what a file that was cut off or written over lacks first: its length, and both ends of each table."""
    pages, each, mode = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in _LENGTH)
    if mode == "delete" and size < pages * each:
        return f"{size} bytes long, and it was {pages * each}"
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for name in names:
        for end in ("MIN", "MAX"):  # both in one question would be answered by reading the whole table
            connection.execute(f"SELECT {end}(rowid) FROM {name}").fetchone()  # noqa: S608 - our own tables
    return ""


_LENGTH = ("page_count", "page_size", "journal_mode")


def _recorder(connection: Connection) -> Recorder:
    if not isinstance(connection, Recorder):
        raise TypeError(f"{connection!r} is no connection of this database")
    return connection


def set_up(connection: sqlite3.Connection) -> None:
    """Bring a new file, or one of an older version, to the present one inside the open transaction; all that it holds is kept."""
    for statement in _statements(BEFORE + TABLES):
        connection.execute(statement)
    if "seq" not in {row[1] for row in connection.execute("PRAGMA table_info(reports)")}:
        for statement in _statements(REPORTS_IN_ORDER):
            connection.execute(statement)
    for statement in _statements(INDEXES + SQLITE_RULES):
        connection.execute(statement)
    connection.execute("INSERT INTO journal VALUES (1, 0, 1) ON CONFLICT (one) DO NOTHING")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _statements(script: str) -> list[str]:
    """Split a script as SQLite does; `executescript` would end the transaction that it is part of."""
    found, begun = [], ""
    for line in script.splitlines():
        begun += f"{line}\n"
        if sqlite3.complete_statement(begun):
            found.append(begun.strip())
            begun = ""
    return found


def _boot() -> str:
    if _BOOT.exists():
        return _BOOT.read_text("ascii").strip()
    import psutil

    return str(round(psutil.boot_time()))
