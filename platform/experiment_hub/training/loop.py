"""The training loop: one pass over shuffled batches per epoch, then metrics."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch.optim import SGD, Adam, AdamW, Optimizer

from experiment_hub.configuration.schema import TrainingSection
from experiment_hub.errors import NonFiniteError
from experiment_hub.metrics.definition import MetricDefinition
from experiment_hub.plugins.protocol import ModelPlugin
from experiment_hub.tasks import Batch
from experiment_hub.training.determinism import capture_rng, restore_rng
from experiment_hub.training.evaluation import evaluate

OBJECTIVE = "train.objective"  # mean of the plugin's loss over the epoch, while the weights move

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"adamw": AdamW, "adam": Adam, "sgd": SGD}


@dataclass
class Position:
    epoch: int = 0
    """Finished epochs."""
    batch: int = 0
    """Batches done in the epoch that runs."""
    step: int = 0
    """Optimizer steps since the start."""


@dataclass(frozen=True)
class Job:
    plugin: ModelPlugin
    model: torch.nn.Module
    data: dict[str, Batch]
    training: TrainingSection
    metrics: tuple[MetricDefinition, ...]
    seed: int


@dataclass(frozen=True)
class Hooks:
    on_epoch: Callable[[int, int, dict[str, float]], None] = field(default=lambda _epoch, _step, _values: None)
    """Called with the epoch (from 1), the step and the metrics."""
    on_checkpoint: Callable[[dict[str, Any]], None] = field(default=lambda _: None)


def build_optimizer(model: torch.nn.Module, training: TrainingSection) -> Optimizer:
    factory = OPTIMIZERS[training.optimizer]
    return factory(model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay)


class Trainer:
    def __init__(self, job: Job, hooks: Hooks) -> None:
        self._job = job
        self._hooks = hooks
        self._optimizer = build_optimizer(job.model, job.training)
        self._sampler = torch.Generator().manual_seed(job.seed)
        self._device = job.data["train"].inputs.device
        self._objective = torch.zeros((), device=self._device)
        self._position = Position()
        self._epoch_sampler = self._sampler.get_state()
        self._saved_step = -1

    def restore(self, state: dict[str, Any]) -> None:
        """Continue at a checkpoint; the next batch is the one that would have come next."""
        self._job.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._sampler.set_state(state["sampler"].cpu())
        self._objective = state["objective"].to(self._device)
        self._position = Position(**state["position"])
        self._saved_step = self._position.step
        restore_rng(state["rng"])

    def run(self) -> dict[str, float]:
        """Train to the last epoch; returns its metrics, raises NonFiniteError when a loss is NaN or infinite."""
        self._job.model.train()
        values: dict[str, float] = {}
        while self._position.epoch < self._job.training.epochs:
            self._steps()
            values = self._close_epoch()
        return values

    def _steps(self) -> None:
        plugin, model, optimizer, position = self._job.plugin, self._job.model, self._optimizer, self._position
        train, every = self._job.data["train"], self._job.training.checkpoint_every_steps
        self._epoch_sampler = self._sampler.get_state()
        order = torch.randperm(len(train.targets), generator=self._sampler).to(self._device)
        for rows in torch.split(order, self._job.training.batch_size)[position.batch :]:
            loss = plugin.loss(model, Batch(train.inputs[rows], train.targets[rows]))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call] # torch ships it without types
            optimizer.step()
            # summed on the device: asking for a number here would stall an accelerator at every step
            self._objective.add_(loss.detach(), alpha=len(rows))
            position.batch += 1
            position.step += 1
            if position.step % every == 0:
                self._checkpoint()

    def _close_epoch(self) -> dict[str, float]:
        job, position = self._job, self._position
        last = position.epoch + 1 == job.training.epochs
        if last:
            self._checkpoint()
        values = {OBJECTIVE: self._finite_objective() / len(job.data["train"].targets)}
        for split in ("val", "test") if last else ("val",):  # test is looked at once
            values |= evaluate(job.plugin, job.model, job.data[split], job.metrics, split)
        position.epoch, position.batch = position.epoch + 1, 0
        self._objective.zero_()
        self._hooks.on_epoch(position.epoch, position.step, values)
        return values

    def _finite_objective(self) -> float:
        total = self._objective.item()
        if not math.isfinite(total):
            raise NonFiniteError(f"loss is {total} in epoch {self._position.epoch + 1}, step {self._position.step}")
        return total

    def _checkpoint(self) -> None:
        """Save once per step; a diverged model is not worth keeping."""
        self._finite_objective()
        if self._saved_step == self._position.step:
            return
        self._saved_step = self._position.step
        self._hooks.on_checkpoint(
            {
                "model": self._job.model.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "rng": capture_rng(),
                "sampler": self._epoch_sampler,
                "position": asdict(self._position),
                "objective": self._objective,
            }
        )
