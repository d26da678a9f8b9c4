"""Opening the metadata database: SQLite in the home, or the database that `hub.yaml` names."""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DataError, IntegrityError

from experiment_hub.configuration.settings import FILE as SETTINGS_FILE
from experiment_hub.configuration.settings import settings
from experiment_hub.errors import BadInputError, DatabaseGoneError
from experiment_hub.metadata import schema

FILE = "hub.sqlite"
BUSY_TIMEOUT_SECONDS = 30
CONNECT_TIMEOUT_SECONDS = 10
BEGIN = "hub_begin"  # execution option: how a transaction of SQLite begins
DURABLE = "hub_durable"  # execution option: commits survive a power cut as well


def open_engine(home: Path) -> Engine:
    """An engine on the database of a home, created or upgraded if need be."""
    engine, place = connect(home)
    try:
        schema.bring_up_to_date(engine, home)
    except DatabaseError as error:
        foreign = getattr(error.orig, "sqlite_errorname", None) == "SQLITE_NOTADB"
        kind = BadInputError if foreign else DatabaseGoneError
        raise kind(f"{place} cannot be used as the hub's database: {first_line(error)}") from error
    return engine


def connect(home: Path) -> tuple[Engine, str]:
    """An engine whose schema nobody looked at, and its name for people, without a password."""
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"home {home} cannot be used: {error.strerror}") from error
    url = settings(home).database
    if url is None:
        return _sqlite(home / FILE), str(home / FILE)
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise BadInputError(f"{home / SETTINGS_FILE}: database: not a database URL") from error
    if parsed.get_backend_name() != "postgresql":
        raise BadInputError(
            f"{home / SETTINGS_FILE}: database: expected a postgresql URL, got {parsed.drivername}://..."
        )
    return _postgresql(parsed.set(drivername="postgresql+psycopg")), parsed.render_as_string(hide_password=True)


def first_line(error: DatabaseError) -> str:
    return str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__


@contextmanager
def explained(what: str) -> Iterator[None]:
    """What the database says becomes one of our errors; IntegrityError stays, because callers answer it."""
    try:
        yield
    except IntegrityError:
        raise
    except DataError as error:
        raise BadInputError(f"a value does not fit into the hub's database: {first_line(error)}") from error
    except (OverflowError, UnicodeEncodeError) as error:  # SQLite's driver says these itself
        raise BadInputError(f"a value does not fit into the hub's database: {error}") from error
    except DatabaseError as error:
        raise DatabaseGoneError(f"the hub's database cannot be {what}: {first_line(error)}") from error


@cache
def _postgresql(url: URL) -> Engine:
    """One for each database and process: opening a connection costs milliseconds, so they are kept."""
    engine = create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS})
    os.register_at_fork(after_in_child=lambda: engine.dispose(close=False))  # a connection serves one process only
    atexit.register(engine.dispose)
    return engine


def _sqlite(path: Path) -> Engine:
    # NullPool: a connection lives as long as one short transaction, so processes never hold each other up
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # or else sqlite3 decides on its own when a transaction begins
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")  # with WAL this survives a crash of the process


def _on_begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get(DURABLE):
        connection.exec_driver_sql("PRAGMA synchronous = FULL")
    connection.exec_driver_sql(f"BEGIN {options.get(BEGIN, 'DEFERRED')}")
