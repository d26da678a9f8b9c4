"""Metrics of a model on one split."""

import math
from collections.abc import Sequence

import numpy as np
import torch

from experiment_hub.errors import NonFiniteError
from experiment_hub.metrics.definition import MetricDefinition
from experiment_hub.plugins.protocol import ModelPlugin
from experiment_hub.tasks import IGNORED_TARGET, Batch

EVALUATION_BATCH = 1024  # samples; bounds memory, does not change any figure's definition


def evaluate(
    plugin: ModelPlugin, model: torch.nn.Module, data: Batch, metrics: Sequence[MetricDefinition], split: str
) -> dict[str, float]:
    """`{"split.metric": value}`; raises NonFiniteError for NaN or infinity. The model goes back to training mode."""
    model.eval()
    with torch.no_grad():
        parts = [
            plugin.outputs(model, Batch(*chunk)).flatten(0, -2)
            for chunk in zip(*(torch.split(tensor, EVALUATION_BATCH) for tensor in data), strict=True)
        ]
    model.train()
    outputs = torch.cat(parts).cpu().numpy().astype(np.float64)
    targets = data.targets.flatten().cpu().numpy()
    asked = targets != IGNORED_TARGET
    if not asked.all():
        outputs, targets = outputs[asked], targets[asked]
    values = {f"{split}.{metric.name}": metric.compute(outputs, targets) for metric in metrics}
    for name, value in values.items():
        if not math.isfinite(value):
            raise NonFiniteError(f"{name} is {value}")
    return values
