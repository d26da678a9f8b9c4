"""The database of a repository: one SQLite file in its state folder, set up so that an acknowledged write survives a power cut."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tickets.errors import EnvironmentFailure, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = 3
FILE = "signalbox.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, feature TEXT NOT NULL, ticket TEXT NOT NULL,
    attempt INTEGER NOT NULL, data TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL UNIQUE
);
CREATE TRIGGER IF NOT EXISTS events_are_final BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER IF NOT EXISTS events_are_kept BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TABLE IF NOT EXISTS features (
    id TEXT PRIMARY KEY, request TEXT NOT NULL, state TEXT NOT NULL, options TEXT NOT NULL, plan TEXT,
    target TEXT NOT NULL, before TEXT NOT NULL, generation INTEGER NOT NULL, outcome TEXT, created_at TEXT NOT NULL, ended_at TEXT
);
CREATE TABLE IF NOT EXISTS tickets (
    id TEXT PRIMARY KEY, feature TEXT NOT NULL, revision INTEGER NOT NULL, record TEXT NOT NULL, sha256 TEXT NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL, base TEXT, head TEXT, landed TEXT, verdict TEXT, worktree TEXT,
    spend_usd REAL NOT NULL, forgiven INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS revisions (ticket TEXT NOT NULL, revision INTEGER NOT NULL, record TEXT NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (ticket, revision));
CREATE TABLE IF NOT EXISTS attempts (
    ticket TEXT NOT NULL, number INTEGER NOT NULL, base TEXT NOT NULL, start TEXT NOT NULL, state TEXT NOT NULL,
    outcome TEXT, changes TEXT, PRIMARY KEY (ticket, number)
);
CREATE TABLE IF NOT EXISTS verdicts (key TEXT PRIMARY KEY, verdict TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS reports (
    sha256 TEXT PRIMARY KEY, ticket TEXT NOT NULL, attempt INTEGER NOT NULL, pass TEXT NOT NULL, verdict TEXT NOT NULL,
    report TEXT NOT NULL, created_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS grants (
    id TEXT PRIMARY KEY, ticket TEXT NOT NULL, identity TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
    bound TEXT NOT NULL, why TEXT NOT NULL, state TEXT NOT NULL, person TEXT NOT NULL, reason TEXT NOT NULL,
    asked_at TEXT NOT NULL, expires_at TEXT NOT NULL, landed TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS spending (
    id INTEGER PRIMARY KEY, purpose TEXT NOT NULL, agent TEXT NOT NULL, feature TEXT NOT NULL, ticket TEXT NOT NULL,
    attempt INTEGER NOT NULL, day TEXT NOT NULL, owner TEXT NOT NULL, state TEXT NOT NULL,
    reserved_usd INTEGER NOT NULL, reserved_tokens INTEGER NOT NULL, used_usd INTEGER NOT NULL, used_tokens INTEGER NOT NULL,
    measured INTEGER NOT NULL, note TEXT NOT NULL, begun_at TEXT NOT NULL, settled_at TEXT
);
CREATE INDEX IF NOT EXISTS spending_by_feature ON spending (feature, ticket);
CREATE INDEX IF NOT EXISTS spending_by_day ON spending (day);
CREATE INDEX IF NOT EXISTS spending_by_ticket ON spending (ticket, attempt);
CREATE INDEX IF NOT EXISTS grants_by_ticket ON grants (ticket);
CREATE INDEX IF NOT EXISTS events_by_feature ON events (feature, seq);
CREATE INDEX IF NOT EXISTS tickets_by_feature ON tickets (feature);
CREATE INDEX IF NOT EXISTS reports_by_ticket ON reports (ticket, attempt, pass);
"""


class Database:
    """Connections to one file, one for each thread that asks."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / FILE
        self._local = threading.local()

    @property
    def exists(self) -> bool:
        return self.file.is_file()

    def connection(self) -> sqlite3.Connection:
        existing: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if existing is None:
            existing = self._local.connection = self._open()
        return existing

    def _open(self) -> sqlite3.Connection:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as undo:
            try:
                connection = sqlite3.connect(self.file, timeout=60, isolation_level=None)
                undo.callback(connection.close)
                connection.row_factory = sqlite3.Row
                self._prepare(connection)
            except sqlite3.DatabaseError as error:
                raise EnvironmentFailure(f"{self.file} cannot be used as the database: {error}") from error
            undo.pop_all()
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise InputError(
                f"{self.file} has version {version}, this Signalbox knows up to {VERSION}: "
                "upgrade Signalbox, or name another folder in [state] dir"
            )
        # a rollback journal with EXTRA survives a power cut; before SQLite 3.51.3, WAL can corrupt under two writers
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = EXTRA")
        if version < VERSION:
            connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; a transaction inside another one joins it."""
        connection = self.connection()
        if connection.in_transaction:
            yield connection
            return
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self._undo(connection)
            raise EnvironmentFailure(f"{self.file} could not be written: {error}") from error
        except BaseException:
            self._undo(connection)
            raise

    @staticmethod
    def _undo(connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close this thread's connection."""
        existing: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if existing is not None:
            existing.close()
            self._local.connection = None
