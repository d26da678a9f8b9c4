"""Migrations up and down, backups, damage, definitions of metrics: on SQLite and on PostgreSQL."""

import dataclasses
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from experiment_hub.errors import BadInputError, ConflictError, DatabaseGoneError
from experiment_hub.metadata import integrity, metric_versions, schema
from experiment_hub.metadata.backups import back_up
from experiment_hub.metadata.database import FILE, connect, open_engine
from experiment_hub.metadata.sessions import insert_missing, reading, upsert, writing
from experiment_hub.metadata.tables import Base, Job, RunTag, Token
from experiment_hub.metrics.registry import metric, metrics

if TYPE_CHECKING:
    import postgres

Hub = Callable[..., tuple[int, str, str]]

HOLDER = """
import sys, time
from pathlib import Path
from experiment_hub.metadata.database import open_engine
from experiment_hub.metadata.sessions import writing
from experiment_hub.metadata.tables import Token

with writing(open_engine(Path(sys.argv[1]))) as session:
    session.add(Token(id="t", name="held", role="viewer", secret_hash="x", created_at="now"))
    session.flush()
    print("holds", flush=True)
    time.sleep(600)
"""


def token(name: str, number: int = 0) -> Token:
    return Token(id=f"t-{number}", name=name, role="viewer", secret_hash=str(number), created_at="now")


def definition(**changes: Any) -> dict[str, Any]:
    found = dataclasses.replace(metric("loss"), name="mine", **changes)
    return {**found.words(), "definition_hash": found.fingerprint(), "code_hash": None, "added_at": "now"}


def test_the_migrations_make_exactly_the_tables_that_the_code_uses(any_home: Path) -> None:
    with open_engine(any_home).connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    assert [each for each in differences if each[0] != "remove_index"] == []


def test_every_revision_can_be_left_and_reached_again(any_home: Path) -> None:
    engine = open_engine(any_home)
    before = {table: inspect(engine).get_columns(table) for table in inspect(engine).get_table_names()}
    for target in [*reversed(schema.known_revisions()[:-1]), "base"]:
        schema.move(engine, target)
        assert schema.revision(engine) == (None if target == "base" else target)
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    for target in schema.known_revisions():
        schema.move(engine, target)
    after = {table: inspect(engine).get_columns(table) for table in inspect(engine).get_table_names()}
    assert {table: {each["name"] for each in columns} for table, columns in after.items()} == {
        table: {each["name"] for each in columns} for table, columns in before.items()
    }


def test_a_step_back_makes_a_backup_first_and_the_way_forward_is_open(hub: Hub, home: Path) -> None:
    assert hub("db", "upgrade")[0] == 0
    code, out, _ = hub("db", "downgrade", "0004", "--json")
    document = json.loads(out)
    assert (code, document["after"]) == (0, "0004")
    with sqlite3.connect(document["backup"]) as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == (schema.known_revisions()[-1],)
    assert hub("db", "check")[0] == 4
    assert hub("db", "upgrade")[0] == 0
    assert hub("db", "check")[1].strip() == f"{home / FILE}: no problem found"


@pytest.mark.parametrize("revision", ["0", "9999", "head ", "../0001"])
def test_an_unknown_revision_is_bad_input(hub: Hub, revision: str) -> None:
    code, _, errors = hub("db", "downgrade", revision)
    assert code == 2
    assert "known: base, 0001" in errors


def test_a_backup_is_a_database_of_its_own_and_overwrites_nothing(any_home: Path, tmp_path: Path) -> None:
    engine = open_engine(any_home)
    with writing(engine) as session:
        session.add(token("kept"))
    target = tmp_path / "deep" / "copy"
    assert back_up(engine, target).stat().st_size > 1000
    if engine.dialect.name == "sqlite":
        with sqlite3.connect(target) as copy:
            assert copy.execute("SELECT name FROM tokens").fetchall() == [("kept",)]
    else:
        assert target.read_bytes().startswith(b"PGDMP")
    content = target.read_bytes()
    with pytest.raises(ConflictError, match="is there already"):
        back_up(engine, target)
    assert target.read_bytes() == content
    assert [path.name for path in target.parent.iterdir()] == ["copy"]


def test_damage_to_the_file_and_dangling_references_are_found(hub: Hub, home: Path) -> None:
    engine = open_engine(home)
    with sqlite3.connect(home / FILE) as connection:
        connection.execute("INSERT INTO run_tags VALUES ('r-nobody', 'lost')")
        connection.execute("DROP INDEX runs_by_state")
        connection.execute("ALTER TABLE jobs DROP COLUMN wish")
    found = list(integrity.problems(engine))
    assert "column jobs.wish is missing" in found
    assert "index runs_by_state is missing" in found
    assert any(line.startswith("1 rows of run_tags refer by run_id") for line in found)
    code, out, _ = hub("db", "check", "--json")
    assert (code, json.loads(out)["problems"]) == (4, found)


def test_a_page_of_garbage_is_found(home: Path) -> None:
    engine = open_engine(home)
    with writing(engine) as session:
        session.add_all(token("x" * 500, index) for index in range(200))
    with sqlite3.connect(home / FILE) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = (home / FILE).stat().st_size
    with (home / FILE).open("r+b") as file:
        file.seek(size - 3 * 4096)
        file.write(b"\xff" * 4096)
    assert any("damaged" in line for line in integrity.problems(engine))


def test_rows_are_replaced_by_key_or_left_alone(any_home: Path) -> None:
    engine = open_engine(any_home)
    row = {"name": "m", "slot": 0, "job_id": None, "token": 1}
    from experiment_hub.metadata.tables import NamedLease

    with writing(engine) as session:
        upsert(session, NamedLease, [row])
        upsert(session, NamedLease, [{**row, "token": 2}, {**row, "slot": 1}])
        insert_missing(session, NamedLease, [{**row, "token": 9}])
        upsert(session, RunTag, [])
    with reading(engine) as session:
        assert sorted((each.slot, each.token) for each in session.query(NamedLease)) == [(0, 2), (1, 1)]


def test_a_transaction_that_fails_leaves_nothing(any_home: Path) -> None:
    engine = open_engine(any_home)

    def half() -> None:
        with writing(engine, durable=True) as session:
            session.add(token("n"))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    with reading(engine) as session:
        assert session.query(Token).count() == 0


def test_a_lock_that_somebody_keeps_ends_in_one_clear_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiment_hub.metadata import database

    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0.2)
    engine = open_engine(home)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(home)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holds\n"
        with pytest.raises(DatabaseGoneError, match="cannot be written: database is locked"), writing(engine):
            pass
        with reading(engine) as session:
            assert session.query(Token).count() == 0  # readers go on meanwhile
    finally:
        holder.kill()
        holder.communicate()
    with writing(engine) as session:  # the lock died with its holder
        session.add(token("n"))


def test_a_full_disk_is_one_clear_error_and_nothing_is_lost(home: Path) -> None:
    engine = open_engine(home)
    with engine.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar() or 0

    def too_much() -> None:
        with writing(engine) as session:
            session.connection().exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            session.add(token("x" * 100_000))
            session.flush()

    with pytest.raises(DatabaseGoneError, match="database or disk is full"):
        too_much()
    assert list(integrity.problems(engine)) == []


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://u:secret@h/db", "expected a postgresql URL"),
        ("not a url", "not a database URL"),
        ("3", "expected a valid string"),
    ],
)
def test_a_wrong_database_url_is_named_and_its_password_is_not(home: Path, url: str, says: str) -> None:
    home.mkdir()
    (home / "hub.yaml").write_text(f"database: {url}\n")
    with pytest.raises(BadInputError, match=says) as error:
        connect(home)
    assert "secret" not in str(error.value)
    assert "hub.yaml" in str(error.value)


def test_a_server_that_is_not_there_is_said_without_the_password(home: Path) -> None:
    home.mkdir()
    (home / "hub.yaml").write_text("database: postgresql://hub:secret@127.0.0.1:1/db\n")
    with pytest.raises(DatabaseGoneError, match=r"127\.0\.0\.1:1/db cannot be used") as error:
        open_engine(home)
    assert "secret" not in str(error.value)


@pytest.mark.long
def test_a_server_that_went_away_is_said_and_used_again_when_it_is_back(
    postgres_home: Path, postgres_server: "postgres.Server"
) -> None:
    engine = open_engine(postgres_home)
    postgres_server.stop()
    try:
        with pytest.raises(DatabaseGoneError), writing(engine):
            pass
        with pytest.raises(DatabaseGoneError), reading(engine) as session:
            session.query(Job).all()
    finally:
        postgres_server.start()
    with writing(engine) as session:
        session.add(token("n"))


@pytest.mark.long
def test_many_may_open_an_empty_postgresql_at_once(postgres_home: Path) -> None:
    code = "import sys; from pathlib import Path; from experiment_hub.metadata.database import open_engine; open_engine(Path(sys.argv[1])).dispose()"
    openers = [subprocess.Popen([sys.executable, "-c", code, str(postgres_home)]) for _ in range(4)]
    assert [each.wait(timeout=60) for each in openers] == [0, 0, 0, 0]
    assert list(integrity.problems(open_engine(postgres_home))) == []


# metrics as schema


@pytest.mark.parametrize("name", ["accuracy", "loss", "perplexity"])
def test_the_first_metrics_are_in_the_schema_word_for_word(home: Path, name: str) -> None:
    rows = {(row.name, row.version): row for row in metric_versions.versions(open_engine(home))}
    row = rows[name, metric(name).version]
    assert {word: getattr(row, word) for word in metric(name).words()} == metric(name).words()
    assert row.definition_hash == metric(name).fingerprint()


def test_a_built_in_metric_that_changed_came_with_a_migration(home: Path) -> None:
    rows = {(row.name, row.version) for row in metric_versions.versions(open_engine(home))}
    changed = {(name, each.item.version) for name, each in metrics().items() if each.item.version > 1}
    assert changed <= rows, "a new version of a metric needs a migration that adds it to metric_versions"


def test_a_version_never_changes_its_meaning(any_home: Path) -> None:
    engine = open_engine(any_home)
    metric_versions.record(engine, [definition()])
    metric_versions.record(engine, [definition()])
    with pytest.raises(ConflictError, match="mine version 1 has changed its unit, formula"):
        metric_versions.record(engine, [definition(unit="bit", formula="log2")])
    metric_versions.record(engine, [definition(unit="bit", formula="log2", version=2)])
    found = [(row.version, row.unit) for row in metric_versions.versions(engine) if row.name == "mine"]
    assert found == [(1, "nat"), (2, "bit")]


def test_of_two_that_define_one_version_differently_one_is_refused(any_home: Path) -> None:
    engine = open_engine(any_home)

    def define(unit: str) -> bool:
        try:
            metric_versions.record(engine, [definition(unit=unit)])
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        agreed = list(pool.map(define, [f"unit-{index}" for index in range(8)]))
    assert agreed.count(True) == 1
