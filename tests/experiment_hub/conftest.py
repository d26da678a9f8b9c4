"""Fixtures: a fresh home, configurations as files, the command line in this process, one recorded smoke run."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import postgres
    from experiment_hub.artifacts.catalog import Catalog

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: two workers and their children share two cores

SMALL: dict[str, Any] = {
    "version": 1,
    "name": "small",
    "model": {"type": "mlp", "hidden": [8], "activation": "relu", "dropout": 0.1},
    "data": {
        "name": "blobs",
        "samples": 200,
        "classes": 3,
        "noise": 0.3,
        "splits": {"train": 0.8, "val": 0.1, "test": 0.1},
    },
    "training": {
        "epochs": 3,
        "batch_size": 32,
        "learning_rate": 0.01,
        "optimizer": "adamw",
        "weight_decay": 0.0,
        "checkpoint_every_steps": 4,
        "device": "cpu",
    },
    "seeds": [0, 1],
    "metrics": ["loss", "accuracy"],
    "decision": {"metric": "loss", "split": "val", "minimum_effect": 0.01},
    "smoke": {"training.epochs": 1},
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that does not exist yet; commands without --home use it."""
    monkeypatch.setenv("HUB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., Path]:
    """`small(**{"training.epochs": 1})` writes a small configuration with dotted keys replaced (None removes)."""

    def write(file: str = "small.yaml", **changes: Any) -> Path:
        data = json.loads(json.dumps(SMALL))
        for dotted, value in changes.items():
            *folders, last = dotted.split(".")
            place = data
            for folder in folders:
                place = place[folder]
            place[last] = value
            if value is None:
                del place[last]
        path = tmp_path / file
        path.write_text(json.dumps(data, indent=1), encoding="utf-8")  # JSON is YAML, one key per line
        return path

    return write


@pytest.fixture
def hub(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
) -> Callable[..., tuple[int, str, str]]:
    """`hub("run", "mlp")` runs the command line; gives exit code, stdout, stderr."""
    from experiment_hub.__main__ import main

    assert not home.exists()

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hub", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        out, err = capsys.readouterr()
        return int(exit_.value.code or 0), out, err

    return call


@pytest.fixture
def smoke_run(home: Path) -> Callable[..., dict[str, Any]]:
    """`smoke_run("mlp", "training.epochs=5")` trains a smoke run, seed 0; gives everything that is recorded."""
    from experiment_hub.configuration.document import load
    from experiment_hub.metadata.store import MetadataStore
    from experiment_hub.tracking.history import describe
    from experiment_hub.training.experiment import assemble
    from experiment_hub.training.runner import run_one

    def train(config: str, *assignments: str) -> dict[str, Any]:
        store = MetadataStore(home)
        experiment = assemble(load(config, smoke=True, assignments=assignments))
        done = run_one(experiment, store, seed=0, smoke=True, progress=lambda _: None)
        return describe(store, store.run(done.run))

    return train


@pytest.fixture(scope="session")
def postgres_server() -> "Iterator[postgres.Server]":
    """One real PostgreSQL for the whole session of a test process."""
    import postgres

    if postgres.binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres.server() as running:
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def any_home(request: pytest.FixtureRequest, home: Path) -> Path:
    """A home on SQLite, and then the same on PostgreSQL."""
    if request.param == "postgresql":
        running: postgres.Server = request.getfixturevalue("postgres_server")
        home.mkdir()
        (home / "hub.yaml").write_text(f"database: {running.new_database()}\n", encoding="utf-8")
    return home


@pytest.fixture
def postgres_home(home: Path, postgres_server: "postgres.Server") -> Path:
    """A home whose database is PostgreSQL."""
    home.mkdir()
    (home / "hub.yaml").write_text(f"database: {postgres_server.new_database()}\n", encoding="utf-8")
    return home


@pytest.fixture
def distribution(tmp_path: Path) -> Callable[..., Path]:
    """`distribution("name", module="a_module", source="...")` lays a distribution out as pip would; gives its folder."""

    def lay_out(name: str, *, module: str, source: str, value: str = "", group: str = "experiment_hub.plugins") -> Path:
        folder = tmp_path / "site"
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {value or module}\n", encoding="utf-8")
        (folder / f"{module}.py").write_text(source, encoding="utf-8")
        return folder

    return lay_out


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty database; a copy of it is quicker than all its migrations."""
    from experiment_hub.metadata.database import FILE, open_engine

    folder = tmp_path_factory.mktemp("migrated")
    open_engine(folder)
    return folder / FILE


@pytest.fixture
def known(home: Path, migrated: Path) -> "Catalog":
    """The artifacts of a fresh home."""
    from experiment_hub.artifacts.catalog import catalog

    home.mkdir()
    shutil.copy(migrated, home / migrated.name)
    return catalog(home)
