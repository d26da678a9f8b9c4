"""A run that is killed in the middle of a step is shown as killed, and ends as if it had not been."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from experiment_hub.plugins.registry import plugins
from experiment_hub.training import checkpoint

Hub = Callable[..., tuple[int, str, str]]
Small = Callable[..., Path]

# a model that sends its own process a signal in the middle of a training step
PLUGIN_SOURCE = """
import os
import time
from experiment_hub.plugins.mlp import Mlp

class Mortal(Mlp):
    name = "mortal"
    steps = 0

    def loss(self, model, batch):
        self.steps += 1
        if self.steps == int(os.environ.get("DIE_AT_STEP", 0)):
            time.sleep(0.5)  # the checkpoint of step 8 is written while the loop goes on
            os.kill(os.getpid(), int(os.environ["DIE_OF"]))
        return super().loss(model, batch)

PLUGIN = Mortal()
"""


@pytest.fixture
def mortal(distribution: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the distribution that brings the model `mortal`, importable in this process too."""
    folder = distribution("mortal", module="mortal_plugin", source=PLUGIN_SOURCE)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "mortal_plugin", raising=False)
    plugins.cache_clear()
    yield folder
    plugins.cache_clear()


# the gradient check asks for the loss once before the first step, so that the twelfth loss is that of step 11
def train_and_die(folder: Path, config: Path, number: signal.Signals) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-m", "experiment_hub", "run", str(config), "--seed", "0", "--json"],
        env={**os.environ, "PYTHONPATH": path, "DIE_AT_STEP": "12", "DIE_OF": str(int(number))},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_a_killed_run_resumes_bit_for_bit(hub: Hub, small: Small, mortal: Path, number: signal.Signals) -> None:
    config = small(**{"model.type": "mortal", "model.dropout": 0.3, "training.device": "cpu"})
    died = train_and_die(mortal, config, number)
    assert died.returncode == (-number if number == signal.SIGKILL else 128 + number), died.stderr
    run = json.loads(hub("runs", "--json")[1])["runs"][0]
    assert run["state"] == "killed"
    shown = json.loads(hub("show", run["run"], "--json")[1])
    assert shown["state"] == "killed"
    assert shown["dataset_hash"]
    code, out, err = hub("run", "--resume", run["run"], "--json")
    assert code == 0, err
    step = 8 if number == signal.SIGKILL else 11  # whoever asks first gets the step finished and kept
    assert f"resumed at step {step}" in err
    resumed = json.loads(out)["runs"][0]
    whole = json.loads(hub("run", config, "--seed", "0", "--json")[1])["runs"][0]
    assert resumed["metrics"] == whole["metrics"]
    left, right = (checkpoint.load(Path(each["folder"])) for each in (resumed, whole))
    assert left is not None
    assert right is not None
    for name, tensor in left["model"].items():
        assert tensor.numpy().tobytes() == right["model"][name].numpy().tobytes()
    assert torch.equal(left["rng"]["torch"], right["rng"]["torch"])
    histories = [json.loads(hub("show", each["run"], "--json")[1])["history"] for each in (resumed, whole)]
    assert histories[0] == histories[1]
