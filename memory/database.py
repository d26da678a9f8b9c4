"""The database of a repository: SQLite in its state folder, or a schema of its own on a PostgreSQL server that several machines share.

Both are spoken to in the same SQL, with `?` for values; rows give their columns by name and by place. Both are set up so that what was
acknowledged survives a power cut. Writes happen in `transaction()` alone, and there is one writer at a time: what a transaction read
stays true until it ends.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from memory.embedded import Embedded
from memory.fences import check_fences
from tickets.errors import EnvironmentFailure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from memory.connection import Connection, Store
    from memory.mirror import Mirror


class Database:
    """Connections to one database, one for each thread that asks."""

    def __init__(self, folder: Path, *, url: str = "", project: str = "project") -> None:
        """Nothing is opened yet. `url` names a PostgreSQL server, where `project` has a schema of its own."""
        self._local = threading.local()
        self._embedded = None if url else Embedded(folder)
        self._store: Store = self._embedded or _served(url, project)

    @property
    def file(self) -> Path:
        """The SQLite file; raise EnvironmentFailure where a server keeps the records."""
        return self._own().file

    @property
    def mirror(self) -> Mirror:
        """What an embedded database is restored from; raise EnvironmentFailure where a server keeps the records."""
        return self._own().mirror

    def _own(self) -> Embedded:
        if self._embedded is None:
            raise EnvironmentFailure("the records are kept by a PostgreSQL server; its own backups restore them")
        return self._embedded

    @property
    def shared(self) -> bool:
        """Whether other machines may work on it."""
        return self._embedded is None

    @property
    def exists(self) -> bool:
        return self._store.exists

    def connection(self) -> Connection:
        existing: Connection | None = getattr(self._local, "connection", None)
        if existing is not None and not self._store.usable(existing):
            self.close()
            existing = None
        if existing is None:
            existing = self._local.connection = self._store.open()
        return existing

    @contextmanager
    def transaction(self, *, kept: bool = True) -> Iterator[Connection]:
        """All or nothing; a transaction inside another one joins it. `kept=False`: nobody will miss it after a loss of the database."""
        connection = self.connection()
        if connection.in_transaction:
            self._local.kept |= kept
            check_fences(connection)
            yield connection
            return
        self._local.kept = kept
        try:
            self._store.begin(connection)
            check_fences(connection)
            yield connection
            self._store.commit(connection, kept=self._local.kept)
        except BaseException as error:
            self._undo(connection)
            failure = self._store.failure(error)
            if failure is None:
                raise
            raise failure from error

    def _undo(self, connection: Connection) -> None:
        if self._store.usable(connection) and connection.in_transaction:
            connection.execute("ROLLBACK")

    def clock(self) -> tuple[str, float]:
        """Give the time that claims are measured by: which clock, and its seconds. Two readings compare on the same clock only."""
        return self._store.clock(self.connection())

    def check(self) -> str:
        """Look the database over before a run, closely where the last one did not end well; say what was mended, or nothing.

        Raise EnvironmentFailure, with what restores it, where it is damaged.
        """
        return self._store.check()

    def at_work(self) -> AbstractContextManager[None]:
        """A run; one that is broken off in the middle leaves word of that for the next check."""
        return self._store.at_work()

    def close(self) -> None:
        """Close this thread's connection."""
        existing: Connection | None = getattr(self._local, "connection", None)
        if existing is not None:
            existing.close()
            self._local.connection = None


def _served(url: str, project: str) -> Store:
    from memory.served import Served

    return Served(url, project)
