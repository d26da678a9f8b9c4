"""The training loop: one pass over shuffled batches per epoch, then metrics; all else is a callback."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import torch

from experiment_hub.configuration.schema import TrainingSection
from experiment_hub.metrics.definition import MetricDefinition
from experiment_hub.output import progress
from experiment_hub.plugins.protocol import ModelPlugin
from experiment_hub.tasks import Batch
from experiment_hub.training.backward import Backward
from experiment_hub.training.callbacks.early_stop import BestFigure, EarlyStop
from experiment_hub.training.callbacks.protocol import Callback, Loop, Plan, Position, overridden
from experiment_hub.training.callbacks.registry import callbacks
from experiment_hub.training.determinism import restore_rng, seed_everything
from experiment_hub.training.distributed import ALONE, Shared, SharedPlugin, Team, shared, spread
from experiment_hub.training.evaluation import evaluate
from experiment_hub.training.optimizers import build_optimizer
from experiment_hub.training.snapshot import captured_rng, frozen, load, own_rng

RANK_STRIDE = 0x9E3779B1  # odd, so that seeds of neighbours never meet
OBJECTIVE = "train.objective"  # mean of the plugin's loss over the epoch, while the weights move


@dataclass(frozen=True)
class Job:
    plugin: ModelPlugin
    model: torch.nn.Module
    data: dict[str, Batch]
    training: TrainingSection
    metrics: tuple[MetricDefinition, ...]
    seed: int
    team: Team = ALONE


@dataclass(frozen=True)
class Hooks:
    on_step: Callable[[int, Mapping[str, float]], None] = field(default=lambda _step, _values: None)
    """Called with the step and points of series."""
    on_epoch: Callable[[int, int, dict[str, float]], None] = field(default=lambda _epoch, _step, _values: None)
    """Called with the epoch (from 1), the step and the metrics."""
    on_checkpoint: Callable[[dict[str, Any]], None] = field(default=lambda _: None)
    """Called with a state that nothing changes any more."""
    on_best: Callable[[dict[str, Any]], None] = field(default=lambda _: None)
    """The same, after an epoch with the best figure so far, where the configuration asks for one."""
    best: Callable[[], dict[str, Any]] = dict
    """The last state that `on_best` was called with."""
    say: Callable[[str], None] = progress


class Trainer:
    def __init__(self, job: Job, hooks: Hooks) -> None:
        self._job, self._hooks = job, hooks
        self._device = job.data["train"].inputs.device
        self._shared = self._share()
        self._model = job.model if self._shared is None else self._shared.model
        self._backward = Backward(self._loss, job.training, self._device)
        if self._shared is not None:
            self._backward.unsynchronized = self._shared.unsynchronized
        self._sampler = torch.Generator().manual_seed(job.seed)
        self._objective = torch.zeros((), device=self._device)
        self._position = Position()
        self._epoch_sampler = self._sampler.get_state()
        self._saved_step = -1
        self._loop = self._make_loop()
        self._callbacks = callbacks(self._loop.plan, job.metrics)
        self._best = self._best_figure()
        self._best_is_now = False

    def restore(self, state: dict[str, Any]) -> None:
        """Continue at a checkpoint; the next batch is the one that would have come next."""
        load(self._model, self._loop.optimizer, state)
        self._sampler.set_state(state["sampler"].cpu())
        self._objective.copy_(state["objective"])
        vars(self._position).update(state["position"])
        self._saved_step = self._position.step
        extras = state.get("callbacks", {})
        for name, each in self._callbacks.items():
            if name in extras:
                each.restore(extras[name])
        if self._backward.scaler is not None and "scaler" in extras:
            self._backward.scaler.load_state_dict(extras["scaler"])
        if self._best is not None and "best" in extras:
            self._best.value = extras["best"]
        restore_rng(own_rng(state, self._job.team))

    def run(self) -> dict[str, float]:
        """Train to the last epoch; returns its metrics, raises NonFiniteError when a loss is NaN or infinite."""
        self._model.train()
        values: dict[str, float] = {}
        with ExitStack() as ends:
            for each in self._callbacks.values():
                ends.callback(each.finish, self._loop)
                each.start(self._loop)
            done = False
            while not done:
                self._steps()
                values, done = self._close_epoch()
            if self._model is not self._job.model:
                self._job.model.load_state_dict(frozen(self._model.state_dict()))
        return values

    def add(self, name: str, callback: Callback) -> None:
        """One more, that acts after the others."""
        self._callbacks[name] = callback

    def _share(self) -> Shared | None:
        """With other processes, where there are some; only dropout and the like are drawn differently there."""
        job, section = self._job, self._job.training.distributed
        if section is None or job.team.size == 1:
            return None
        seed_everything((job.seed + RANK_STRIDE * job.team.rank) % 2**32, job.training.determinism or "strict")
        return shared(job.plugin, job.model, section.strategy)

    def _loss(self, batch: Batch) -> torch.Tensor:
        if self._shared is None:
            return self._job.plugin.loss(self._job.model, batch)
        return self._shared.call(batch, "loss")

    def _evaluate(self, split: str) -> dict[str, float]:
        """Every process measures the whole split, and rank 0 is believed: they must not decide differently."""
        job = self._job
        plugin = job.plugin if self._shared is None else SharedPlugin(job.plugin, self._shared)
        return job.team.told(evaluate(plugin, self._model, job.data[split], job.metrics, split))

    def _make_loop(self) -> Loop:
        job = self._job
        train = job.data["train"]
        batches = -(-len(train.targets) // job.training.batch_size)
        tokens = train.targets.shape[1] if train.targets.ndim > 1 else 0
        return Loop(
            plan=Plan(job.training, batches, tokens, job.seed, job.team),
            model=self._model,
            optimizer=build_optimizer(self._model, job.training),
            position=self._position,
            log=self._hooks.on_step,
            save=self._checkpoint,
            say=self._hooks.say,
        )

    def _best_figure(self) -> BestFigure | None:
        figure = self._job.training.checkpoints.best
        if figure is None:
            return None
        name = figure.partition(".")[2]
        return BestFigure(figure, next(metric for metric in self._job.metrics if metric.name == name))

    def _calls(self, method: str) -> list[Callable[..., Any]]:
        return [getattr(each, method) for each in self._callbacks.values() if overridden(each, method)]

    def _steps(self) -> None:
        loop, position, train = self._loop, self._position, self._job.data["train"]
        before, after = self._calls("before_update"), self._calls("after_step")
        self._epoch_sampler = self._sampler.get_state()
        order = torch.randperm(len(train.targets), generator=self._sampler).to(self._device)
        for rows in torch.split(order, self._job.training.batch_size)[position.batch :]:
            loop.optimizer.zero_grad(set_to_none=True)
            loop.rows = len(rows)
            if self._shared is None:
                loop.loss = self._backward(Batch(train.inputs[rows], train.targets[rows]))
            else:
                own, weight = self._job.team.share(rows)
                loss = self._backward(
                    Batch(train.inputs[own], train.targets[own]),
                    weight=weight,
                    largest=self._job.team.largest_share(rows),
                )
                loop.loss = self._job.team.mean(loss * weight)
            self._update(before)
            position.batch += 1
            position.step += 1
            for call in after:
                call(loop)

    def _update(self, before: list[Callable[[Loop], bool]]) -> None:
        """Move the weights, unless a callback says no."""
        loop, scaler = self._loop, self._backward.scaler
        if scaler is not None:
            scaler.unscale_(loop.optimizer)
        wanted = [call(loop) for call in before]  # every one is asked, whatever another says
        if all(wanted):
            # summed on the device: asking for a number here would stall an accelerator at every step
            self._objective.add_(loop.loss, alpha=loop.rows)
            if scaler is None:
                loop.optimizer.step()
            else:
                scaler.step(loop.optimizer)
        if scaler is not None:
            scaler.update()

    def _close_epoch(self) -> tuple[dict[str, float], bool]:
        """Figures, and whether this was the last epoch."""
        job, position = self._job, self._position
        last = position.epoch + 1 == job.training.epochs
        if last:
            self._checkpoint()
        values = {OBJECTIVE: self._objective.item() / len(job.data["train"].targets)}
        values |= self._evaluate("val")
        stopper = cast("EarlyStop | None", self._callbacks.get("early_stop"))
        if not last and stopper is not None and stopper.would_stop(values):
            last = True
            self._checkpoint()
        for call in self._calls("after_epoch"):
            call(self._loop, values)
        self._keep_best(values)
        if last:
            values |= self._last_figures()
        position.epoch, position.batch = position.epoch + 1, 0
        self._objective.zero_()
        self._hooks.on_epoch(position.epoch, position.step, values)
        return values, last

    def _keep_best(self, values: Mapping[str, float]) -> None:
        if self._best is None:
            return
        self._best_is_now = self._best.better(values)
        if self._best_is_now:
            self._best.value = values[self._best.figure]
            self._hooks.on_best(self._state())

    def _last_figures(self) -> dict[str, float]:
        """Of the model that the run leaves behind; the test split is looked at once."""
        values: dict[str, float] = {}
        if self._best is not None and not self._best_is_now:
            best = self._job.team.told(self._hooks.best())
            self._model.load_state_dict(spread(best["model"], self._model.state_dict()))
            values = self._evaluate("val")
        return values | self._evaluate("test")

    def _checkpoint(self) -> None:
        """Save once per step; a diverged model is not worth keeping."""
        if self._saved_step == self._position.step:
            return
        for call in self._calls("before_save"):
            call(self._loop)
        self._saved_step = self._position.step
        self._hooks.on_checkpoint(self._state())

    def _state(self) -> dict[str, Any]:
        extras: dict[str, Any] = {
            name: each.state() for name, each in self._callbacks.items() if overridden(each, "state")
        }
        if self._backward.scaler is not None:
            extras["scaler"] = self._backward.scaler.state_dict()
        if self._best is not None:
            extras["best"] = self._best.value
        return {
            "model": frozen(self._model.state_dict()),
            "optimizer": frozen(self._loop.optimizer.state_dict()),
            **captured_rng(self._job.team),
            "sampler": self._epoch_sampler,
            "position": asdict(self._position),
            "objective": frozen(self._objective),
            "callbacks": extras,
        }
