"""A curve of any length as few points as a screen can show, with its extremes and its gaps."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from experiment_hub.tracking.series.reader import Floats, Points, read_one

Axis = Literal["step", "time"]


@dataclass(frozen=True)
class Curve:
    """`x` ascends; `y` keeps NaN and infinity."""

    x: Floats
    """Steps, or seconds since the epoch."""
    y: Floats
    total: int
    """Points in the range before thinning."""


def curve(
    folder: Path,
    name: str,
    *,
    points: int = 1000,
    first: float | None = None,
    last: float | None = None,
    axis: Axis = "step",
) -> Curve:
    """At most about `points` points of `first` <= x <= `last`: of each bucket its least, its greatest and a gap."""
    return thin(read_one(folder, name), points=points, first=first, last=last, axis=axis)


def thin(found: Points, *, points: int, first: float | None, last: float | None, axis: Axis) -> Curve:
    x: Any = found.steps if axis == "step" else np.maximum.accumulate(found.times)
    begin = 0 if first is None else int(np.searchsorted(x, first, "left"))
    end = len(x) if last is None else int(np.searchsorted(x, last, "right"))
    x, y = x[begin:end], found.values[begin:end]
    rows = slice(None) if len(x) <= max(points, 4) else _extremes(y, max(1, (points - 2) // 2))
    return Curve(x[rows].astype(np.float64), y[rows], len(x))


def _extremes(values: Floats, buckets: int) -> Any:
    """Rows of the least, the greatest and the first NaN of each bucket, and both ends."""
    size = -(-len(values) // buckets)
    whole = len(values) // size
    table = values[: whole * size].reshape(whole, size)
    base = np.arange(whole) * size
    missing = np.isnan(table)
    low, high = (
        (table, table) if not missing.any() else (np.where(missing, np.inf, table), np.where(missing, -np.inf, table))
    )
    gaps = base[missing.any(axis=1)] + missing.argmax(axis=1)[missing.any(axis=1)]
    rest = values[whole * size :]
    tail = [] if not len(rest) else [whole * size + _arg(np.argmin, rest), whole * size + _arg(np.argmax, rest)]
    ends = [0, len(values) - 1]
    return np.unique(
        np.concatenate([base + low.argmin(axis=1), base + high.argmax(axis=1), gaps, tail, ends]).astype(np.int64)
    )


def _arg(function: Any, values: Floats) -> int:
    """Of a NaN, where there is one: numpy's argmin and argmax stop at it."""
    return int(function(values))
