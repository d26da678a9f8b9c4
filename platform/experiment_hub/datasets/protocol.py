"""The contract of a dataset; a new one is one new module here with a module-level `DATASET`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from experiment_hub.strict import Hyperparameters
from experiment_hub.tasks import DataSpec


@dataclass(frozen=True)
class Samples:
    """`ids` are stable and unique; they decide the split of a sample, or its group does where there are groups."""

    ids: tuple[str, ...]
    inputs: NDArray[Any]
    """[samples, *spec.input_shape]: float32, or int64 for tokens; may be mapped from a file."""
    targets: NDArray[np.int64]
    """[samples] or [samples, sequence]; `IGNORED_TARGET` where nothing is asked."""
    spec: DataSpec
    groups: tuple[str, ...] | None = None
    """[samples] where near-duplicates or relatives exist: the members of a group are never torn apart by a split."""
    slices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """[samples] for each declared column by which an evaluation looks at parts of the data."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a file, told without showing what the file holds."""

    file: str
    row: int | None
    """As people count: from 1, the header of a CSV file included."""
    column: str | None
    expected: str

    def __str__(self) -> str:
        row = "" if self.row is None else f", row {self.row}"
        column = "" if self.column is None else f", column {self.column}"
        return f"{self.file}{row}{column}: expected {self.expected}"


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
        """A pure function of `config` and of the files that it names: no global random state, no clock."""


@runtime_checkable
class Validated(Protocol):
    """What a dataset that reads files has as well: `hub data check` shows all that is wrong at once."""

    def validate(self, config: Any) -> Sequence[Problem]:
        """Everything that is wrong with the files, the first ones of each kind; empty when they can be used."""
