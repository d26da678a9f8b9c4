"""What holds on a PostgreSQL server alone; `ON_BOTH` in conftest.py names the modules whose tests run on it too."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from memory.database import Database
from memory.events import About, append, read, verify
from memory.records import Records
from memory.schema import VERSION
from memory.served import schema_of
from tickets.errors import EnvironmentFailure, InputError

if TYPE_CHECKING:
    from pathlib import Path

    import postgres
    from tests.memory.conftest import Others

APPEND = """
for index in range(25):
    with database.transaction() as connection:
        append(connection, "note", About(ticket=sys.argv[2]), {"index": index})
"""


def shared(folder: Path, url: str, project: str) -> Database:
    return Database(folder, url=url, project=project)


def raw(database_url: str, project: str, sql: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f'SET search_path TO "{schema_of(project)}"'.encode())
        connection.execute(sql.encode())


@pytest.mark.parametrize("url", ["mysql://u:secret@h/db", "postgresql://u:secret@h:port/db", "signalbox.sqlite"])
def test_an_address_that_is_none_is_told_without_its_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"database_url: expected postgresql://") as caught:
        Database(tmp_path, url=url).connection()
    assert "secret" not in str(caught.value)


def test_a_server_that_does_not_answer_is_told_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure, match=r"postgresql://127\.0\.0\.1:1/db cannot be used") as caught:
        Database(tmp_path, url="postgresql://u:secret@127.0.0.1:1/db").connection()
    assert "secret" not in str(caught.value)


def test_names_that_differ_have_schemas_that_differ() -> None:
    names = ["a", "A", "a b", "a-b", "a_b", "é", "", "x" * 60, "x" * 61]
    assert len({schema_of(name) for name in names}) == len(names)
    assert max(len(schema_of(name)) for name in names) <= 63  # what PostgreSQL keeps of a name


@pytest.mark.slow
def test_two_projects_share_a_server_and_nothing_else(tmp_path: Path, url: str, project: str) -> None:
    one, other = (Records(shared(tmp_path, url, f"{project} {word}")) for word in ("one", "other"))
    assert one.add_feature("of one", options={}, target="main", before="") == "F-0001"
    assert other.add_feature("of the other", options={}, target="main", before="") == "F-0001"
    assert [row.request for row in one.features()] == ["of one"]
    assert not list(tmp_path.iterdir())
    for records in (one, other):
        records.database.close()


@pytest.mark.slow
@pytest.mark.parametrize("statement", ["UPDATE events SET kind = 'x'", "DELETE FROM events", "TRUNCATE events"])
def test_the_log_can_only_be_added_to(statement: str, tmp_path: Path, url: str, project: str) -> None:
    database = shared(tmp_path, url, project)
    with database.transaction() as connection:
        append(connection, "note", About(), {})
    with pytest.raises(psycopg.IntegrityError, match="append-only"):
        raw(url, project, statement)
    assert verify(database).events == 1
    database.close()


@pytest.mark.slow
def test_a_changed_event_is_found(tmp_path: Path, url: str, project: str) -> None:
    database = shared(tmp_path, url, project)
    for number in range(4):
        with database.transaction() as connection:
            append(connection, "note", About(), {"n": number})
    raw(url, project, "ALTER TABLE events DISABLE TRIGGER ALL; UPDATE events SET data = '{}' WHERE seq = 3")
    assert verify(database).broken_at == 3
    database.close()


@pytest.mark.slow
def test_several_machines_write_one_unbroken_chain(tmp_path: Path, url: str, project: str) -> None:
    from tests.memory.conftest import Others as Machines

    others: Others = Machines(tmp_path, url, project)
    others.run(APPEND, count=4)
    database = shared(tmp_path, url, project)
    assert (verify(database).events, verify(database).broken_at) == (100, None)
    for ticket in map(str, range(4)):
        assert [event.data["index"] for event in read(database, ticket=ticket)] == list(range(25))
    database.close()


@pytest.mark.slow
def test_a_newer_schema_is_refused(tmp_path: Path, url: str, project: str) -> None:
    database = shared(tmp_path, url, project)
    database.connection()
    database.close()
    raw(url, project, f"INSERT INTO meta VALUES ({VERSION + 1})")  # noqa: S608 - a number of ours
    with pytest.raises(InputError, match=f"has version {VERSION + 1}.*upgrade"):
        database.connection()


@pytest.mark.slow
def test_a_lost_connection_is_one_clear_error_and_the_next_write_reconnects(
    tmp_path: Path, url: str, project: str
) -> None:
    records = Records(shared(tmp_path, url, project))
    records.add_feature("before", options={}, target="main", before="")

    def cut_in_the_middle() -> None:
        with records.database.transaction():
            records.add_feature("in between", options={}, target="main", before="")
            with psycopg.connect(url, autocommit=True) as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'signalbox'"
                    " AND state = 'idle in transaction'"
                )

    with pytest.raises(EnvironmentFailure, match=r"cannot be used: .*what was acknowledged is kept"):
        cut_in_the_middle()
    assert records.add_feature("after", options={}, target="main", before="") == "F-0002"
    assert [row.request for row in records.features()] == ["before", "after"]
    assert verify(records.database).broken_at is None
    records.database.close()


@pytest.mark.slow
def test_a_role_that_may_not_write_is_told(tmp_path: Path, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN")
    with pytest.raises(EnvironmentFailure, match="cannot be used: permission denied for database"):
        shared(tmp_path, url.replace("hub@", "reader@"), "new").connection()


@pytest.mark.slow
def test_a_server_that_fails_and_comes_back_has_all_that_it_acknowledged(
    tmp_path: Path, postgres_server: postgres.Server, url: str, project: str
) -> None:
    records = Records(shared(tmp_path, url, project))
    for number in range(5):
        records.add_feature(f"request {number}", options={}, target="main", before="")
    postgres_server.stop()
    try:
        for _ in range(2):
            with pytest.raises(EnvironmentFailure, match="cannot be used"):
                records.features()
    finally:
        postgres_server.start()
    assert len(records.features()) == 5
    records.database.close()


@pytest.mark.slow
def test_a_writer_keeps_others_waiting_only_as_long_as_it_writes(tmp_path: Path, url: str, project: str) -> None:
    database = shared(tmp_path, url, project)
    records, told = Records(database), []

    def other() -> None:
        told.append(records.add_feature("the second", options={}, target="main", before=""))
        database.close()

    with database.transaction():
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.2)
        assert told == []
        assert records.add_feature("the first", options={}, target="main", before="") == "F-0001"
    thread.join()
    assert told == ["F-0002"]
    database.close()


@pytest.mark.slow
def test_sums_are_whole_numbers_and_rows_have_names_and_places(tmp_path: Path, url: str, project: str) -> None:
    database = shared(tmp_path, url, project)
    row = (
        database.connection()
        .execute("SELECT SUM(CAST(? AS BIGINT)) AS many, 'x' AS word, 1.5 AS half", (7,))
        .fetchone()
    )
    assert (row["many"], row[1], row["half"]) == (7, "x", 1.5)
    assert dict(row) == {"many": 7, "word": "x", "half": 1.5}
    assert isinstance(row["many"], int)
    database.close()
