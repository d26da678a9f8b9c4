"""The event log: append-only, each entry chained to the one before by its hash."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from memory.connection import Connection
    from memory.database import Database

GENESIS = "0" * 64
_FIELDS = "seq, at, kind, feature, ticket, attempt, data, previous, hash"


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


def append(connection: Connection, kind: str, about: About, data: dict[str, Any]) -> None:
    """Add one event inside the caller's transaction: it stands if and only if what it tells stands."""
    last = connection.execute("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
    seq, previous = (last["seq"] + 1, last["hash"]) if last else (1, GENESIS)
    at, text = now(), json.dumps(data, sort_keys=True)
    about_it = (kind, about.feature, about.ticket)
    if any("\n" in word for word in about_it):
        raise ValueError(f"a line end in {about_it} would let two events have one hash")
    row = (seq, at, *about_it, about.attempt, text, previous)
    connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, _hash(row)))


def _hash(row: Sequence[Any]) -> str:
    """Hash an event's line: its fields, each of them on a line; none of them holds a line end."""
    return hashlib.sha256("\n".join(map(str, row)).encode()).hexdigest()


def _old_hash(row: Sequence[Any]) -> str:
    """Hash an event as versions before 4 of the database did, four times as slowly; their chains stay what they are."""
    # `default`: a value that was made a blob from outside is a change to report, not a reason to stumble
    return hashlib.sha256(json.dumps(row, default=repr).encode()).hexdigest()


def read(database: Database, *, after: int = 0, feature: str = "", ticket: str = "") -> Iterator[Event]:
    chosen = {"feature": feature, "ticket": ticket}
    where = "".join(f" AND {name} = ?" for name, value in chosen.items() if value)
    query = f"SELECT {_FIELDS} FROM events WHERE seq > ?{where} ORDER BY seq"  # noqa: S608 - our own columns
    # all at once: a reader that is half through would keep every writer waiting
    for row in database.connection().execute(query, (after, *filter(None, chosen.values()))).fetchall():
        yield Event(**{**dict(row), "data": json.loads(row["data"])})


@dataclass(frozen=True, kw_only=True)
class Chain:
    """What checking the chain found."""

    events: int
    broken_at: int | None
    reason: str


def verify(database: Database) -> Chain:
    """Recompute every hash; name the first event that does not fit."""
    previous, expected, sha256 = GENESIS, 1, hashlib.sha256
    query = f"SELECT {_FIELDS} FROM events ORDER BY seq"  # noqa: S608 - our own columns
    try:
        # `_hash` written out: with a hundred thousand events, calls are a third of the time
        for seq, at, kind, feature, ticket, attempt, data, before, digest in database.connection().execute(query):
            line = f"{seq}\n{at}\n{kind}\n{feature}\n{ticket}\n{attempt}\n{data}\n{before}"
            if seq != expected or before != previous or digest != sha256(line.encode()).hexdigest():
                fields = (seq, at, kind, feature, ticket, attempt, data, before)
                if reason := _trouble(fields, digest, (expected, previous)):
                    return Chain(events=expected - 1, broken_at=expected, reason=reason)
            previous, expected = digest, expected + 1
    except sqlite3.OperationalError as error:  # text that is no UTF-8
        return Chain(events=expected - 1, broken_at=expected, reason=f"event {expected} cannot be read: {error}")
    return Chain(events=expected - 1, broken_at=None, reason="")


def _trouble(fields: Sequence[Any], digest: str, wanted: tuple[int, str]) -> str:
    """Say what is wrong with an event that does not have the present hash at the wanted place; "" for a sound one of an old version."""
    expected, previous = wanted
    if fields[0] != expected:
        return f"event {expected} is missing"
    if fields[7] == previous and digest == _old_hash(fields):
        return ""
    return f"event {expected} was changed after it was written"
