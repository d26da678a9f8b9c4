"""How a framework trains, measures and keeps a model; a new one is one new module here with a module-level `RUNTIME`.

Data crosses this border as numpy arrays, figures as plain numbers: nothing on the hub's side knows the framework.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from experiment_hub.configuration.schema import TrainingSection
from experiment_hub.metrics.definition import MetricDefinition
from experiment_hub.plugins.protocol import Plugin
from experiment_hub.strict import Hyperparameters
from experiment_hub.tasks import DataSpec


class Arrays(NamedTuple):
    """One split: `inputs` [samples, *input_shape]; `targets` [samples] or [samples, sequence], int64."""

    inputs: NDArray[Any]
    targets: NDArray[np.int64]


@dataclass(frozen=True)
class Blueprint:
    """What a model is built from; what it has learned is not part of it."""

    plugin: Plugin
    config: Hyperparameters
    """Typed `model` section."""
    spec: DataSpec


@dataclass(frozen=True)
class Work:
    """All that one training needs; a runtime reads nothing else, least of all the environment."""

    blueprint: Blueprint
    data: Mapping[str, Arrays]
    """`train`, `val` and `test`; the model is measured on `val` after each epoch and on `test` after the last."""
    training: TrainingSection
    metrics: tuple[MetricDefinition, ...]
    seed: int
    device: str
    folder: Path
    """The run's own; a runtime keeps its checkpoints there and goes on at the last of them, if there is one."""


@dataclass(frozen=True)
class Hooks:
    """How a runtime tells what happens; each may be called from the training thread only."""

    on_step: Callable[[int, Mapping[str, float]], None] = field(default=lambda _step, _values: None)
    """Step (from 1) and values of series such as `train/loss`; cheap, called as often as the framework logs."""
    on_epoch: Callable[[int, int, dict[str, float]], None] = field(default=lambda _epoch, _step, _values: None)
    """Epoch (from 1), step, and figures by "split.metric"."""
    on_checkpoint: Callable[[], None] = field(default=lambda: None)
    """Called right before a checkpoint is written: figures of epochs before it are never measured again."""


@dataclass(frozen=True)
class Census:
    trainable: int
    total: int
    """A parameter that two layers share counts once."""


@runtime_checkable
class Runtime(Protocol):
    @property
    def name(self) -> str:
        """What `framework` says in a plugin."""

    def build(self, work: Work) -> Any:
        """An untrained model on the work's device; the hub has seeded every generator before."""

    def fit(self, work: Work, model: Any, hooks: Hooks) -> dict[str, float]:
        """Train in place, to the last epoch; returns its figures, raises NonFiniteError when one is NaN or infinite."""

    def outputs(self, blueprint: Blueprint, model: Any, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Logits [samples, ..., spec.outputs] in evaluation mode; targets are out of the model's reach."""

    def census(self, model: Any) -> Census | None:
        """Exact count of parameters; None where the framework has no such notion."""

    def save(self, blueprint: Blueprint, model: Any, folder: Path) -> None:
        """Write what was learned into an existing folder, as data that `load` can read without running foreign code."""

    def load(self, blueprint: Blueprint, folder: Path) -> Any:
        """The saved model on the CPU, ready for `outputs`; raises CorruptError when the content is not what it must be."""
