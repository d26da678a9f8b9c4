"""The contract of a dataset; a new one is one new module here with a module-level `DATASET`."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from experiment_hub.strict import Hyperparameters
from experiment_hub.tasks import DataSpec


@dataclass(frozen=True)
class Samples:
    """`ids` are stable and unique: they alone decide the split of a sample."""

    ids: tuple[str, ...]
    inputs: NDArray[Any]
    """[samples, *spec.input_shape]: float32, or int64 for tokens."""
    targets: NDArray[np.int64]
    """[samples] or [samples, sequence]; `IGNORED_TARGET` where nothing is asked."""
    spec: DataSpec


@runtime_checkable
class DatasetSpec(Protocol):
    @property
    def name(self) -> str:
        """What `data.name` says in a configuration."""

    @property
    def task(self) -> str:
        """Kind of task, see `experiment_hub.tasks`."""

    @property
    def Config(self) -> type[Hyperparameters]:  # noqa: N802 -- datasets nest a class of this name
        """Settings next to `data.name` and `data.splits`, all required."""

    def generate(self, config: Any) -> Samples:
        """A pure function of `config`: no global random state, no clock, no network."""
