from __future__ import annotations

import signal
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest

from memory.database import Database
from memory.events import About, append, read, verify
from memory.schema import VERSION
from tickets.errors import EnvironmentFailure, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from memory.connection import Connection
    from tests.memory.conftest import Others

WRITE_FOREVER = """
records = Records(database)
for index in range(100_000):
    print(records.add_feature(f"request {index}", options={}, target="main", before="0" * 40), flush=True)
"""
SWALLOW = "INSERT INTO verdicts VALUES (?, '{}', '')"


def keys(database: Database) -> list[str]:
    return [row["key"] for row in database.connection().execute("SELECT key FROM verdicts ORDER BY key")]


def test_a_new_database_is_set_up_once(tmp_path: Path) -> None:
    database = Database(tmp_path / "deep" / "state")
    assert not database.exists
    assert database.connection().execute("PRAGMA user_version").fetchone()[0] == VERSION
    assert database.connection().execute("PRAGMA synchronous").fetchone()[0] == 3
    assert database.connection().execute("PRAGMA journal_mode").fetchone()[0] == "delete"
    assert database.exists
    assert database.connection() is database.connection()
    database.close()
    database.close()


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_a_newer_database_is_refused_and_not_a_byte_of_it_changed(journal: str, tmp_path: Path) -> None:
    database = Database(tmp_path)
    other = sqlite3.connect(database.file)
    other.execute(f"PRAGMA journal_mode = {journal}")
    other.execute("CREATE TABLE future (x)")
    other.execute(f"PRAGMA user_version = {VERSION + 1}")
    other.commit()
    other.close()
    before = database.file.read_bytes()
    with pytest.raises(InputError, match=f"has version {VERSION + 1}.*upgrade"):
        database.connection()
    assert database.file.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [database.file.name]


@pytest.mark.parametrize("content", [b"this is no database at all\n" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_database_is_refused_and_left_alone(content: bytes, tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.file.write_bytes(content)
    with pytest.raises(EnvironmentFailure, match="cannot be used as the database"):
        database.connection()
    assert database.file.read_bytes() == content


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.file.mkdir()
    with pytest.raises(EnvironmentFailure, match="cannot be used as the database"):
        database.connection()


def test_an_exception_rolls_everything_back(database: Database) -> None:
    def fail(error: BaseException) -> None:
        with database.transaction() as connection:
            connection.execute(SWALLOW, ("a",))
            with database.transaction() as inner:
                assert inner is connection
                inner.execute(SWALLOW, ("b",))
            raise error

    for error in (ValueError("x"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            fail(error)
        assert keys(database) == []
        assert not database.connection().in_transaction


def test_an_exception_inside_a_nested_transaction_rolls_everything_back(database: Database) -> None:
    def fail() -> None:
        with database.transaction() as connection:
            connection.execute(SWALLOW, ("a",))
            with database.transaction() as inner:
                inner.execute(SWALLOW, ("b",))
                raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        fail()
    assert keys(database) == []


def test_a_nested_transaction_is_part_of_the_outer_one(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(SWALLOW, ("a",))
        with database.transaction() as inner:
            inner.execute(SWALLOW, ("b",))
        assert connection.in_transaction
    assert keys(database) == ["a", "b"]


def test_a_statement_that_breaks_a_rule_is_told_as_it_is(database: Database) -> None:
    def insert() -> None:
        with database.transaction() as connection:
            connection.execute(SWALLOW, ("a",))

    insert()
    with pytest.raises(sqlite3.IntegrityError):
        insert()
    assert keys(database) == ["a"]


def test_a_write_that_cannot_be_made_is_a_failure_of_the_machine(database: Database) -> None:
    with pytest.raises(EnvironmentFailure, match="could not be written"), database.transaction() as connection:
        connection.execute("INSERT INTO no_such_table VALUES (1)")
    assert keys(database) == []


def test_each_thread_has_a_connection_of_its_own(database: Database) -> None:
    found: list[Connection] = []

    def look() -> None:
        found.append(database.connection())
        database.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found[0] is not database.connection()


def test_processes_that_set_it_up_at_once_do_no_harm(database: Database, others: Others) -> None:
    others.run("print(database.connection().execute('PRAGMA user_version').fetchone()[0])", count=6)
    with database.transaction() as connection:
        append(connection, "note", About(), {})
    assert verify(database).events == 1


@pytest.mark.parametrize("rows", [1, 7, 30])
def test_a_killed_writer_loses_nothing_that_it_had_acknowledged(rows: int, database: Database, others: Others) -> None:
    with others.start(WRITE_FOREVER) as writer:
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline().strip() for _ in range(rows)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += writer.stdout.read().split()
    there = [row["id"] for row in database.connection().execute("SELECT id FROM features ORDER BY id")]
    assert set(acknowledged) <= set(there)
    assert len(there) <= len(acknowledged) + 1
    assert verify(database).broken_at is None
    assert [event.feature for event in read(database)] == there
    with database.transaction() as connection:
        append(connection, "note", About(), {})
