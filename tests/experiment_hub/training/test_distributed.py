"""Two real processes under torchrun train what one process trains."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from experiment_hub.configuration.document import load
from experiment_hub.configuration.schema import DistributedSection
from experiment_hub.errors import ConfigurationError
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.training import checkpoint
from experiment_hub.training.distributed import Team, check
from experiment_hub.training.experiment import assemble
from experiment_hub.training.runner import run_one

Small = Callable[..., Path]

# a model that dies with its process in rank 1, and otherwise takes its time
PLUGIN_SOURCE = """
import os
import time
from experiment_hub.plugins.mlp import Mlp

class Fragile(Mlp):
    name = "fragile"
    steps = 0

    def loss(self, model, batch):
        self.steps += 1
        time.sleep(float(os.environ.get("STEP_SECONDS", 0)))
        if os.environ.get("RANK") == "1" and self.steps == int(os.environ.get("DIE_AT_STEP", 0)):
            os._exit(7)
        return super().loss(model, batch)

PLUGIN = Fragile()
"""


@pytest.fixture
def fragile(distribution: Callable[..., Path]) -> Path:
    return distribution("fragile", module="fragile_plugin", source=PLUGIN_SOURCE)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def torchrun(site: Path, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(site), *filter(None, sys.path)])
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", free_port()]
    return subprocess.Popen(
        list(map(str, [*command, "-m", "experiment_hub", "run", *arguments])),
        env={**os.environ, "PYTHONPATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    result: dict[str, Any] = json.loads(out)["runs"][0]
    return result


def changes(strategy: str, **more: Any) -> Mapping[str, Any]:
    section = {"strategy": strategy, "processes": 2, "timeout_seconds": 60}
    return {"model.dropout": 0.0, "training.distributed": section, "training.micro_batch_size": 7, **more}


def weights(folder: str) -> dict[str, torch.Tensor]:
    state = checkpoint.load(Path(folder))
    assert state is not None
    found: dict[str, torch.Tensor] = state["model"]
    return found


@pytest.mark.long
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_end_where_one_does(small: Small, home: Path, fragile: Path, strategy: str) -> None:
    more = {"training.clip": {"norm": 0.5}, "data.samples": 201}  # the last batch has a single sample for two processes
    one = assemble(load(str(small(**{"model.dropout": 0.0, **more}))))
    alone = run_one(one, MetadataStore(home), 0, smoke=False, progress=lambda _: None)
    two = done(torchrun(fragile, small(**changes(strategy, **more)), "--seed", 0, "--json"))
    assert two["metrics"] == pytest.approx(alone.metrics, abs=1e-4)
    assert two["parameters"] == alone.parameters
    assert len(MetadataStore(home).runs()) == 2, "rank 1 records nothing"
    expected = weights(alone.folder)
    for name, tensor in weights(two["folder"]).items():
        torch.testing.assert_close(tensor, expected[name], atol=1e-4, rtol=0)


@pytest.mark.long
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_asked_to_stop_all_keep_the_same_step_and_resume_exactly(
    small: Small, home: Path, fragile: Path, strategy: str
) -> None:
    more = {"model.type": "fragile", "model.dropout": 0.3, "training.checkpoint_every_steps": 2}
    config = small(**changes(strategy, **more))
    process = torchrun(fragile, config, "--seed", 0, "--json", STEP_SECONDS="0.1")
    while not list(home.glob("runs/*/checkpoints/epoch-*.pt")):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    run = MetadataStore(home).runs()[0]
    assert run.state == "killed"
    resumed = done(torchrun(fragile, "--resume", run.id, "--json"))
    whole = done(torchrun(fragile, config, "--seed", 0, "--json"))
    assert resumed["metrics"] == whole["metrics"]
    expected = weights(whole["folder"])
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(resumed["folder"]).items())


@pytest.mark.long
def test_a_process_that_dies_ends_the_run_instead_of_hanging_it(small: Small, home: Path, fragile: Path) -> None:
    config = small(**changes("ddp", **{"model.type": "fragile", "training.epochs": 100}))
    process = torchrun(fragile, config, "--seed", 0, "--json", DIE_AT_STEP="9")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    run = MetadataStore(home).runs()[0]
    assert run.state in {"failed", "killed"}, "and so it can be resumed"
    assert not psutil.pid_exists(run.pid)


def test_the_environment_never_wins_over_the_configuration() -> None:
    started = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    two, three = (DistributedSection(strategy="ddp", processes=count) for count in (2, 3))
    check(None, {})
    check(two, started)
    with pytest.raises(ConfigurationError, match="expected 2 processes, this is a single one: start it by `torchrun"):
        check(two, {})
    with pytest.raises(ConfigurationError, match="is missing, but torchrun started this process as one of 2"):
        check(None, started)
    with pytest.raises(ConfigurationError, match="processes is 3, torchrun started 2"):
        check(three, started)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_shares_are_exact(size: int) -> None:
    """Each sample once, and the weighted mean over processes is the mean over samples."""
    rows = torch.arange(5) * 10
    shares = [Team(rank, size).share(rows) for rank in range(size)]
    taken = [row for own, weight in shares if weight for row in own.tolist()]
    assert sorted(taken) == rows.tolist()
    mean = sum(own.float().mean().item() * weight for own, weight in shares) / size
    assert mean == pytest.approx(20.0)
