"""How sure a figure on one split is: bootstrap over samples, or over groups where there are groups."""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from experiment_hub.evaluation.outputs import asked
from experiment_hub.metrics.definition import MetricDefinition

CONFIDENCE = 0.95
MOST, FEWEST = 1000, 200
VALUES = 100_000_000  # numbers that are drawn over all resamples, about: bounds the time
SMALLEST_FAMILY = 2
FEW_UNITS = 20  # with fewer a percentile interval is too narrow (Cameron, Gelbach, Miller 2008)


def resamples(outputs: NDArray[np.float64]) -> int:
    """1000, fewer where outputs are large, never fewer than 200."""
    return max(FEWEST, min(MOST, VALUES // max(1, outputs.size)))


def units(count: int, groups: Sequence[str] | None) -> list[NDArray[np.int64]]:
    """What is drawn as a whole: rows of each group, or each row."""
    if groups is None:
        return list(np.arange(count).reshape(-1, 1))
    _, numbers = np.unique(np.array(groups), return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    return np.split(order, np.cumsum(np.bincount(numbers))[:-1])


def intervals(
    metrics: Sequence[MetricDefinition],
    outputs: NDArray[np.float64],
    targets: NDArray[np.int64],
    *,
    drawn: Sequence[NDArray[np.int64]],
    seed: int,
) -> dict[str, tuple[float, float]]:
    """Bias-corrected percentile intervals; {} for one unit. The draws depend on the seed alone.

    Groups are drawn whole (Field, Welsh: Bootstrapping Clustered Data, 2007).
    """
    if len(drawn) < SMALLEST_FAMILY:
        return {}
    generator = np.random.Generator(np.random.Philox(key=seed))
    rows = np.concatenate(drawn) if all(len(unit) == 1 for unit in drawn) else None
    values = np.empty((resamples(outputs), len(metrics)))
    for each in values:
        chosen = generator.integers(0, len(drawn), len(drawn))
        picked = rows[chosen] if rows is not None else np.concatenate([drawn[unit] for unit in chosen])
        flat = asked(outputs[picked], targets[picked])
        each[:] = [metric.compute(*flat) for metric in metrics]
    whole = asked(outputs, targets)
    return {
        metric.name: _ends(column, metric.compute(*whole)) for metric, column in zip(metrics, values.T, strict=True)
    }


def _ends(values: NDArray[np.float64], value: float) -> tuple[float, float]:
    """Efron, Tibshirani: An Introduction to the Bootstrap (1993), section 14.3, without acceleration.

    A figure that grows when samples repeat, such as a calibration error, would lie below a plain percentile interval.
    The correction is bounded so that the figure itself is never outside.
    """
    normal = NormalDist()
    reach = normal.inv_cdf((1 + CONFIDENCE) / 2)
    below = float(((values < value) + 0.5 * (values == value)).mean())
    smallest = 1 / (len(values) + 1)
    bias = normal.inv_cdf(min(max(below, smallest), 1 - smallest))
    bias = min(max(bias, -reach), reach)
    low, high = np.quantile(values, [normal.cdf(2 * bias - reach), normal.cdf(2 * bias + reach)])
    return min(float(low), value), max(float(high), value)
