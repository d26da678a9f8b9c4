"""The contract of a callback: what may happen around the steps of the loop.

A callback of somebody's own is one new module here, or an entry point, with a module-level `CALLBACK`; it runs when a
configuration names it under `training.callbacks`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn
from torch.optim import Optimizer

from experiment_hub.configuration.schema import TrainingSection
from experiment_hub.strict import Hyperparameters
from experiment_hub.training.distributed import ALONE, Team


@dataclass
class Position:
    epoch: int = 0
    """Finished epochs."""
    batch: int = 0
    """Batches done in the epoch that runs."""
    step: int = 0
    """Batches done since the start, each of them one update of the weights."""


@dataclass(frozen=True)
class Plan:
    """What is known before the first step."""

    training: TrainingSection
    steps_per_epoch: int
    batch_tokens: int
    """Tokens per sample; 0 where samples are no sequences."""
    seed: int
    team: Team = ALONE

    @property
    def steps(self) -> int:
        return self.steps_per_epoch * self.training.epochs


@dataclass
class Loop:
    """The loop as callbacks see it; one object for the whole run."""

    plan: Plan
    model: nn.Module
    optimizer: Optimizer
    position: Position
    log: Callable[[int, Mapping[str, float]], None]
    """Points of series at a step."""
    save: Callable[[], None]
    """Keep a checkpoint of this moment; only between two steps."""
    say: Callable[[str], None]
    """One line for people."""
    loss: Tensor = field(default_factory=lambda: Tensor([0.0]))
    """Mean over the last batch, detached, on the device of the run."""
    rows: int = 0
    """Samples in the last batch."""
    gradient_norm: Tensor | None = None
    """Of the last step, before clipping, where something asked for it."""


class Callback:
    """Does nothing; a subclass overrides what it needs, and the loop calls nothing else."""

    def start(self, loop: Loop) -> None:
        """Before the first step, after a checkpoint was restored."""

    def before_update(self, loop: Loop) -> bool:
        """Gradients are there, the weights have not moved; False leaves this update out."""
        del loop
        return True

    def after_step(self, loop: Loop) -> None: ...

    def before_save(self, loop: Loop) -> None:
        """Raises when this moment is not worth keeping."""

    def after_epoch(self, loop: Loop, values: Mapping[str, float]) -> None:
        """With the figures of the epoch, by "split.metric"."""

    def finish(self, loop: Loop) -> None:
        """After the last step, however it came to be the last: an error may be under way."""

    def state(self) -> dict[str, Any]:
        """Plain data that a checkpoint keeps."""
        return {}

    def restore(self, state: dict[str, Any]) -> None: ...


def overridden(callback: Callback, method: str) -> bool:
    return getattr(type(callback), method) is not getattr(Callback, method)


@runtime_checkable
class CallbackMaker(Protocol):
    @property
    def name(self) -> str:
        """What stands under `training.callbacks` in a configuration."""

    @property
    def Config(self) -> type[Hyperparameters]:  # noqa: N802 -- callbacks nest a class of this name
        """Its settings there, all required."""

    def make(self, config: Any, plan: Plan) -> Callback: ...
