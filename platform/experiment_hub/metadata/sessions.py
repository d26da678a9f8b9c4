"""Short transactions, the same on SQLite and PostgreSQL; every write of the hub goes through here."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from experiment_hub.metadata.database import BEGIN, DURABLE, explained
from experiment_hub.metadata.tables import Base


@contextmanager
def writing(engine: Engine, *, durable: bool = False) -> Iterator[Session]:
    """One transaction that takes SQLite's write lock at its start, so that it never fails half way; `durable` survives a power cut.

    Raises DatabaseGoneError when the database cannot be reached, is full or damaged, or stays locked for too long, and
    BadInputError for a value that it cannot hold.
    """
    bound = engine.execution_options(**{BEGIN: "IMMEDIATE", DURABLE: durable})
    with explained("written"), Session(bound, expire_on_commit=False) as session, session.begin():
        session.connection()  # now, not at the first statement: what is read before a write must be locked as well
        yield session


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """What is read stays usable after the end; raises as `writing` does."""
    with explained("read"), Session(engine, expire_on_commit=False) as session:
        yield session


def upsert(session: Session, kind: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; where the primary key is there already, the other columns that the rows name are replaced."""
    if not rows:
        return
    statement, keys = _insert(session, kind)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    if changed:
        statement = statement.on_conflict_do_update(index_elements=keys, set_=changed)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=keys)
    session.execute(statement, [dict(row) for row in rows])


def insert_missing(session: Session, kind: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; one whose primary key is there already stays as it is."""
    if rows:
        statement, keys = _insert(session, kind)
        session.execute(statement.on_conflict_do_nothing(index_elements=keys), [dict(row) for row in rows])


def _insert(session: Session, kind: type[Base]) -> tuple[sqlite.Insert | postgresql.Insert, list[str]]:
    table = kind.__table__
    assert isinstance(table, Table)  # noqa: S101 -- every mapped class of ours has one
    factory = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    return factory(table), [column.name for column in table.primary_key]
