"""What plugins, datasets and metrics agree on: kinds of task, shapes of data, batches."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

CLASSIFICATION = "classification"
NEXT_TOKEN = "next_token"  # noqa: S105 -- a kind of task, not a secret
IGNORED_TARGET = -100  # the value that torch's cross entropy leaves out as well


@dataclass(frozen=True)
class DataSpec:
    """Shape of one sample, without the batch dimension, as a model needs it to be built."""

    input_shape: tuple[int, ...]
    """For classification `(features,)`, or `(channels, height, width)` for images; `(sequence,)` for next_token."""
    outputs: int
    """Number of classes, or size of the vocabulary."""


class Batch(NamedTuple):
    """`inputs` [batch, *input_shape]; `targets` [batch] or [batch, sequence], int64."""

    inputs: "Tensor"
    targets: "Tensor"
