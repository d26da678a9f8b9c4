"""Runs that are killed, asked to stop, out of memory or on a full disk: nothing is lost, and the reason is told."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from experiment_hub.configuration.document import load
from experiment_hub.errors import NonFiniteError, RunFailedError, RunKilledError
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.training import checkpoint, failure
from experiment_hub.training.experiment import assemble
from experiment_hub.training.runner import resume, run_one

Small = Callable[..., Path]

# a model whose steps take long enough to be stopped in, and which can run out of memory
PLUGIN_SOURCE = """
import os
import time
from experiment_hub.plugins.mlp import Mlp

class Slow(Mlp):
    name = "slow"

    def loss(self, model, batch):
        if "MARK" in os.environ:
            open(os.environ["MARK"], "w").close()
        time.sleep(float(os.environ.get("STEP_SECONDS", 0)))
        if os.environ.get("HUNGRY"):
            batch.inputs.new_empty(2**60)
        return super().loss(model, batch)

PLUGIN = Slow()
"""


@pytest.fixture
def slow_model(distribution: Callable[..., Path]) -> Path:
    """A folder with the distribution that brings the model `slow`."""
    return distribution("slow", module="slow_plugin", source=PLUGIN_SOURCE)


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(folder), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "-m", "experiment_hub", "run", *arguments, "--json"],
        env={**os.environ, "PYTHONPATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def first_run(home: Path) -> Path:
    """The folder of the only run, once it has a checkpoint."""
    for _ in range(1200):
        found = list(home.glob("runs/*/checkpoints/epoch-*.pt"))
        if found:
            return found[0].parents[1]
        time.sleep(0.05)
    raise AssertionError("the run has kept no checkpoint in a minute")


FAILURES: dict[str, tuple[BaseException, str]] = {
    "cuda": (torch.OutOfMemoryError("CUDA out of memory"), "out_of_memory"),
    "cpu": (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), "out_of_memory"),
    "python": (MemoryError(), "out_of_memory"),
    "disk": (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
    "quota": (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk_full"),
    "nan": (NonFiniteError("loss is nan"), "nan"),
    "signal": (RunKilledError(15), "preempted"),
    "bug": (ValueError("shapes"), "error"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_has_a_class_that_a_scheduler_can_act_on(name: str) -> None:
    error, expected = FAILURES[name]
    assert failure.classify(error) == expected
    if isinstance(error, Exception):
        wrapped = RunFailedError("run failed")
        wrapped.__cause__ = error
        assert failure.classify(wrapped) == ("error" if expected == "preempted" else expected)


def test_the_class_of_a_failure_is_told_where_asked(
    small: Small, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(failure.VARIABLE, str(tmp_path / "failure.json"))
    path = small(**{"training.optimizer": "sgd", "training.learning_rate": 1e30})
    done = run_one(assemble(load(str(path))), MetadataStore(home), 0, smoke=False, progress=lambda _: None)
    told = json.loads((tmp_path / "failure.json").read_text())
    assert told == json.loads((Path(done.folder) / failure.FILE).read_text())
    assert (told["class"], told["run"]) == ("nan", done.run)
    assert told["error"].startswith("NonFiniteError: loss is")


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_a_model_that_needs_too_much_memory_fails_as_such(small: Small, slow_model: Path) -> None:
    config = small(**{"model.type": "slow"})
    process = start(slow_model, str(config), "--seed", "0", HUNGRY="1")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    folder = Path(json.loads(out)["runs"][0]["folder"])
    assert json.loads((folder / failure.FILE).read_text())["class"] == "out_of_memory"


@pytest.mark.long
def test_who_asks_a_run_to_stop_gets_a_checkpoint_of_this_very_step(small: Small, home: Path, slow_model: Path) -> None:
    config = small(**{"model.type": "slow", "training.epochs": 500})
    process = start(slow_model, str(config), "--seed", "0", STEP_SECONDS="0.05")
    folder = first_run(home)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, err
    saved = checkpoint.newest(folder)
    assert saved is not None
    assert json.loads((folder / failure.FILE).read_text())["class"] == "preempted"
    logged = max(int(line) for line in steps(folder))
    assert saved.step == logged, "no step was lost"


def steps(folder: Path) -> list[int]:
    from experiment_hub.tracking.series.reader import read_one

    return [int(step) for step in read_one(folder / "series", "train/loss").steps]


@pytest.mark.long
def test_a_step_that_never_ends_can_be_stopped_all_the_same(
    small: Small, home: Path, slow_model: Path, tmp_path: Path
) -> None:
    config = small(**{"model.type": "slow", "training.gradient_check": {"mode": "off"}})
    mark = tmp_path / "in a step"
    process = start(slow_model, str(config), "--seed", "0", STEP_SECONDS="60", MARK=str(mark))
    while not mark.exists():
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)  # the second one does not wait
    _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM, err
    assert MetadataStore(home).runs()[0].state == "killed"


@pytest.mark.long
@pytest.mark.parametrize("attempt", range(6))
def test_killed_at_any_moment_a_run_ends_as_if_it_had_not_been(
    small: Small, home: Path, slow_model: Path, attempt: int
) -> None:
    """Again and again, until one attempt gets to the end."""
    config = small(**{"model.type": "slow", "model.dropout": 0.3, "training.checkpoint_every_steps": 1})
    moments = random.Random(attempt)
    process = start(slow_model, str(config), "--seed", "0", STEP_SECONDS="0.02")
    first_run(home)
    for _ in range(4):
        time.sleep(moments.uniform(0, 0.2))
        process.kill()
        process.communicate()
        run = MetadataStore(home).runs()[0]
        if run.state == "finished":
            break
        process = start(slow_model, "--resume", run.id, STEP_SECONDS="0.02")
        time.sleep(moments.uniform(1.5, 4.0))
    out, err = process.communicate(timeout=120)
    again = start(slow_model, str(config), "--seed", "0")
    whole = json.loads(again.communicate(timeout=120)[0])["runs"][0]
    shown = MetadataStore(home).runs()[0]
    assert shown.state == "finished", err + out
    assert MetadataStore(home).last_metrics([shown.id])[shown.id] == whole["metrics"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("a small file system can only be mounted by root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.slow
def test_a_disk_that_gets_full_costs_nothing_but_the_time_since_the_last_checkpoint(
    small: Small, small_disk: Path
) -> None:
    home = small_disk / "home"
    changes = {"model.hidden": [700, 700], "training.checkpoint_every_steps": 1, "model.dropout": 0.0}
    experiment = assemble(load(str(small(**changes))))
    (small_disk / "other").write_bytes(bytes(25 * 2**20))
    store = MetadataStore(home)
    failed = run_one(experiment, store, 0, smoke=False, progress=lambda _: None)
    assert failed.state == "failed"
    assert "No space left on device" in str(failed.error)
    assert json.loads((Path(failed.folder) / failure.FILE).read_text())["class"] == "disk_full"
    kept = checkpoint.newest(Path(failed.folder))
    assert kept is not None
    assert not list(Path(failed.folder).rglob("*.part"))
    (small_disk / "other").unlink()
    _, done = resume(store, failed.run, lambda _: None)
    assert done is not None
    assert done.state == "finished"
