"""What the loop's options do to the numbers, step by step, without a run around it."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from experiment_hub.configuration.document import load
from experiment_hub.configuration.schema import ScheduleSection
from experiment_hub.errors import ConfigurationError, NonFiniteError
from experiment_hub.tasks import Batch
from experiment_hub.training.callbacks.registry import makers
from experiment_hub.training.callbacks.schedule import share
from experiment_hub.training.data import split_arrays
from experiment_hub.training.determinism import seed_everything
from experiment_hub.training.experiment import Experiment, assemble
from experiment_hub.training.loop import Hooks, Job, Trainer
from experiment_hub.training.runtimes.tensors import to_batch

Small = Callable[..., Path]
Points = list[tuple[int, dict[str, float]]]


class Wrong:
    """Another model's functions, except that the loss of some steps is what a test says."""

    def __init__(self, plugin: Any, wrong: Mapping[int, float]) -> None:
        self.name, self.task, self.Config = plugin.name, plugin.task, plugin.Config
        self.build, self.outputs, self._loss = plugin.build, plugin.outputs, plugin.loss
        self._wrong = wrong
        self.steps = 0

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        self.steps += 1
        loss: Tensor = self._loss(model, batch)
        return loss * self._wrong.get(self.steps, 1.0)


def job_of(experiment: Experiment, wrong: Mapping[int, float] | None = None) -> Job:
    samples = experiment.dataset.item.generate(experiment.data_config)
    arrays = split_arrays(samples, experiment.config.data.splits.model_dump())
    data = {split: to_batch(each, torch.device("cpu")) for split, each in arrays.items()}
    seed_everything(0)
    model = experiment.plugin.item.build(experiment.model_config, samples.spec)
    plugin = Wrong(experiment.plugin.item, wrong) if wrong else experiment.plugin.item
    return Job(plugin, model, data, experiment.config.training, experiment.metrics, 0)


def experiment_of(small: Small, **changes: Any) -> Experiment:
    """`training__clip={...}` replaces `training.clip`."""
    return assemble(load(str(small(**{name.replace("__", "."): value for name, value in changes.items()}))))


def trained(small: Small, *, wrong: Mapping[int, float] | None = None, **changes: Any) -> tuple[Job, Points, float]:
    """The job after its training, all points of series, the last validation loss."""
    job, points = job_of(experiment_of(small, **changes), wrong), []
    hooks = Hooks(on_step=lambda step, values: points.append((step, dict(values))), say=lambda _: None)
    values = Trainer(job, hooks).run()
    return job, points, values["val.loss"]


def series(points: Points, name: str) -> dict[int, float]:
    return {step: values[name] for step, values in points if name in values}


def same(one: nn.Module, other: nn.Module, tolerance: float = 0.0) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.allclose(left, right, rtol=0, atol=tolerance) for left, right in pairs)


def test_every_step_has_its_loss(small: Small) -> None:
    _, points, _ = trained(small)
    losses = series(points, "train/loss")
    assert list(losses) == list(range(1, 16))
    assert all(math.isfinite(value) for value in losses.values())
    assert series(points, "train/samples_per_second").popitem()[1] > 0


def test_the_log_can_be_thinned(small: Small) -> None:
    _, points, _ = trained(small, training__log={"every_steps": 4, "gradient_norm_every_steps": 5})
    assert list(series(points, "train/loss")) == [4, 8, 12]
    assert list(series(points, "train/gradient_norm")) == [5, 10, 15]


@pytest.mark.parametrize("size", [1, 7, 31])
def test_accumulation_gives_the_gradients_of_the_whole_batch(small: Small, size: int) -> None:
    whole, points, _ = trained(small, model__dropout=0.0)
    parts, same_points, _ = trained(small, model__dropout=0.0, training__micro_batch_size=size)
    assert same(whole.model, parts.model, 1e-4)
    left, right = series(points, "train/loss"), series(same_points, "train/loss")
    assert left == pytest.approx(right, abs=1e-5)


def test_a_clipped_norm_bounds_what_a_step_can_do(small: Small) -> None:
    changes = {"training__optimizer": "sgd", "training__learning_rate": 1.0, "training__epochs": 1}
    experiment = experiment_of(small, **changes, training__clip={"norm": 0.01})
    job = job_of(experiment)
    before = copy.deepcopy(job.model)
    Trainer(job, Hooks()).run()
    moved = [new - old for new, old in zip(job.model.parameters(), before.parameters(), strict=True)]
    assert 0 < torch.linalg.vector_norm(torch.cat([each.flatten() for each in moved])).item() <= 5 * 0.01 * 1.001


def test_a_clipped_value_bounds_each_weight(small: Small) -> None:
    changes = {"training__optimizer": "sgd", "training__learning_rate": 1.0, "training__epochs": 1}
    job = job_of(experiment_of(small, **changes, training__clip={"value": 1e-4}))
    before = copy.deepcopy(job.model)
    Trainer(job, Hooks()).run()
    moved = [new - old for new, old in zip(job.model.parameters(), before.parameters(), strict=True)]
    assert 0 < max(each.abs().max().item() for each in moved) <= 5 * 1e-4 * 1.001


SCHEDULES: dict[str, tuple[dict[str, Any], list[float]]] = {
    "constant": ({"kind": "constant", "warmup_steps": 2}, [0.5, 1, 1, 1, 1, 1]),
    "linear": ({"kind": "linear", "warmup_steps": 2, "minimum": 0.2}, [0.5, 1, 1, 0.8, 0.6, 0.4]),
    "cosine": ({"kind": "cosine", "warmup_steps": 0}, [(1 + math.cos(math.pi * step / 6)) / 2 for step in range(6)]),
    "step": ({"kind": "step", "every_steps": 2, "factor": 0.1}, [1, 1, 0.1, 0.1, 0.01, 0.01]),
}


@pytest.mark.parametrize("kind", SCHEDULES)
def test_a_schedule_is_a_function_of_the_step(kind: str) -> None:
    section, expected = SCHEDULES[kind]
    assert [share(ScheduleSection(**section), step, 6) for step in range(6)] == pytest.approx(expected)


def test_the_schedule_reaches_the_optimizer(small: Small) -> None:
    _, points, _ = trained(small, training__schedule={"kind": "step", "every_steps": 5, "factor": 0.1})
    rates = series(points, "train/learning_rate")
    assert rates == pytest.approx({step: 0.01 * 0.1 ** ((step - 1) // 5) for step in range(1, 16)})


EVERYTHING: dict[str, Any] = {
    "model__dropout": 0.3,
    "training__epochs": 6,
    "training__checkpoint_every_steps": 4,
    "training__micro_batch_size": 20,
    "training__clip": {"norm": 1.0},
    "training__schedule": {"kind": "cosine", "warmup_steps": 3},
    "training__precision": "bf16",
    "training__guard": {"skip_steps": 2},
    "training__early_stop": {"metric": "val.loss", "patience": 2, "minimum_delta": 0.5},
    "training__checkpoints": {"best": "val.accuracy"},
}


def test_with_every_option_on_a_run_still_resumes_bit_for_bit(small: Small) -> None:
    experiment = experiment_of(small, **EVERYTHING)
    saved: list[dict[str, Any]] = []
    best: list[dict[str, Any]] = []
    hooks = Hooks(on_checkpoint=saved.append, on_best=best.append, best=lambda: best[-1], say=lambda _: None)
    whole = job_of(experiment, {6: float("nan")})  # two micro-batches each: step 3
    expected = Trainer(whole, hooks).run()
    assert 3 <= len(saved) < 8, "it stopped early"
    for state in saved:
        resumed = job_of(experiment)
        trainer = Trainer(resumed, hooks)
        trainer.restore(copy.deepcopy(state))
        assert trainer.run() == expected
        assert same(whole.model, resumed.model)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_run_at_its_step(small: Small, value: float) -> None:
    job = job_of(experiment_of(small), {7: value})
    saved: list[int] = []
    hooks = Hooks(on_checkpoint=lambda state: saved.append(state["position"]["step"]))
    with pytest.raises(NonFiniteError, match=r"loss is (nan|inf) in epoch 2, step 7"):
        Trainer(job, hooks).run()
    assert saved == [4], "the last good one"


def test_gradients_that_are_no_numbers_are_not_kept(small: Small) -> None:
    """Here the loss is finite: the gradient of a square root at zero is not."""

    class Rooted(Wrong):
        def loss(self, model: nn.Module, batch: Batch) -> Tensor:
            self.steps += 1
            extra = model.get_parameter("0.bias").mul(0.0).sum().sqrt() if self.steps == 4 else 0.0
            loss: Tensor = self._loss(model, batch) + extra
            return loss

    job = job_of(experiment_of(small))
    saved: list[int] = []
    broken = Job(Rooted(job.plugin, {}), job.model, job.data, job.training, job.metrics, 0)
    with pytest.raises(NonFiniteError, match=r"gradient norm is nan in epoch 1, step 4"):
        Trainer(broken, Hooks(on_checkpoint=lambda state: saved.append(state["position"]["step"]))).run()
    assert saved == []


def test_steps_can_be_left_out_but_not_without_bound(small: Small) -> None:
    said: list[str] = []
    nan = float("nan")
    job = job_of(experiment_of(small, training__guard={"skip_steps": 2}), {3: nan, 9: float("inf")})
    Trainer(job, Hooks(say=said.append)).run()
    assert [line.split(" is left out")[0] for line in said] == ["step 3", "step 9"]
    assert all(torch.isfinite(each).all() for each in job.model.parameters())
    hopeless = job_of(experiment_of(small, training__guard={"skip_steps": 2}), {3: nan, 4: nan, 5: nan})
    with pytest.raises(NonFiniteError, match=r"epoch 1, step 5, after 2 skipped steps: 3, 4"):
        Trainer(hopeless, Hooks(say=lambda _: None)).run()


def test_a_step_that_is_left_out_moves_nothing(small: Small) -> None:
    """With plain SGD the weights after a left out last step are those before it."""
    changes = {"training__optimizer": "sgd", "training__epochs": 1, "training__guard": {"skip_steps": 1}}
    seen: list[dict[str, Tensor]] = []
    job = job_of(experiment_of(small, **changes, training__checkpoint_every_steps=4), {5: float("nan")})
    Trainer(job, Hooks(on_checkpoint=lambda state: seen.append(state["model"]), say=lambda _: None)).run()
    assert len(seen) == 2
    assert all(torch.equal(seen[0][name], seen[1][name]) for name in seen[0])


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_learns_nearly_the_same(small: Small, precision: str) -> None:
    _, points, full = trained(small, model__dropout=0.0, training__epochs=8)
    _, mixed_points, mixed = trained(small, model__dropout=0.0, training__epochs=8, training__precision=precision)
    assert mixed == pytest.approx(full, rel=0.05)
    assert series(points, "train/loss") != series(mixed_points, "train/loss"), "it is on"


def test_early_stop_knows_which_direction_is_better(small: Small) -> None:
    said: list[str] = []
    for metric in ("loss", "accuracy"):
        stop = {"metric": f"val.{metric}", "patience": 2, "minimum_delta": 10.0}
        job = job_of(experiment_of(small, training__epochs=9, training__early_stop=stop))
        epochs: list[dict[str, float]] = []
        Trainer(job, Hooks(on_epoch=lambda _epoch, _step, values: epochs.append(values), say=said.append)).run()  # noqa: B023 -- called at once
        assert len(epochs) == 3
        assert [any(name.startswith("test.") for name in values) for values in epochs] == [False, False, True]
    assert said[0] == "val.loss has not become better for 2 epochs: training ends"


def test_early_stop_lets_a_run_that_gets_better_go_on(small: Small) -> None:
    stop = {"metric": "val.loss", "patience": 1}
    job = job_of(experiment_of(small, training__epochs=4, training__early_stop=stop, model__dropout=0.0))
    epochs: list[float] = []
    Trainer(job, Hooks(on_epoch=lambda _epoch, _step, values: epochs.append(values["val.loss"]))).run()
    assert len(epochs) == 4
    assert epochs == sorted(epochs, reverse=True)


def test_the_best_epoch_is_the_model_that_is_left(small: Small) -> None:
    """Weights that get worse: the first epoch was the best, and the last figures are its."""
    changes = {
        "training__optimizer": "sgd",
        "training__learning_rate": 50.0,
        "training__checkpoints": {"best": "val.loss"},
    }
    job = job_of(experiment_of(small, **changes))
    epochs: list[dict[str, float]] = []
    best: list[dict[str, Any]] = []
    hooks = Hooks(
        on_epoch=lambda _epoch, _step, values: epochs.append(values), on_best=best.append, best=lambda: best[-1]
    )
    values = Trainer(job, hooks).run()
    first = min(epochs, key=lambda each: each["val.loss"])
    assert values["val.loss"] == first["val.loss"]
    assert all(torch.equal(tensor, best[-1]["model"][name]) for name, tensor in job.model.state_dict().items())


CALLBACK_SOURCE = """
from pydantic import PositiveInt
from experiment_hub.strict import Hyperparameters
from experiment_hub.training.callbacks.protocol import Callback

class Count(Callback):
    def __init__(self, every):
        self.every, self.seen = every, 0

    def after_step(self, loop):
        self.seen += 1
        if loop.position.step % self.every == 0:
            loop.log(loop.position.step, {"counted": float(self.seen)})

    def state(self):
        return {"seen": self.seen}

    def restore(self, state):
        self.seen = state["seen"]

class Maker:
    name = "count"

    class Config(Hyperparameters):
        every: PositiveInt

    def make(self, config, plan):
        return Count(config.every)

CALLBACK = Maker()
"""


@pytest.fixture
def counting(distribution: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Somebody's distribution with a callback of its own."""
    brought = {"module": "counting_callback", "source": CALLBACK_SOURCE, "group": "experiment_hub.callbacks"}
    monkeypatch.syspath_prepend(str(distribution("counting", **brought)))
    makers.cache_clear()
    yield
    makers.cache_clear()


@pytest.mark.usefixtures("counting")
def test_somebody_elses_callback_runs_is_kept_and_checked(small: Small) -> None:
    changes: dict[str, Any] = {"training__callbacks": {"count": {"every": 5}}}
    saved: list[dict[str, Any]] = []
    job = job_of(experiment_of(small, **changes))
    points: Points = []
    hooks = Hooks(on_step=lambda step, values: points.append((step, dict(values))), on_checkpoint=saved.append)
    Trainer(job, hooks).run()
    assert series(points, "counted") == {5: 5.0, 10: 10.0, 15: 15.0}
    again = Trainer(job_of(experiment_of(small, **changes)), hooks)
    again.restore(saved[0])
    points.clear()
    again.run()
    assert series(points, "counted") == {5: 5.0, 10: 10.0, 15: 15.0}, "it went on counting at step 4"
    with pytest.raises(ConfigurationError, match=r"training\.callbacks\.count\.every"):
        experiment_of(small, training__callbacks={"count": {"every": 0}})


CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "both": ({"clip": {"norm": 1.0, "value": 1.0}}, "exactly one of norm and value"),
    "neither": ({"clip": {}}, "exactly one of norm and value"),
    "step": ({"schedule": {"kind": "step", "every_steps": 3}}, "needs both"),
    "micro": ({"micro_batch_size": 64}, "micro_batch_size must be at most batch_size"),
    "metric": ({"early_stop": {"metric": "val.f1", "patience": 1}}, "must be val. and one of metrics"),
    "split": ({"checkpoints": {"best": "test.loss"}}, "must be val. and one of metrics"),
    "callback": ({"callbacks": {"nobody": {}}}, "unknown callback 'nobody'"),
    "sharded": ({"precision": "fp16", "distributed": {"strategy": "fsdp", "processes": 2}}, "use bf16"),
    "nan": ({"clip": {"norm": float("nan")}}, "clip.norm"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_settings_that_contradict_each_other_are_refused_by_name(small: Small, name: str) -> None:
    changes, message = CONTRADICTIONS[name]
    with pytest.raises(ConfigurationError, match=message):
        experiment_of(small, **{f"training__{key}": value for key, value in changes.items()})
