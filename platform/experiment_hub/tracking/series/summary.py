"""What a table shows of a curve, brought up to date by reading only what is new."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiment_hub.files import write_atomically
from experiment_hub.tracking.series.layout import REWIND, point_files
from experiment_hub.tracking.series.reader import Records, blocks, file_names, name_of, read, series_folder

CACHE = "summary.json"
WORTH_KEEPING = 100_000  # fewer new points are read again in less time than a file is written


class Summary(NamedTuple):
    last: float
    """NaN and infinity as they were logged."""
    last_step: int
    last_time: float
    """Seconds since the epoch."""
    minimum: float | None
    maximum: float | None
    """Of the finite points."""
    points: int


@dataclass
class _State:
    """How far each file was read, and what was found until there."""

    read: dict[str, int]
    found: dict[str, Summary]


def summaries(folder: Path) -> dict[str, Summary]:
    """By name. Several values of one step all count as points; what a later attempt took back does not."""
    place = series_folder(folder)
    state = _load(place)
    fresh = 0
    for path in point_files(place):
        known = file_names(path)
        for begin, block in blocks(path, state.read.get(path.name, 0)):
            if bool(np.any(block["key"] == REWIND)):
                return _from_scratch(folder)
            used = np.flatnonzero(block["key"])
            if len(used):
                state.read[path.name] = begin + int(used[-1]) + 1
                fresh += len(used)
            for key, summary in _of_block(block[used]):
                name = name_of(known, path, key)
                state.found[name] = _merged(state.found.get(name), summary)
    if fresh >= WORTH_KEEPING:
        _keep(place, state)
    return state.found


def _of_block(block: Records) -> Iterator[tuple[int, Summary]]:
    """Grouped by key without a loop over points."""
    order = np.argsort(block["key"], kind="stable")
    keys = block["key"][order]
    if not len(keys):
        return
    begins = np.flatnonzero(np.append([True], keys[1:] != keys[:-1]))
    ends = np.append(begins[1:], len(keys))
    values, steps, times = (block[field][order] for field in ("value", "step", "time"))
    finite = np.isfinite(values)
    least = np.minimum.reduceat(np.where(finite, values, np.inf), begins)
    most = np.maximum.reduceat(np.where(finite, values, -np.inf), begins)
    columns = (keys[begins], values[ends - 1], steps[ends - 1], times[ends - 1], least, most, ends - begins)
    for key, last, step, time, low, high, count in zip(*(column.tolist() for column in columns), strict=True):
        some = low <= high  # else none is finite
        yield key, Summary(last, step, time, low if some else None, high if some else None, count)


def _merged(old: Summary | None, new: Summary) -> Summary:
    if old is None:
        return new
    low = [each for each in (old.minimum, new.minimum) if each is not None]
    high = [each for each in (old.maximum, new.maximum) if each is not None]
    latest = new if new.last_step >= old.last_step else old
    return latest._replace(
        minimum=min(low, default=None), maximum=max(high, default=None), points=old.points + new.points
    )


def _from_scratch(folder: Path) -> dict[str, Summary]:
    """Where an attempt was taken back, sums of the past do not help."""
    found = {}
    for name, points in read(folder).items():
        if len(points.steps):
            finite = points.values[np.isfinite(points.values)]
            low, high = (float(finite.min()), float(finite.max())) if len(finite) else (None, None)
            last = float(points.values[-1]), int(points.steps[-1]), float(points.times[-1])
            found[name] = Summary(*last, low, high, len(points.steps))
    return found


def _load(folder: Path) -> _State:
    """A cache that is missing or damaged is built anew."""
    try:
        document: dict[str, Any] = json.loads((folder / CACHE).read_bytes())
        return _State(dict(document["read"]), {name: Summary(*row) for name, row in document["found"].items()})
    except (OSError, ValueError, TypeError, KeyError):
        return _State({}, {})


def _keep(folder: Path, state: _State) -> None:
    document = {"read": state.read, "found": state.found}
    try:
        write_atomically(folder / CACHE, json.dumps(document).encode())
    except OSError:
        return  # a home that may only be read is read in full each time
