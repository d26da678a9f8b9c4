"""A dataset's splits as tensors on the device of the run."""

from collections.abc import Mapping

import torch

from experiment_hub.datasets.protocol import Samples
from experiment_hub.datasets.splits import assign
from experiment_hub.tasks import Batch


def split_tensors(samples: Samples, fractions: Mapping[str, float], device: torch.device) -> dict[str, Batch]:
    """`{"train": Batch, "val": Batch, "test": Batch}`; raises EmptySplitError."""
    return {
        split: Batch(
            torch.from_numpy(samples.inputs[rows]).to(device), torch.from_numpy(samples.targets[rows]).to(device)
        )
        for split, rows in assign(samples, fractions).items()
    }
