"""Reading points while they are written, or afterwards.

Files are read in blocks and not mapped: a writer that closes gives unused room back, and touching a mapping of it then
would kill the reader.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiment_hub.tracking.series.layout import FOLDER, NAMES, RECORD, REWIND, TIMED, point_files

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Records = NDArray[np.void]
DTYPE = np.dtype([("step", "<i8"), ("time", "<f8"), ("value", "<f8"), ("key", "<u8")])
BLOCK = 32 * 1024  # records: 1 MiB, which stays in the processor's cache
FILE_SHIFT = 40  # a position is the number of the file and, in its lower bits, of the record in it


@dataclass(frozen=True)
class Points:
    """One curve, sorted by step; of several values for one step the last one counts."""

    steps: Integers
    times: Floats
    """Seconds since the epoch."""
    values: Floats


def series_folder(folder: Path) -> Path:
    """Of a run's folder, or the folder itself."""
    inside = folder / FOLDER
    return inside if inside.is_dir() else folder


def names(folder: Path) -> list[str]:
    """Everything that was ever logged, in the order of its first appearance."""
    files = point_files(series_folder(folder))
    return list(dict.fromkeys(name for path in files for name in file_names(path)))


class _Part(NamedTuple):
    """Points of one name in one block."""

    positions: Integers
    steps: Integers
    times: Floats
    values: Floats


def read(folder: Path) -> dict[str, Points]:
    """All curves; a name that was announced but has no point yet has an empty one."""
    parts: dict[str, list[_Part]] = {name: [] for name in names(folder)}
    marks: list[tuple[int, int]] = []
    for number, path in enumerate(point_files(series_folder(folder))):
        known = file_names(path)
        for first, block in _positioned(path, number):
            keys = block["key"].copy()
            marks += _marks(first, block, keys)
            for key, rows in _by_key(keys):
                parts.setdefault(name_of(known, path, key), []).append(_part(first, block, rows))
    return {name: _join(found, _marks_for(name, marks)) for name, found in parts.items()}


def read_one(folder: Path, name: str) -> Points:
    """One curve; empty where the run has none of that name."""
    line = json.dumps(name).encode()
    found: list[_Part] = []
    marks: list[tuple[int, int]] = []
    for number, path in enumerate(point_files(series_folder(folder))):
        key = _key(path, line)
        for first, block in _positioned(path, number):
            keys = block["key"].copy()
            marks += _marks(first, block, keys)
            rows = np.flatnonzero(keys == key)
            if key and len(rows):
                found.append(_part(first, block, rows))
    return _join(found, _marks_for(name, marks))


def file_names(path: Path) -> list[str]:
    """Names by key, from key 1; a last line that is not whole yet is left out."""
    names_file = path.with_suffix(NAMES)
    lines = names_file.read_bytes().split(b"\n")[:-1] if names_file.exists() else []
    return [_text(line) for line in lines]


def name_of(known: Sequence[str], path: Path, key: int) -> str:
    """A writer that died on a full disk may have left points whose name it could not write any more."""
    return known[key - 1] if key <= len(known) else f"(name lost: {path.stem}, key {key})"


def blocks(path: Path, begin: int = 0) -> Iterator[tuple[int, Records]]:
    """The number of the first record and the records of one block, places without a record included."""
    buffer = np.empty(BLOCK, DTYPE)
    with path.open("rb", buffering=0) as file:
        file.seek(begin * RECORD.size)
        while count := _fill(file, buffer.view(np.uint8).data) // RECORD.size:
            yield begin, buffer[:count]
            begin += count


def _fill(file: Any, view: memoryview) -> int:
    """As much as there is: a system may return less than a reader asked for."""
    total = 0
    while count := file.readinto(view[total:]):
        total += count
    return total


def _positioned(path: Path, number: int) -> Iterator[tuple[int, Records]]:
    for begin, block in blocks(path):
        yield (number << FILE_SHIFT) + begin, block


def _part(first: int, block: Records, rows: Any) -> _Part:
    """Column by column, which numpy copies several times faster than whole records."""
    if len(rows) == len(block):
        rows = slice(None)
        positions = np.arange(first, first + len(block), dtype=np.int64)
    else:
        positions = rows + first
    steps, times, values = (block[field][rows].copy() for field in ("step", "time", "value"))
    return _Part(positions, steps, times, values)


def _marks(first: int, block: Records, keys: Any) -> list[tuple[int, int]]:
    rows = np.flatnonzero(keys == REWIND)
    return [(first + int(row), int(block["step"][row])) for row in rows]


def _marks_for(name: str, marks: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [] if name.startswith(TIMED) else marks


def _by_key(keys: Any) -> Iterator[tuple[int, Any]]:
    """Each key with the rows that have it, in their order; free places and marks are no keys."""
    order = np.argsort(keys, kind="stable")
    found, begins = np.unique(keys[order], return_index=True)
    for key, rows in zip(found.tolist(), np.split(order, begins[1:]), strict=True):
        if key not in {0, REWIND}:
            yield key, rows


def _key(path: Path, line: bytes) -> int:
    names_file = path.with_suffix(NAMES)
    lines = names_file.read_bytes().split(b"\n")[:-1] if names_file.exists() else []
    return lines.index(line) + 1 if line in lines else 0


def _text(line: bytes) -> str:
    try:
        return str(json.loads(line))
    except ValueError:
        return f"(damaged name: {line[:40]!r})"


def _join(parts: list[_Part], marks: list[tuple[int, int]]) -> Points:
    if not parts:
        nothing = np.empty(0)
        return Points(np.empty(0, np.int64), nothing, nothing)
    steps, times, values = (np.concatenate([part[column] for part in parts]) for column in (1, 2, 3))
    if marks:
        keep = _counting(np.concatenate([part.positions for part in parts]), steps, marks)
        steps, times, values = steps[keep], times[keep], values[keep]
    if len(steps) > 1 and not bool(np.all(steps[1:] > steps[:-1])):
        order = _latest(steps)
        steps, times, values = steps[order], times[order], values[order]
    return Points(steps, times, values)


def _counting(positions: Integers, steps: Any, marks: list[tuple[int, int]]) -> Any:
    keep = np.ones(len(positions), bool)
    for position, step in marks:
        keep &= (positions > position) | (steps <= step)
    return keep


def _latest(steps: Any) -> Any:
    """Rows sorted by step, of each step the one that was written last."""
    order = np.argsort(steps, kind="stable")
    ordered = steps[order]
    return order[np.append(ordered[1:] != ordered[:-1], [True])]
