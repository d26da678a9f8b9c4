"""Curves as few points as a screen can show; those of runs that ended stay in memory a while, for zooming."""

import math
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Literal

from pydantic import BaseModel, Field

from experiment_hub.tracking.plain import key
from experiment_hub.tracking.series.curves import thin
from experiment_hub.tracking.series.layout import point_files
from experiment_hub.tracking.series.reader import Points, names, read_one, series_folder

KEPT_POINTS = 8_000_000  # 24 bytes each
SHOWN_ODD = 200
LONG_NAME = 900  # bytes; shorter ones are never shortened

Stamp = tuple[tuple[str, int, int], ...]


class Odd(BaseModel):
    x: float
    value: Literal["NaN", "Infinity", "-Infinity"]


class CurveOut(BaseModel):
    name: str
    axis: Literal["step", "time"]
    x: list[float]
    y: list[float | None] = Field(description="Null where the value is no finite number.")
    total: int = Field(description="Points in the range before thinning.")
    odd: list[Odd] = Field(description=f"The first {SHOWN_ODD} values that are no finite numbers.")


@dataclass(frozen=True)
class Window:
    """What part of a curve is wanted, and how fine."""

    points: int = 1000
    first: float | None = None
    last: float | None = None
    axis: Literal["step", "time"] = "step"


@dataclass(frozen=True)
class _Kept:
    points: Points
    stamp: Stamp


_kept: OrderedDict[tuple[Path, str], _Kept] = OrderedDict()
_lock = Lock()


def one_curve(folder: Path, name: str, window: Window, *, running: bool) -> CurveOut:
    found = _points(folder, name, running=running)
    thinned = thin(found, points=window.points, first=window.first, last=window.last, axis=window.axis)
    x, y = thinned.x.tolist(), thinned.y.tolist()
    odd = [Odd(x=place, value=_said(value)) for place, value in zip(x, y, strict=True) if not math.isfinite(value)]
    finite = [value if math.isfinite(value) else None for value in y]
    return CurveOut(name=name, axis=window.axis, x=x, y=finite, total=thinned.total, odd=odd[:SHOWN_ODD])


def _points(folder: Path, name: str, *, running: bool) -> Points:
    """From memory while the files are the same; those of a run at work grow without a new size or date."""
    place, stamp = (folder, name), _stamp(folder)
    with _lock:
        kept = _kept.get(place)
    if kept is not None and kept.stamp == stamp and not running:
        return kept.points
    points = read_one(folder, _logged_name(folder, name))
    if not running:
        _keep(place, _Kept(points, stamp))
    return points


def _keep(place: tuple[Path, str], fresh: _Kept) -> None:
    with _lock:
        _kept[place] = fresh
        _kept.move_to_end(place)
        while len(_kept) > 1 and sum(len(each.points.steps) for each in _kept.values()) > KEPT_POINTS:
            _kept.popitem(last=False)


def _logged_name(folder: Path, name: str) -> str:
    """A very long name stands shortened in the database, but whole in the run's own files."""
    if len(name.encode()) < LONG_NAME:
        return name
    return next((each for each in names(folder) if key(each) == name), name)


def _stamp(folder: Path) -> Stamp:
    files = ((path.name, path.stat()) for path in point_files(series_folder(folder)))
    return tuple((name, status.st_size, status.st_mtime_ns) for name, status in files)


def _said(value: float) -> Literal["NaN", "Infinity", "-Infinity"]:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
