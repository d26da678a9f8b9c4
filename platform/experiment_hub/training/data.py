"""A dataset's splits: checked, as arrays, and as tensors on the device of the run."""

from collections.abc import Mapping
from typing import Any

import torch

from experiment_hub.datasets.checks import checked_splits
from experiment_hub.datasets.protocol import Samples
from experiment_hub.tasks import Batch
from experiment_hub.training.runtimes.protocol import Arrays


def split_arrays(samples: Samples, splits: Mapping[str, Any]) -> dict[str, Arrays]:
    """`train`, `val` and `test`; raises DataError, LeakageError, EmptySplitError."""
    rows = checked_splits(samples, splits)
    return {split: Arrays(samples.inputs[members], samples.targets[members]) for split, members in rows.items()}


def split_tensors(samples: Samples, splits: Mapping[str, Any], device: torch.device) -> dict[str, Batch]:
    """The same as tensors on a device."""
    arrays = split_arrays(samples, splits)
    return {
        split: Batch(torch.from_numpy(each.inputs).to(device), torch.from_numpy(each.targets).to(device))
        for split, each in arrays.items()
    }
