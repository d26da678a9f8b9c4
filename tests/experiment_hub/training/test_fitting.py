"""What a whole training leaves in its folder, and what it says before it starts."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from experiment_hub.artifacts.catalog import catalog
from experiment_hub.configuration.document import load
from experiment_hub.configuration.schema import GradientCheckSection
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.tasks import Batch
from experiment_hub.tracking.series.reader import read_one
from experiment_hub.training import checkpoint, health, progress
from experiment_hub.training.census import census
from experiment_hub.training.determinism import seed_everything, surprises
from experiment_hub.training.experiment import assemble
from experiment_hub.training.gradient_check import check_gradients
from experiment_hub.training.runner import RunResult, run_one
from experiment_hub.training.runtimes.folder import read_model
from experiment_hub.training.saver import Saver

Small = Callable[..., Path]


def train(path: Path, home: Path, say: Callable[[str], None] = lambda _: None) -> RunResult:
    return run_one(assemble(load(str(path))), MetadataStore(home), 0, smoke=False, progress=say)


def test_a_run_leaves_curves_census_health_and_model(
    small: Small, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(health.VARIABLE, str(tmp_path / "told.json"))
    done = train(small(**{"model.dropout": 0.0}), home)
    folder = Path(done.folder)
    assert len(read_one(folder / "series", "train/loss").values) == 15
    rows = json.loads((folder / "parameters.json").read_text())
    assert [(row["module"], row["kind"], row["trainable"]) for row in rows] == [
        ("0", "Linear", 24),
        ("3", "Linear", 27),
    ]
    told = json.loads((tmp_path / "told.json").read_text())
    assert told == {"checkpoint": True, "detail": "", "finite_loss": True, "gradient_flow": True}
    assert done.model_digest is not None
    catalog(home).fetch(done.model_digest, tmp_path / "model")
    saved = read_model(tmp_path / "model")
    assert saved.facts["run"] == done.run
    assert saved.facts["metrics"] == done.metrics
    last = checkpoint.load(folder)
    assert last is not None
    assert all(torch.equal(tensor, last["model"][name]) for name, tensor in saved.model.state_dict().items())


class Half(nn.Module):
    """One layer that the loss needs, one that it does not, one that is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.idle, self.frozen = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)
        self.norm = nn.BatchNorm1d(2)
        self.frozen.requires_grad_(requires_grad=False)


def half_loss(model: Half, scale: float = 1.0) -> Callable[[Batch], torch.Tensor]:
    return lambda batch: (model.norm(model.frozen(model.used(batch.inputs))) * torch.rand(1) * scale).sum()


def test_the_gradient_check_names_offenders_and_changes_nothing() -> None:
    model, batch = Half(), Batch(torch.randn(8, 2), torch.zeros(8))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    report = check_gradients(model, half_loss(model), batch, GradientCheckSection())
    assert torch.rand(1) == expected, "the generator is where it was"
    assert report.none == ["idle.weight", "idle.bias"]
    assert report.sentence() == "no gradient reaches idle.weight, idle.bias"
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(each.grad is None for each in model.parameters())
    assert check_gradients(model, half_loss(model), batch, GradientCheckSection(allow=("idle.*",))).flows
    broken = check_gradients(model, half_loss(model, float("inf")), batch, GradientCheckSection(allow=("idle.*",)))
    assert "the gradient is NaN or infinite of used.weight" in broken.sentence()


@pytest.mark.parametrize(("mode", "state"), [("strict", "failed"), ("report", "finished"), ("off", "finished")])
def test_the_gradient_check_refuses_or_reports_as_configured(
    small: Small, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mode: str, state: str
) -> None:
    experiment = assemble(load(str(small(**{"training.gradient_check": {"mode": mode}, "training.epochs": 1}))))
    kind = type(experiment.plugin.item)
    whole = kind.build

    def with_an_idle_layer(plugin: Any, *arguments: Any) -> nn.Module:
        model: nn.Module = whole(plugin, *arguments)
        model.register_parameter("idle", nn.Parameter(torch.zeros(3)))
        return model

    monkeypatch.setattr(kind, "build", with_an_idle_layer)
    done = run_one(experiment, MetadataStore(home), 0, smoke=False, progress=lambda _: None)
    assert done.state == state
    if mode == "strict":
        assert done.error == "RunFailedError: gradient check: no gradient reaches idle"
    assert ("no gradient reaches idle" in capsys.readouterr().err) is (mode == "report")
    if mode == "report":
        assert json.loads((Path(done.folder) / health.FILE).read_text())["gradient_flow"] is False


def test_the_census_counts_a_shared_parameter_once() -> None:
    layer = nn.Linear(3, 4)
    model = nn.Sequential(layer, nn.Sequential(layer, nn.Linear(4, 2)))
    layer.bias.requires_grad = False
    rows = census(model)
    assert [(row["module"], row["trainable"], row["total"]) for row in rows] == [("0", 12, 16), ("1.1", 10, 10)]


def test_operations_that_are_not_deterministic_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    del capsys
    seed_everything(0, "strict")
    with pytest.raises(RuntimeError, match="put_"):
        torch.zeros(3).put_(torch.tensor([0]), torch.ones(1))
    try:
        seed_everything(0, "warn")
        with surprises() as named:
            torch.zeros(3).put_(torch.tensor([0]), torch.ones(1))
            torch.zeros(3).put_(torch.tensor([0]), torch.ones(1))
    finally:
        seed_everything(0, "strict")
    assert named == ["put_"]


def test_a_writer_behind_the_loop_writes_the_newest_and_says_what_went_wrong() -> None:
    started, go_on, written = threading.Event(), threading.Event(), []

    def slow() -> None:
        started.set()
        go_on.wait(10)
        written.append("first")

    with Saver() as saver:
        saver.submit("newest", slow)
        started.wait(10)
        saver.submit("newest", lambda: written.append("second"))
        saver.submit("best", lambda: written.append("best"))
        saver.submit("newest", lambda: written.append("third"))
        go_on.set()
        saver.wait()
        assert written == ["first", "best", "third"]

    def broken() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"), Saver() as saver:
        saver.submit("newest", broken)


def test_only_the_newest_checkpoints_stay(tmp_path: Path) -> None:
    for step in range(1, 6):
        checkpoint.save(tmp_path, {"position": {"epoch": 0, "step": step}}, keep=3)
    names = sorted(path.name for path in (tmp_path / checkpoint.FOLDER).iterdir())
    assert names == [f"epoch-000000-step-00000000{step}.pt" for step in (3, 4, 5)]


def test_time_alone_brings_a_checkpoint(small: Small, home: Path) -> None:
    """The first one comes early, so that what cannot be saved shows before the night."""
    path = small(
        **{"training.checkpoint_every_steps": 10**6, "training.checkpoints": {"every_seconds": 0.01, "keep": 9}}
    )
    done = train(path, home)
    assert len(list((Path(done.folder) / checkpoint.FOLDER).iterdir())) > 1


def test_silence_is_broken_while_a_step_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SILENCE_SECONDS", 0.05)
    monkeypatch.setattr(progress, "TICK_SECONDS", 0.02)
    said: list[str] = []
    with progress.Reporter("r-1", 4, said.append, lambda: None) as seen:
        seen.on_epoch(1, 250, {"val.loss": 0.5})
        seen.step = 251
        for _ in range(100):
            if said:
                break
            time.sleep(0.02)
    assert said[0] == "r-1: [######..................] epoch 1 of 4, step 251, val.loss 0.5"
