"""What one figure does not say: confusion, calibration, and slices of the split."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiment_hub.datasets.protocol import Samples
from experiment_hub.evaluation.outputs import asked
from experiment_hub.metrics.calibration import reliability
from experiment_hub.metrics.confusion import confusion
from experiment_hub.metrics.definition import MetricDefinition

MOST_CLASSES = 64  # of a confusion matrix that is kept
MOST_SLICES = 50  # values of one column
LABEL_RANK = 1


def details(
    metrics: Sequence[MetricDefinition], samples: Samples, outputs: NDArray[np.float64], classes: Sequence[str] | None
) -> dict[str, Any]:
    """Plain data; `confusion` is [true][predicted], and None for many classes or for sequences."""
    flat = asked(outputs, samples.targets)
    labels = samples.targets if samples.targets.ndim == LABEL_RANK else None
    small = labels is not None and samples.spec.outputs <= MOST_CLASSES
    return {
        "classes": None if classes is None else list(classes),
        "confusion": confusion(*flat).tolist() if small else None,
        "calibration": _calibration(*flat),
        "slices": {
            name: _slices(metrics, samples, outputs, values)
            for name, values in _columns(samples, labels, classes).items()
        },
    }


def _calibration(outputs: NDArray[np.float64], targets: NDArray[np.int64]) -> dict[str, Any]:
    found = reliability(outputs, targets)
    return {
        "expected_error": found.expected_error(),
        "counts": found.counts.tolist(),
        "confidence": found.confidence.tolist(),
        "accuracy": found.accuracy.tolist(),
    }


def _columns(
    samples: Samples, labels: NDArray[np.int64] | None, classes: Sequence[str] | None
) -> Mapping[str, Sequence[str]]:
    """By which the split is cut; the label comes first."""
    named = (
        {} if labels is None else {"label": [classes[label] if classes else str(label) for label in labels.tolist()]}
    )
    grouped = samples.groups is not None and len(set(samples.groups)) < len(samples.groups)
    return {**named, **({"group": samples.groups or ()} if grouped else {}), **samples.slices}


def _slices(
    metrics: Sequence[MetricDefinition], samples: Samples, outputs: NDArray[np.float64], values: Sequence[str]
) -> dict[str, Any]:
    """Figures by value; only a count where a column has too many values to be looked at."""
    column = np.array(values)
    found = np.unique(column)
    if len(found) > MOST_SLICES:
        return {"values": len(found), "parts": None}
    return {
        "values": len(found),
        "parts": {str(value): _part(metrics, samples, outputs, column == value) for value in found},
    }


def _part(
    metrics: Sequence[MetricDefinition], samples: Samples, outputs: NDArray[np.float64], rows: NDArray[np.bool_]
) -> dict[str, Any]:
    flat = asked(outputs[rows], samples.targets[rows])
    measured = {metric.name: metric.compute(*flat) for metric in metrics} if len(flat[1]) else {}
    return {"samples": int(rows.sum()), "metrics": measured}
