"""Following a run's points: what is new since the last look."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiment_hub.tracking.series.layout import REWIND, point_files
from experiment_hub.tracking.series.reader import blocks, file_names, name_of, series_folder


class Point(NamedTuple):
    name: str
    step: int
    time: float
    """Seconds since the epoch."""
    value: float


class Tail:
    """Points in the order in which each process wrote them; what a later attempt took back was handed out already."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, int] = {}

    def fresh(self) -> Iterator[Point]:
        for path in point_files(series_folder(self._folder)):
            for begin, block in blocks(path, self._read.get(path.name, 0)):
                used = np.flatnonzero(block["key"])
                if not len(used):
                    continue
                self._read[path.name] = begin + int(used[-1]) + 1
                known = file_names(path)  # after the points: a name is written before its first use
                for step, time, value, key in block[used].tolist():
                    if key != REWIND:
                        yield Point(name_of(known, path, key), step, time, value)
