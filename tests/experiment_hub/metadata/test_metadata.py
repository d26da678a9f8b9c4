import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from experiment_hub.errors import BadInputError, NewerSchemaError, UnknownRunError
from experiment_hub.metadata.database import FILE, open_engine
from experiment_hub.metadata.schema import MIGRATIONS
from experiment_hub.metadata.sessions import writing
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import Base, Run
from experiment_hub.times import now

WRITER = """
import sys
from pathlib import Path
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.tracking.recorder import Plan, RunRecorder

store = MetadataStore(Path(sys.argv[1]))
for seed in range(int(sys.argv[2])):
    with RunRecorder.start(store, Plan("many", seed, False, {"a": 1}, {})) as recorder:
        recorder.record(1, 1, {"val.loss": 0.5}, {"loss": 1})
"""


def add_run(store: MetadataStore, run: Run) -> None:
    with writing(store.engine) as session:
        session.add(run)


def a_run(run_id: str) -> Run:
    return Run(
        id=run_id,
        name="x",
        state="running",
        seed=0,
        smoke=False,
        config={},
        overrides={},
        folder=f"runs/{run_id}",
        created_at=now(),
        host="h",
        pid=1,
        process_started=0.0,
        resumes=[],
    )


def test_the_migrations_make_exactly_the_tables_that_the_code_uses(home: Path) -> None:
    with open_engine(home).connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    assert [each for each in differences if each[0] != "remove_index"] == []


def test_the_newest_migration_is_known_by_its_file_name() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    heads = ScriptDirectory.from_config(config).get_heads()
    newest = max(path.stem for path in (MIGRATIONS / "versions").glob("v*.py"))
    assert heads == [newest[1:5]]


def test_a_migration_that_fails_leaves_nothing_half_done(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sqlalchemy, "ForeignKey", None)  # the second table of the first migration cannot be made
        with pytest.raises(TypeError):
            MetadataStore(home)
    add_run(MetadataStore(home), a_run("r-1"))


def test_opening_again_keeps_what_is_there(home: Path) -> None:
    add_run(MetadataStore(home), a_run("r-1"))
    assert MetadataStore(home).run("r-1").name == "x"


def test_a_home_of_a_newer_hub_is_refused_and_left_alone(home: Path) -> None:
    add_run(MetadataStore(home), a_run("r-1"))
    with sqlite3.connect(home / FILE) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NewerSchemaError, match="schema 9999, newer than this hub"):
        MetadataStore(home)
    with sqlite3.connect(home / FILE) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (1,)


def test_a_file_that_is_no_database_is_bad_input(home: Path) -> None:
    home.mkdir()
    (home / FILE).write_text("not a database, but long enough to look at its first bytes" * 10)
    with pytest.raises(BadInputError, match="cannot be used as the hub's database"):
        MetadataStore(home)


def test_a_home_that_is_a_file_is_bad_input(home: Path) -> None:
    home.write_text("")
    with pytest.raises(BadInputError, match="cannot be used"):
        MetadataStore(home)


def test_an_unknown_run_is_named(home: Path) -> None:
    with pytest.raises(UnknownRunError, match="no run 'r-x'"):
        MetadataStore(home).run("r-x")


def test_a_figure_that_is_recorded_twice_replaces_itself(home: Path) -> None:
    store = MetadataStore(home)
    add_run(store, a_run("r-1"))
    row = {"run_id": "r-1", "epoch": 1, "split": "val", "metric": "loss", "version": 1, "step": 3}
    store.record_metrics([{**row, "value": 1.0}])
    store.record_metrics([{**row, "value": 2.0}, {**row, "epoch": 2, "value": 3.0}])
    assert [value.value for value in store.metrics("r-1")] == [2.0, 3.0]
    assert store.last_metrics(["r-1"]) == {"r-1": {"val.loss": 3.0}}
    store.forget_metrics("r-1", from_epoch=2)
    assert store.last_metrics(["r-1"]) == {"r-1": {"val.loss": 2.0}}


@pytest.mark.long
def test_processes_may_create_and_write_a_home_at_once(home: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(home), "25"]
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for writer in writers:
        _, errors = writer.communicate(timeout=60)
        assert writer.returncode == 0, errors
    runs = MetadataStore(home).runs()
    assert len({run.id for run in runs}) == 75
    assert {run.state for run in runs} == {"finished"}
    assert len(MetadataStore(home).last_metrics([run.id for run in runs])) == 75
