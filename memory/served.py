"""The records on a PostgreSQL server that several machines share: each project in a schema of its own."""

from __future__ import annotations

import hashlib
import re
from contextlib import nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from memory.connection import DatabaseGoneError
from memory.schema import VERSION, for_postgres
from tickets.errors import EnvironmentFailure, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    import psycopg

    from memory.connection import Connection

CONNECT_S = 10
BUSY_S = 60
_SETTINGS = {
    "synchronous_commit": "on",
    "lock_timeout": f"{BUSY_S}s",
    # an owner that sleeps, or whose machine is gone, while it writes must not keep all others waiting
    "idle_in_transaction_session_timeout": "30s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}


_NO_ADDRESS = (
    "[state] database_url: expected postgresql://user@host:port/database, or nothing for the embedded database"
)


class Row(tuple[Any, ...]):
    """A row whose columns are found by name and by place."""

    __slots__ = ()
    names: tuple[str, ...] = ()

    def __getitem__(self, key: Any) -> Any:
        return tuple.__getitem__(self, self.names.index(key) if isinstance(key, str) else key)

    def keys(self) -> tuple[str, ...]:
        return self.names


class Link:
    """One connection, in the words of SQLite's; what the server or the network breaks is told as EnvironmentFailure."""

    def __init__(self, raw: psycopg.Connection[Any], server: str) -> None:
        self.raw = raw
        self.server = server

    @property
    def in_transaction(self) -> bool:
        from psycopg.pq import TransactionStatus

        return self.raw.info.transaction_status not in {TransactionStatus.IDLE, TransactionStatus.UNKNOWN}

    def execute(self, sql: str, parameters: Sequence[object] | Mapping[str, object] = (), /) -> Any:
        import psycopg

        try:
            return self.raw.execute(_translated(sql, named=isinstance(parameters, dict)), parameters or None)
        except (
            psycopg.OperationalError,
            psycopg.InterfaceError,
            psycopg.errors.InsufficientPrivilege,
            psycopg.errors.ReadOnlySqlTransaction,
        ) as error:
            if not self.in_transaction:
                self.raw.close()
            raise broken(self.server, error) from error

    def close(self) -> None:
        self.raw.close()


class Served:
    def __init__(self, url: str, project: str) -> None:
        self.url = url
        self.schema = schema_of(project)
        self.server = _named(url)

    @property
    def exists(self) -> bool:
        return True

    def open(self) -> Link:
        psycopg = _driver()
        try:
            raw = psycopg.connect(
                self.url, autocommit=True, connect_timeout=CONNECT_S, row_factory=_rows, application_name="signalbox"
            )
        except psycopg.ProgrammingError:
            raise InputError(_NO_ADDRESS) from None  # the driver's own words may hold the password
        except psycopg.OperationalError as error:
            raise broken(self.server, error) from error
        link = Link(raw, self.server)
        try:
            self._prepare(link)
        except BaseException:
            raw.close()
            raise
        return link

    def _prepare(self, link: Link) -> None:
        _plain_numbers(link.raw)
        for name, value in _SETTINGS.items():
            link.execute("SELECT set_config(?, ?, false)", (name, value))
        unsafe = [name for name in ("fsync", "full_page_writes") if link.execute(f"SHOW {name}").fetchone()[0] != "on"]
        if unsafe:
            raise EnvironmentFailure(
                f"{self.server} has {' and '.join(unsafe)} switched off: it would lose what it acknowledged at a power cut; switch it on"
            )
        link.execute("SELECT set_config('search_path', ?, false)", (self.schema,))
        version = self._version(link)
        if version > VERSION:
            raise InputError(
                f"schema {self.schema} on {self.server} has version {version}, this Signalbox knows up to {VERSION}: upgrade Signalbox"
            )
        if version < VERSION:
            self._upgrade(link)

    def _version(self, link: Link) -> int:
        query = "SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = 'meta'"
        if link.execute(query, (self.schema,)).fetchone() is None:
            return 0
        return int(link.execute("SELECT COALESCE(MAX(version), 0) FROM meta").fetchone()[0])

    def _upgrade(self, link: Link) -> None:
        self.begin(link)
        try:
            if self._version(link) < VERSION:
                link.execute(f'CREATE SCHEMA IF NOT EXISTS "{self.schema}"')
                link.raw.execute(for_postgres().encode())
                link.execute("CREATE TABLE IF NOT EXISTS meta (version BIGINT NOT NULL)")
                link.execute("INSERT INTO meta VALUES (?)", (VERSION,))
            link.execute("COMMIT")
        except BaseException:
            if link.in_transaction:
                link.execute("ROLLBACK")
            raise

    @staticmethod
    def usable(connection: Connection) -> bool:
        return isinstance(connection, Link) and not connection.raw.closed and not connection.raw.broken

    def begin(self, connection: Connection) -> None:
        connection.execute("BEGIN")
        # one writer at a time, as on SQLite: the next id and the last hash stay what they were read as
        connection.execute("SELECT pg_advisory_xact_lock(?)", (_key(self.schema),))

    @staticmethod
    def commit(connection: Connection, *, kept: bool) -> None:  # noqa: ARG004 - the server keeps all or nothing
        connection.execute("COMMIT")

    @staticmethod
    def failure(error: BaseException) -> EnvironmentFailure | None:  # noqa: ARG004 - the link has told it already
        return None

    @staticmethod
    def clock(connection: Connection) -> tuple[str, float]:
        return "postgresql", float(connection.execute("SELECT EXTRACT(EPOCH FROM clock_timestamp())").fetchone()[0])

    def check(self) -> str:
        """See that the server answers; what it keeps is its own to check."""
        self.open().close()
        return ""

    @staticmethod
    def at_work() -> AbstractContextManager[None]:
        return nullcontext()


def broken(server: str, error: Exception) -> DatabaseGoneError:
    said = str(error).strip().partition("\n")[0]
    return DatabaseGoneError(
        f"the database {server} cannot be used: {said}; what was acknowledged is kept there, try again when it answers"
    )


def schema_of(project: str) -> str:
    """Name the schema of a project: readable, and different for names that differ in any letter."""
    plain = re.sub(r"[^a-z0-9]+", "_", project.lower())[:30].strip("_")
    return f"signalbox_{plain}_{hashlib.sha256(project.encode()).hexdigest()[:8]}"


def _key(schema: str) -> int:
    return int.from_bytes(hashlib.sha256(schema.encode()).digest()[:8], signed=True)


def _named(url: str) -> str:
    """Name the server without its password; raise InputError for what is no address of one."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise InputError(_NO_ADDRESS) from None
    if parts.scheme not in {"postgresql", "postgres"}:
        raise InputError(_NO_ADDRESS)
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def _driver() -> Any:
    try:
        import psycopg
    except ImportError as error:
        raise InputError(
            "[state] database_url names a PostgreSQL server, and its driver is not installed: pip install 'signalbox[postgres]'"
        ) from error
    return psycopg


@lru_cache(maxsize=512)
def _translated(sql: str, *, named: bool) -> bytes:
    escaped = sql.replace("%", "%%")
    if named:
        return re.sub(r":([a-z]\w*)", r"%(\1)s", escaped).encode()
    return escaped.replace("?", "%s").encode()


def _rows(cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], Row]:
    names = tuple(column.name for column in cursor.description or ())
    return _kind(names)


@lru_cache(maxsize=256)
def _kind(columns: tuple[str, ...]) -> type[Row]:
    class Named(Row):
        __slots__ = ()
        names = columns

    return Named


def _plain_numbers(raw: psycopg.Connection[Any]) -> None:
    """Sums of whole numbers come as `numeric`: give them as whole numbers, as SQLite does."""
    from psycopg.adapt import Loader

    class Plain(Loader):
        def load(self, data: Any) -> Any:
            text = bytes(data).decode()
            return float(text) if set(text) - set("-0123456789") else int(text)

    raw.adapters.register_loader("numeric", Plain)
