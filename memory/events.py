"""The event log: append-only, each entry chained to the one before by its hash."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memory.database import Database

GENESIS = "0" * 64


@dataclass(frozen=True, kw_only=True)
class Event:
    seq: int
    at: str
    kind: str
    """`feature.planned`, `ticket.state`, `attempt.ended`, `gates.judged`, `landing.moved`, ..."""
    feature: str
    ticket: str
    attempt: int
    data: dict[str, Any]
    previous: str
    hash: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class About:
    """What an event is about."""

    feature: str = ""
    ticket: str = ""
    attempt: int = 0


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def append(connection: sqlite3.Connection, kind: str, about: About, data: dict[str, Any]) -> None:
    """Add one event inside the caller's transaction: it stands if and only if what it tells stands."""
    last = connection.execute("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
    seq, previous = (last["seq"] + 1, last["hash"]) if last else (1, GENESIS)
    at, text = now(), json.dumps(data, sort_keys=True)
    row = (seq, at, kind, about.feature, about.ticket, about.attempt, text, previous)
    connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, _hash(row)))


def _hash(row: tuple[Any, ...]) -> str:
    # `default`: a value that was made a blob from outside is a change to report, not a reason to stumble
    return hashlib.sha256(json.dumps(row, default=repr).encode()).hexdigest()


def read(database: Database, *, after: int = 0, feature: str = "") -> Iterator[Event]:
    query = "SELECT * FROM events WHERE seq > ? AND (? = '' OR feature = ?) ORDER BY seq"
    # all at once: a reader that is half through would keep every writer waiting
    for row in database.connection().execute(query, (after, feature, feature)).fetchall():
        yield Event(**{**dict(row), "data": json.loads(row["data"])})


@dataclass(frozen=True, kw_only=True)
class Chain:
    """What checking the chain found."""

    events: int
    broken_at: int | None
    reason: str


def verify(database: Database) -> Chain:
    """Recompute every hash; name the first event that does not fit."""
    previous, expected = GENESIS, 1
    rows = database.connection().execute("SELECT * FROM events ORDER BY seq")
    while True:
        try:
            row = next(rows, None)
        except sqlite3.OperationalError as error:  # text that is no UTF-8
            return Chain(events=expected - 1, broken_at=expected, reason=f"event {expected} cannot be read: {error}")
        if row is None:
            break
        values = tuple(row)
        if values[0] != expected:
            return Chain(events=expected - 1, broken_at=expected, reason=f"event {expected} is missing")
        if values[7] != previous or values[8] != _hash(values[:8]):
            return Chain(
                events=expected - 1, broken_at=expected, reason=f"event {expected} was changed after it was written"
            )
        previous, expected = values[8], expected + 1
    return Chain(events=expected - 1, broken_at=None, reason="")
