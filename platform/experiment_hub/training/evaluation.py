"""Metrics of a model on one split."""

from collections.abc import Sequence

import numpy as np
import torch

from experiment_hub.metrics.definition import MetricDefinition
from experiment_hub.plugins.protocol import ModelPlugin
from experiment_hub.tasks import Batch
from experiment_hub.training.runtimes.measuring import MEASURING_BATCH, measure


def evaluate(
    plugin: ModelPlugin, model: torch.nn.Module, data: Batch, metrics: Sequence[MetricDefinition], split: str
) -> dict[str, float]:
    """`{"split.metric": value}`; raises NonFiniteError for NaN or infinity. The model goes back to training mode."""
    model.eval()
    with torch.no_grad():
        parts = [
            plugin.outputs(model, Batch(*chunk)).flatten(0, -2)
            for chunk in zip(*(torch.split(tensor, MEASURING_BATCH) for tensor in data), strict=True)
        ]
    model.train()
    outputs = torch.cat(parts).cpu().numpy().astype(np.float64)
    return measure(outputs, data.targets.flatten().cpu().numpy(), metrics, split)
