"""A dataset's splits, checked, as arrays."""

from collections.abc import Mapping
from typing import Any

from experiment_hub.datasets.checks import checked_splits
from experiment_hub.datasets.protocol import Samples
from experiment_hub.training.runtimes.protocol import Arrays


def split_arrays(samples: Samples, splits: Mapping[str, Any]) -> dict[str, Arrays]:
    """`train`, `val` and `test`; raises DataError, LeakageError, EmptySplitError."""
    rows = checked_splits(samples, splits)
    return {split: Arrays(samples.inputs[members], samples.targets[members]) for split, members in rows.items()}
