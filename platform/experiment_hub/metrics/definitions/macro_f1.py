import numpy as np

from experiment_hub.metrics.confusion import confusion
from experiment_hub.metrics.definition import MetricDefinition, Outputs, Targets
from experiment_hub.tasks import CLASSIFICATION


def compute(outputs: Outputs, targets: Targets) -> float:
    counts = confusion(outputs, targets)
    involved = counts.sum(axis=0) + counts.sum(axis=1)  # 2 hits + false alarms + misses
    there = involved > 0
    return float((2 * np.diag(counts)[there] / involved[there]).mean())


METRIC = MetricDefinition(
    name="macro_f1",
    version=1,
    unit="fraction",
    direction="max",
    formula="mean over the classes that are a target or a prediction of 2 TP / (2 TP + FP + FN)",
    source="Sokolova, Lapalme: A Systematic Analysis of Performance Measures for Classification Tasks (2009), table 3",
    aggregation="mean",
    tasks=frozenset({CLASSIFICATION}),
    compute=compute,
)
