import numpy as np

from experiment_hub.metrics.confusion import confusion
from experiment_hub.metrics.definition import MetricDefinition, Outputs, Targets
from experiment_hub.tasks import CLASSIFICATION


def compute(outputs: Outputs, targets: Targets) -> float:
    counts = confusion(outputs, targets)
    there = counts.sum(axis=1) > 0
    return float((np.diag(counts)[there] / counts.sum(axis=1)[there]).mean())


METRIC = MetricDefinition(
    name="balanced_accuracy",
    version=1,
    unit="fraction",
    direction="max",
    formula="mean over the classes that occur among the targets of (hits of the class / targets of the class)",
    source="Brodersen, Ong, Stephan, Buhmann: The Balanced Accuracy and Its Posterior Distribution (2010)",
    aggregation="mean",
    tasks=frozenset({CLASSIFICATION}),
    compute=compute,
)
