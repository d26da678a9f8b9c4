"""Figures from outputs and targets, the same for every framework."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiment_hub.errors import NonFiniteError
from experiment_hub.metrics.definition import MetricDefinition
from experiment_hub.tasks import CLASSIFICATION, IGNORED_TARGET
from experiment_hub.training.runtimes.protocol import Arrays, Blueprint, Runtime, Work

MEASURING_BATCH = 1024  # samples; bounds memory, does not change any figure's definition


def measure(
    outputs: NDArray[np.float64], targets: NDArray[np.int64], metrics: Sequence[MetricDefinition], split: str
) -> dict[str, float]:
    """`{"split.metric": value}` of logits [..., classes] and targets [...]; raises NonFiniteError."""
    flat, asked = outputs.reshape(-1, outputs.shape[-1]), targets.reshape(-1)
    counted = asked != IGNORED_TARGET
    if not counted.all():
        flat, asked = flat[counted], asked[counted]
    values = {f"{split}.{metric.name}": metric.compute(flat, asked) for metric in metrics}
    for name, value in values.items():
        if not math.isfinite(value):
            raise NonFiniteError(f"{name} is {value}")
    return values


def measure_splits(runtime: Runtime, work: Work, model: Any, *, last: bool) -> dict[str, float]:
    """Figures on `val`, and on `test` after the last epoch: it is looked at once."""
    values: dict[str, float] = {}
    for split in ("val", "test") if last else ("val",):
        data = work.data[split]
        values |= measure(runtime.outputs(work.blueprint, model, data.inputs), data.targets, work.metrics, split)
    return values


def without_targets(blueprint: Blueprint, inputs: NDArray[Any]) -> Arrays:
    """A batch that says nothing about the answers, for a model that is being measured."""
    shape = inputs.shape[:1] if blueprint.plugin.task == CLASSIFICATION else inputs.shape
    return Arrays(inputs, np.full(shape, IGNORED_TARGET, dtype=np.int64))
