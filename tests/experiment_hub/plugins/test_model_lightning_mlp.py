import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiment_hub.training.runtimes.protocol import Hooks, Work

pytestmark = [
    pytest.mark.integrations,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),  # Lightning asks torch in an old way
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),  # one process is what the hub wants
    pytest.mark.filterwarnings("ignore:.*exists and is not empty.*"),  # a resumed run's checkpoints
    pytest.mark.filterwarnings("ignore:.*checkpoint directory.*has changed.*"),
    pytest.mark.filterwarnings("ignore:.*pkg_resources.*:DeprecationWarning"),
]
WorkOf = Callable[..., Work]


@pytest.fixture(autouse=True)
def _installed() -> None:
    pytest.importorskip("lightning")


def fit(work: Work, hooks: Hooks | None = None) -> tuple[dict[str, float], Any]:
    from experiment_hub.training.runtimes.lightning import RUNTIME

    model = RUNTIME.build(work)
    return RUNTIME.fit(work, model, hooks or Hooks()), model


class StopError(Exception):
    pass


def test_it_trains_by_its_own_step_and_its_logs_become_series(work_of: WorkOf) -> None:
    points: list[tuple[int, dict[str, float]]] = []
    epochs: list[tuple[int, int]] = []
    hooks = Hooks(
        on_step=lambda step, values: points.append((step, dict(values))),
        on_epoch=lambda epoch, step, _: epochs.append((epoch, step)),
    )
    values, _ = fit(work_of("lightning_mlp", "training.epochs=2"), hooks)
    assert [step for step, each in points if "train_loss" in each] == list(range(1, 9))
    assert [step for step, each in points if "val_loss" in each] == [4, 8]
    assert epochs == [(1, 4), (2, 8)]
    assert values["val.loss"] == pytest.approx(
        next(each for _, each in reversed(points) if "val_loss" in each)["val_loss"], rel=1e-5
    )


def test_a_run_that_stopped_goes_on_bit_for_bit(work_of: WorkOf) -> None:
    arguments = ("lightning_mlp", "training.epochs=4", "model.dropout=0.4")
    expected, whole = fit(work_of(*arguments, run="r-whole"))

    def stop(epoch: int, _step: int, _values: dict[str, float]) -> None:
        if epoch == 3:
            raise StopError

    with pytest.raises(StopError):
        fit(work_of(*arguments, run="r-stopped"), Hooks(on_epoch=stop))
    values, resumed = fit(work_of(*arguments, run="r-stopped"))
    assert values == expected
    for name, tensor in whole.state_dict().items():
        assert resumed.state_dict()[name].numpy().tobytes() == tensor.numpy().tobytes()


def test_a_diverging_loss_ends_the_run_as_nan(smoke_run: Callable[..., dict[str, Any]]) -> None:
    run = smoke_run("lightning_mlp", "model.rate=1e30", "training.epochs=3")
    assert run["state"] == "nan"
    assert "loss is" in run["error"]


def test_something_else_than_a_lightning_module_is_refused(work_of: WorkOf, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch import nn

    from experiment_hub.errors import BrokenExtensionError

    work = work_of("lightning_mlp")
    monkeypatch.setattr(type(work.blueprint.plugin), "build", lambda *_: nn.Linear(2, 3))
    with pytest.raises(BrokenExtensionError, match="build must give a LightningModule, not Linear"):
        fit(work)


@pytest.mark.long
def test_sigterm_ends_the_run_as_killed_and_it_can_be_resumed(
    home: Path, hub: Callable[..., tuple[int, str, str]]
) -> None:
    program = [
        sys.executable,
        "-m",
        "experiment_hub",
        "run",
        "lightning_mlp",
        "--smoke",
        "--set",
        "training.epochs=2000",
    ]
    path = os.pathsep.join(filter(None, sys.path))
    with subprocess.Popen(program, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE) as child:
        until = time.monotonic() + 120
        while not list(home.glob("runs/*/checkpoints/*.ckpt")) and time.monotonic() < until:
            time.sleep(0.1)
        child.send_signal(signal.SIGTERM)
        child.wait(60)
    assert child.returncode == 128 + signal.SIGTERM
    (folder,) = home.glob("runs/*")
    _, out, _ = hub("show", folder.name, "--json")
    assert '"state": "killed"' in out
