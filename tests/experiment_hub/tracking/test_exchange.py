import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import experiment_hub as hub_client
from experiment_hub.tracking.series import read

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the trackers' own code
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
Hub = Callable[..., tuple[int, str, str]]
NAME, METRIC = "weiß/\n1", "odd ü\n"
POINTS = 2300  # more than MLflow takes in one call


@pytest.fixture
def run(home: Path) -> hub_client.TrackedRun:
    config = {"rate": 0.5, "layers": 3, "ü %": "x", "model": {"name": "mlp"}}
    options: dict[str, Any] = {"system_seconds": None, "capture": False}
    with hub_client.start(NAME, config=config, tags=["t", "u v"], notes="hi", project="p", home=home, **options) as run:
        for step in range(POINTS):
            run.log({"train/loss": 1 / (step + 1)}, step)
        run.log({METRIC: 2.0, "nan": float("nan"), "inf": -float("inf")}, 3)
        (home.parent / "weights.bin").write_bytes(b"weights")
        run.log_artifact(home.parent / "weights.bin")
    return run


def there_and_back(hub: Hub, kind: str, target: Path, run: str) -> dict[str, Any]:
    """What a run is after an export and an import; a second import brings nothing new."""
    code, out, err = hub("export", kind, target, run, "--json")
    assert (code, json.loads(out)["runs"]) == (0, [{"run": run, "points": POINTS + 3}]), err
    code, out, err = hub("import", kind, target, "--json")
    assert code == 0, err
    [row] = json.loads(out)["runs"]
    assert row["new"]
    again = json.loads(hub("import", kind, target, "--json")[1])["runs"]
    assert again == [{**row, "new": False}]
    found: dict[str, Any] = json.loads(hub("show", row["run"], "--json")[1])
    assert (found["state"], found["kind"]) == ("finished", "import")
    return found


def same_points(found: dict[str, Any], run: hub_client.TrackedRun) -> None:
    new, old = read(Path(found["folder"])), read(run.folder)
    assert sorted(new) == sorted(old)
    for name, points in old.items():
        assert new[name].steps.tolist() == points.steps.tolist()
        assert new[name].values.tobytes() == points.values.tobytes()
        assert float(abs(new[name].times - points.times).max()) < 0.002


def test_csv_files_hold_every_point_and_parameter(hub: Hub, home: Path, run: hub_client.TrackedRun) -> None:
    assert hub("export", "csv", home.parent / "out", run.id)[0] == 0
    with (home.parent / "out" / run.id / "points.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == POINTS + 3
    assert [float(row["value"]) for row in rows[:POINTS]] == [1 / (step + 1) for step in range(POINTS)]
    assert {row["name"] for row in rows} == {"train/loss", METRIC, "nan", "inf"}


@pytest.mark.integrations
@pytest.mark.parametrize("store", ["mlflow.db", "mlruns"])
def test_mlflow_there_and_back(hub: Hub, home: Path, run: hub_client.TrackedRun, store: str) -> None:
    pytest.importorskip("mlflow")
    target = home.parent / store
    if store == "mlruns":
        target.mkdir()
    found = there_and_back(hub, "mlflow", target, run.id)
    assert (found["name"], found["project"], found["notes"], found["tags"]) == (NAME, "p", "hi", ["t", "u v"])
    assert found["config"] == {"rate": 0.5, "layers": 3, "ü %": "x", "model.name": "mlp"}
    same_points(found, run)
    assert {row["name"] for row in found["artifacts"]} == {"weights.bin"}


@pytest.mark.integrations
def test_a_store_that_mlflow_itself_wrote_is_imported(hub: Hub, home: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{home.parent / 'theirs.db'}"
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("vision", artifact_location=(home.parent / "files").as_uri())
    theirs = client.create_run(experiment, run_name="their run").info.run_id
    client.log_param(theirs, "optimizer", "adam")
    client.log_param(theirs, "amp", True)
    client.set_tag(theirs, "team", "red")
    for step in range(5):
        client.log_metric(theirs, "loss", 1.0 / (step + 1), step=step)
    (home.parent / "model.txt").write_text("model")
    client.log_artifact(theirs, str(home.parent / "model.txt"))
    client.set_terminated(theirs, "FAILED")
    client.create_run(experiment, run_name="still at work")
    rows = json.loads(hub("import", "mlflow", uri, "--json")[1])["runs"]
    shown = {row["name"]: json.loads(hub("show", row["run"], "--json")[1]) for row in rows}
    assert {name: run["state"] for name, run in shown.items()} == {"their run": "failed", "still at work": "killed"}
    found = shown["their run"]
    assert (found["project"], found["config"]) == ("vision", {"optimizer": "adam", "amp": True})
    assert (found["tags"], found["metrics"]) == (["team=red"], {"loss": 0.2})
    assert [row["name"] for row in found["artifacts"]] == ["model.txt"]


@pytest.mark.integrations
def test_tensorboard_there_and_back(hub: Hub, home: Path, run: hub_client.TrackedRun) -> None:
    pytest.importorskip("tensorboard")
    found = there_and_back(hub, "tensorboard", home.parent / "events", run.id)
    new, old = read(Path(found["folder"])), read(run.folder)
    assert {name: points.steps.tolist() for name, points in new.items()} == {
        name: points.steps.tolist() for name, points in old.items()
    }
    for name, points in old.items():
        assert new[name].values.tobytes() == points.values.astype("f4").astype("f8").tobytes()


@pytest.mark.integrations
def test_event_files_of_torch_are_imported(hub: Hub, home: Path) -> None:
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(home.parent / "events" / "one")) as writer:
        for step in range(3):
            writer.add_scalar("loss", step / 2, step)
            writer.add_scalar("new", step, step, new_style=True)
    [row] = json.loads(hub("import", "tensorboard", home.parent / "events", "--json")[1])["runs"]
    found = json.loads(hub("show", row["run"], "--json")[1])
    assert (found["name"], found["project"], found["metrics"]) == ("one", "events", {"loss": 1.0, "new": 2.0})


@pytest.mark.integrations
@pytest.mark.slow
def test_wandb_offline_there_and_back(hub: Hub, home: Path, run: hub_client.TrackedRun) -> None:
    pytest.importorskip("wandb")
    found = there_and_back(hub, "wandb", home.parent / "wandb", run.id)
    assert (found["name"], found["project"], found["notes"], found["tags"]) == (NAME, "p", "hi", ["t", "u v"])
    assert found["config"] == {"rate": 0.5, "layers": 3, "ü %": "x", "model.name": "mlp"}
    same_points(found, run)


@pytest.mark.slow
def test_a_mirror_follows_a_run_until_it_ends(home: Path) -> None:
    environment = {**os.environ, "HUB_HOME": str(home)}
    options: dict[str, Any] = {"system_seconds": None, "capture": False}
    with hub_client.start("x", home=home, **options) as run:
        run.log({"loss": 0.0}, 0)
        command = [sys.executable, "-m", "experiment_hub", "mirror", "csv", str(home.parent / "live"), run.id]
        mirror = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        points = home.parent / "live" / run.id / "points.csv"
        until = time.monotonic() + 60
        while time.monotonic() < until and not (points.exists() and "loss,0" in points.read_text()):
            time.sleep(0.05)
        run.log({"loss": 1.0}, 1)
    out, _ = mirror.communicate(timeout=60)
    assert (mirror.returncode, out) == (0, f"{run.id}: 2 points to {home.parent / 'live'}\n")
    assert len(points.read_text().splitlines()) == 3


def test_what_is_no_store_and_no_kind_is_refused_in_words(hub: Hub, home: Path, run: hub_client.TrackedRun) -> None:
    for arguments, expected in [
        (("import", "nothing", home.parent), "unknown importer 'nothing'"),
        (("export", "nothing", home.parent, run.id), "unknown mirror 'nothing'"),
        (("export", "csv", home.parent, "r-x"), "no run 'r-x'"),
    ]:
        code, _, err = hub(*arguments)
        assert (code, expected in err) == (2, True), err


@pytest.mark.integrations
@pytest.mark.parametrize(
    ("kind", "place", "expected"),
    [
        ("mlflow", "absent", "no such store of MLflow"),
        ("tensorboard", "absent", "no folder with TensorBoard's event files"),
        ("wandb", ".", "holds no offline run of W&B"),
        ("wandb", "run-x.wandb", "is no file of W&B"),
    ],
)
def test_what_is_no_store_of_a_tracker_is_refused_in_words(
    hub: Hub, home: Path, kind: str, place: str, expected: str
) -> None:
    pytest.importorskip(kind)
    if place.endswith(".wandb"):
        (home.parent / place).write_bytes(b"something else entirely")
    code, _, err = hub("import", kind, home.parent / place)
    assert (code, expected in err) == (2, True), err
