"""What a new user does, by the command line alone: each step a process of its own, as in a shell."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import postgres

pytestmark = pytest.mark.long
PLATFORM = Path(__file__).parents[2] / "platform"
SCRIPT = """
import experiment_hub as hub

with hub.start("mine", config={"lr": 0.1}, seed=3) as run:
    for step in range(100):
        run.log({"loss": 1 / (step + 1)})
"""
Shell = Callable[..., Any]


class Terminal:
    """A person at a terminal, in a folder of their own."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "HUB_HOME": str(home),
            "PYTHONPATH": str(PLATFORM),
            "OMP_NUM_THREADS": "1",
        }

    def run(self, *command: str, exits: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert done.returncode == exits, f"{command} exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def hub(self, *words: object, exits: int = 0) -> Any:
        """The JSON document that the command prints; what follows `--` belongs to a job."""
        mine = words[: words.index("--")] if "--" in words else words
        line = [*mine, "--json", *words[len(mine) :]]
        return json.loads(self.run("-m", "experiment_hub", *map(str, line), exits=exits))


@pytest.fixture
def terminal(tmp_path: Path, home: Path) -> Terminal:
    return Terminal(tmp_path, home)


def test_a_plain_script_is_tracked_with_three_lines(terminal: Terminal) -> None:
    (terminal.folder / "train.py").write_text(SCRIPT)
    terminal.run("train.py")
    (row,) = terminal.hub("runs")["runs"]
    assert (row["name"], row["state"], row["seed"]) == ("mine", "finished", 3)
    shown = terminal.hub("show", row["run"])
    assert shown["curves"]["loss"]["points"] == 100
    assert shown["metrics"] == {"loss": 0.01}


def test_a_model_of_ones_own_is_trained_evaluated_compared_promoted_and_rolled_back(terminal: Terminal) -> None:
    package = terminal.folder / "package"
    terminal.hub("new", "model", "tiny_net", "--package", package)
    site = terminal.folder / "site"
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(site)]
    terminal.run(*install, str(package / "tiny_net"))
    terminal.environment["PYTHONPATH"] += f"{os.pathsep}{site}"
    (config,) = (package / "tiny_net").rglob("tiny_net.yaml")
    first, second, *_ = (run["run"] for run in terminal.hub("run", config)["runs"])
    assert terminal.hub("compare", first, second)["identity"]["seed"] == [0, 1]
    for run in (first, second):
        terminal.hub("models", "register", "tiny", "--run", run)
    terminal.hub("models", "promote", "tiny", "1", "--stage", "production", exits=2)  # nobody has evaluated it
    terminal.hub("eval", first, second)
    for version in ("1", "2"):
        terminal.hub("models", "promote", "tiny", version, "--stage", "production", "--minimum", "accuracy=0.5")
    terminal.hub("models", "rollback", "tiny")
    fetched = terminal.hub("models", "fetch", "tiny@production", terminal.folder / "got")
    assert fetched["version"] == 1
    assert (terminal.folder / "got" / "model.json").is_file()


def test_twelve_dollars_wait_for_approval_and_thirty_ask_for_a_reason(terminal: Terminal, home: Path) -> None:
    home.mkdir()
    (home / "hub.yaml").write_text("cost: {day_cap: 100}\n")
    paid = ["jobs", "submit", "--launcher", "simulated", "--gpu", "H100", "--gpus", "1", "--retry", "lost=0"]
    terminal.hub(*paid, "--timeout", "3h", "--name", "twelve", "--", "true", exits=3)
    (waiting,) = terminal.hub("cost", "waiting", exits=3)["waiting"]
    assert waiting["worst_usd"] == 12.0
    terminal.hub("cost", "approve", waiting["estimate_hash"])
    assert terminal.hub("cost", "waiting")["waiting"] == []
    terminal.hub(*paid, "--timeout", "450m", "--name", "thirty", "--", "true", exits=3)
    (waiting,) = terminal.hub("cost", "waiting", exits=3)["waiting"]
    assert waiting["worst_usd"] == 30.0
    refused = terminal.hub("cost", "approve", waiting["estimate_hash"], exits=2)
    assert "needs a reason" in refused["error"]
    assert (
        "verified" in terminal.hub("cost", "approve", waiting["estimate_hash"], "--reason", "paper", exits=3)["error"]
    )


def test_workers_of_two_machines_share_one_queue_over_postgresql(
    tmp_path: Path, postgres_server: "postgres.Server"
) -> None:
    url = postgres_server.new_database()
    machines = []
    for name in ("one", "two"):
        place = tmp_path / name
        place.mkdir()
        (place / "hub.yaml").write_text(f"database: {url}\nartifacts: file://{tmp_path / 'shared'}\n")
        machines.append(Terminal(tmp_path, place))
    here, there = machines
    here.hub("jobs", "submit", "--config", "mlp", "--smoke")
    there.hub("worker", "--once")
    (job,) = here.hub("jobs", "list")["jobs"]
    assert job["state"] == "finished"
    (row,) = here.hub("runs")["runs"]
    assert row["state"] == "finished"
    assert here.hub("show", row["run"])["metrics"].keys() >= {"val.accuracy", "test.accuracy"}
