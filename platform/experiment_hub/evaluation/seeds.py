"""The same figure of several trainings: mean, deviation and interval."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from experiment_hub.errors import BadInputError
from experiment_hub.evaluation.intervals import mean_interval
from experiment_hub.metadata.tables import Evaluation

SMALLEST = 2


def over_seeds(rows: Sequence[Evaluation]) -> dict[str, dict[str, Any]]:
    """By metric; raises BadInputError where the evaluations cannot be put together."""
    if len({row.split_hash for row in rows}) > 1:
        raise BadInputError("these models were measured on different splits: give one --dataset for all of them")
    repeated = len(rows) - len({row.digest for row in rows})
    if repeated:
        raise BadInputError(f"{repeated} of {len(rows)} models are the same artifact: a seed counts once")
    names = [name for name in rows[0].metrics if all(name in row.metrics for row in rows)]
    return summaries({name: [row.metrics[name]["value"] for row in rows] for name in names})


def summaries(values: Mapping[str, Sequence[float]]) -> dict[str, dict[str, Any]]:
    """Mean, standard deviation (n - 1) and Student's t interval of each; no deviation from a single value."""
    return {name: _summary(found) for name, found in values.items()}


def _summary(values: Sequence[float]) -> dict[str, Any]:
    several = len(values) >= SMALLEST
    interval = mean_interval(values) if several else None
    return {
        "count": len(values),
        "mean": statistics.fmean(values),
        "deviation": statistics.stdev(values) if several else None,
        "low": interval and interval.low,
        "high": interval and interval.high,
        "minimum": min(values),
        "maximum": max(values),
    }
