from __future__ import annotations

import sqlite3
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from memory.events import GENESIS, About, append, read, verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from memory.database import Database
    from tests.memory.conftest import Others

    Write = Callable[..., None]

APPEND = """
for index in range(40):
    with database.transaction() as connection:
        append(connection, "note", About(feature="F-0001", ticket=sys.argv[2], attempt=index), {"index": index})
"""


def fill(database: Database, count: int = 5) -> None:
    for index in range(count):
        with database.transaction() as connection:
            append(
                connection,
                "note",
                About(feature="F-0001", ticket="T-0001", attempt=index),
                {"index": index, "é": "🚀\udce9"},
            )


def test_events_are_chained_from_the_beginning(database: Database) -> None:
    fill(database)
    events = list(read(database))
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
    assert [event.previous for event in events] == [GENESIS, *(event.hash for event in events[:-1])]
    assert events[2].data == {"index": 2, "é": "🚀\udce9"}
    assert events[2].to_json() == asdict(events[2])
    assert verify(database).events == 5
    assert verify(database).broken_at is None


def test_an_empty_log_is_whole(database: Database) -> None:
    assert (verify(database).events, verify(database).broken_at) == (0, None)


def test_events_are_found_by_feature_and_place(database: Database) -> None:
    fill(database, 2)
    with database.transaction() as connection:
        append(connection, "note", About(feature="F-0002"), {})
    assert [event.seq for event in read(database, after=1)] == [2, 3]
    assert [event.seq for event in read(database, feature="F-0002")] == [3]
    assert list(read(database, after=3)) == []


@pytest.mark.parametrize("place", [1, 3, 5])
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "'2020-01-01T00:00:00.000+00:00'"),
        ("kind", "'landing.moved'"),
        ("feature", "'F-0009'"),
        ("ticket", "''"),
        ("attempt", "attempt + 1"),
        ("attempt", "1.5"),
        ("data", "'{}'"),
        ("data", "CAST(data AS BLOB)"),
        ("kind", "CAST(x'ff' AS TEXT)"),
        ("previous", "hash"),
        ("hash", "previous || 'x'"),
    ],
)
def test_a_changed_column_is_found_at_its_event(
    column: str, value: str, place: int, database: Database, write: Write
) -> None:
    fill(database)
    write(f"UPDATE events SET {column} = {value} WHERE seq = ?", place)  # noqa: S608 - the table above
    chain = verify(database)
    assert (chain.broken_at, chain.events) == (place, place - 1)
    assert f"event {place}" in chain.reason


def test_a_change_with_a_hash_of_its_own_breaks_at_the_next_event(database: Database, write: Write) -> None:
    fill(database)
    write("UPDATE events SET hash = ? WHERE seq = 2", "f" * 64)
    assert verify(database).broken_at == 2


@pytest.mark.parametrize("place", [1, 2, 4])
def test_a_deleted_event_is_missed(place: int, database: Database, write: Write) -> None:
    fill(database)
    write("DELETE FROM events WHERE seq = ?", place)
    chain = verify(database)
    assert (chain.broken_at, chain.reason) == (place, f"event {place} is missing")


def test_closing_the_gap_behind_a_deleted_event_does_not_hide_it(database: Database, write: Write) -> None:
    fill(database)
    write("DELETE FROM events WHERE seq = 3")
    for place in (4, 5):
        write("UPDATE events SET seq = seq - 1 WHERE seq = ?", place)
    assert verify(database).broken_at == 3


def test_two_events_in_each_others_place_are_found(database: Database, write: Write) -> None:
    fill(database)
    for old, new in ((2, 99), (3, 2), (99, 3)):
        write("UPDATE events SET seq = ? WHERE seq = ?", new, old)
    assert verify(database).broken_at == 2


def test_an_event_put_in_front_is_found(database: Database, write: Write) -> None:
    fill(database)
    write(
        "INSERT INTO events SELECT 0, at, kind, feature, ticket, attempt, data, previous, 'x' FROM events WHERE seq = 1"
    )
    assert verify(database).broken_at == 1


def test_a_missing_tail_is_found_once_something_follows(database: Database, write: Write) -> None:
    fill(database)
    write("DELETE FROM events WHERE seq = 5")
    write(
        "INSERT INTO events SELECT 6, at, kind, feature, ticket, attempt, data, previous, 'x' FROM events WHERE seq = 4"
    )
    assert verify(database).broken_at == 5


@pytest.mark.parametrize(
    "statement", ["UPDATE events SET kind = 'x'", "DELETE FROM events", "DELETE FROM events WHERE seq = 5"]
)
def test_the_log_can_only_be_added_to(statement: str, database: Database) -> None:
    fill(database)
    before = list(read(database))
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), database.transaction() as connection:
        connection.execute(statement)
    assert list(read(database)) == before


def test_an_event_of_a_transaction_that_failed_is_not_there(database: Database) -> None:
    fill(database, 1)

    def fail() -> None:
        with database.transaction() as connection:
            append(connection, "note", About(), {})
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert verify(database).events == 1


def test_several_threads_write_one_unbroken_chain(database: Database) -> None:
    def work() -> None:
        fill(database, 15)
        database.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verify(database) == verify(database)
    assert (verify(database).events, verify(database).broken_at) == (90, None)


def test_several_processes_write_one_unbroken_chain(database: Database, others: Others) -> None:
    others.run(APPEND, count=5)
    assert (verify(database).events, verify(database).broken_at) == (200, None)
    for ticket in map(str, range(5)):
        assert [event.data["index"] for event in read(database) if event.ticket == ticket] == list(range(40))


def test_a_reader_that_stops_halfway_keeps_no_writer_waiting(database: Database, others: Others) -> None:
    fill(database)
    reader = read(database)
    next(reader)
    others.run(APPEND, count=1)
    assert len(list(reader)) == 4
