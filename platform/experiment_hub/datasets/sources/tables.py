"""Rows of named columns as samples, by a declared schema; what does not fit becomes problems, never a guess."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from experiment_hub.datasets.content import by_content, by_look, by_value, row_hashes
from experiment_hub.datasets.protocol import Problem, Samples
from experiment_hub.errors import DataError
from experiment_hub.strict import Hyperparameters
from experiment_hub.tasks import DataSpec

Column = Sequence[Any] | NDArray[Any]
LOOK = "look"
SEPARATOR = "\x1f"  # ASCII's own for units
SHOWN = 20  # problems of one column that are named


class TableConfig(Hyperparameters):
    """What every source of tables declares."""

    id: tuple[str, ...]
    """Columns that together name a sample, unique and stable; [] names it after its content."""
    label: str
    classes: tuple[str, ...] = Field(min_length=2)
    """All labels, in the order of the model's outputs."""
    features: tuple[str, ...] = Field(min_length=1)
    """Number columns, or one column whose cells are arrays of one shape."""
    group: tuple[str, ...]
    """Columns that say what belongs together (a patient, a recording): a split never tears a group apart; [] for none."""
    near_duplicates: float | Literal["exact", "look"]
    """Without `group`: which samples are one group. `exact` bit by bit, a number as tolerance of each value, `look`
    by the difference hash of images."""
    slices: tuple[str, ...]
    """Columns by whose values `hub eval` looks at parts of a split, for instance a region; [] for none."""
    maximum_mib: PositiveInt
    """Bound of a file, and of what it unpacks to."""

    def columns(self) -> list[str]:
        """All that are read."""
        return list(dict.fromkeys((*self.features, self.label, *self.id, *self.group, *self.slices)))


@dataclass(frozen=True)
class Table:
    file: str
    first_row: int
    """Number of the first row as people count in this format."""
    columns: Mapping[str, Column]


def samples_of(tables: Sequence[Table], config: TableConfig) -> Samples:
    """Raises DataError that names the first problems."""
    problems = problems_of(tables, config)
    if problems:
        raise refusal(problems)
    inputs = np.concatenate([_inputs(table, config) for table in tables])
    classes = {name: index for index, name in enumerate(config.classes)}
    targets = [classes[_label(value)] for table in tables for value in table.columns[config.label]]
    ids = _ids(tables, config, inputs)
    groups = _texts(tables, config.group) if config.group else None
    return Samples(
        ids=ids,
        inputs=inputs,
        targets=np.array(targets, dtype=np.int64),
        spec=DataSpec(input_shape=inputs.shape[1:], outputs=len(config.classes)),
        groups=groups or similar(ids, inputs, config.near_duplicates),
        slices={name: _texts(tables, [name]) for name in config.slices},
    )


def refusal(problems: Sequence[Problem]) -> DataError:
    more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""  # noqa: PLR2004 -- as many as are shown
    return DataError("; ".join(map(str, problems[:3])) + more)


def similar(ids: Sequence[str], inputs: NDArray[Any], rule: float | str) -> tuple[str, ...]:
    if isinstance(rule, float):
        return by_value(ids, inputs, rule)
    return by_look(ids, inputs) if rule == LOOK else by_content(ids, inputs)


def problems_of(tables: Sequence[Table], config: TableConfig) -> list[Problem]:
    found = [problem for table in tables for problem in (*_missing(table, config), *_cells(table, config))]
    return found or [*_shapes(tables, config), *_twice(tables, config.id)]


def content_ids(inputs: NDArray[Any]) -> tuple[str, ...]:
    """Names after content, with a number behind for the second of two equal samples."""
    seen: dict[bytes, int] = {}
    names = []
    for digest in row_hashes(inputs):
        seen[digest] = seen.get(digest, 0) + 1
        names.append(digest.hex() if seen[digest] == 1 else f"{digest.hex()}-{seen[digest]}")
    return tuple(names)


def _ids(tables: Sequence[Table], config: TableConfig, inputs: NDArray[Any]) -> tuple[str, ...]:
    return _texts(tables, config.id) if config.id else content_ids(inputs)


def _texts(tables: Sequence[Table], columns: Sequence[str]) -> tuple[str, ...]:
    """One text for each row, of one column or of several with a separator that no text of a table holds by chance."""
    rows = (row for table in tables for row in zip(*(table.columns[name] for name in columns), strict=True))
    return tuple(SEPARATOR.join(map(str, row)) for row in rows)


def _inputs(table: Table, config: TableConfig) -> NDArray[np.float32]:
    arrays = [np.asarray(table.columns[name], dtype=np.float32) for name in config.features]
    return arrays[0] if arrays[0].ndim > 1 else np.stack(arrays, axis=1)


def _label(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _missing(table: Table, config: TableConfig) -> Iterator[Problem]:
    for name in config.columns():
        if name not in table.columns:
            yield Problem(table.file, None, name, "a column of this name")  # a header may be a sample: not shown
    if not len(next(iter(table.columns.values()), ())):
        yield Problem(table.file, None, None, "at least one row")


def _cells(table: Table, config: TableConfig) -> Iterator[Problem]:
    classes = set(config.classes)
    for name in config.features:
        yield from _some(table, name, _not_numeric(table.columns.get(name, ())), "a finite number, or an array of such")
    labels = (_label(value) in classes for value in table.columns.get(config.label, ()))
    yield from _some(table, config.label, (not fits for fits in labels), "one of data.classes")
    for column in (*config.id, *config.group):
        empty = (value is None or not str(value).strip() for value in table.columns.get(column, ()))
        yield from _some(table, column, empty, "a name that is not empty")


def _some(table: Table, column: str, wrong: Iterator[bool], expected: str) -> Iterator[Problem]:
    rows = (index for index, is_wrong in enumerate(wrong) if is_wrong)
    for index in islice(rows, SHOWN):
        yield Problem(table.file, table.first_row + index, column, expected)


def _not_numeric(column: Column) -> Iterator[bool]:
    """Whether each cell is unusable; a column that numpy takes as a whole needs no look at each cell."""
    try:
        array = np.asarray(column)
        whole = array.dtype.kind in "fiu" or (array.dtype.kind == "U" and isinstance(column[0], str))
        with np.errstate(over="ignore"):
            fine = whole and bool(np.isfinite(array.astype(np.float32)).all())
    except (ValueError, TypeError, OverflowError, IndexError):
        fine = False
    return iter(()) if fine else (not _numeric(cell) for cell in column)


def _numeric(cell: Any) -> bool:
    if isinstance(cell, bool | np.bool_) or cell is None:
        return False
    try:
        with np.errstate(over="ignore"):
            if isinstance(cell, list | tuple | np.ndarray):
                array = np.asarray(cell)
                return (
                    array.size > 0 and array.dtype.kind in "iuf" and bool(np.isfinite(array.astype(np.float32)).all())
                )
            return math.isfinite(np.float32(float(cell)))
    except (ValueError, TypeError, OverflowError):
        return False


def _shapes(tables: Sequence[Table], config: TableConfig) -> Iterator[Problem]:
    """Cells that are arrays must all have the first one's shape, and stand alone."""
    expected: tuple[int, ...] | None = None
    for table in tables:
        for name in config.features:
            for index, cell in enumerate(table.columns[name]):
                shape = _shape(cell)
                expected = shape if expected is None else expected
                if shape is None or shape != expected or (shape and len(config.features) > 1):
                    yield Problem(table.file, table.first_row + index, name, "the shape of the first cell of features")
                    return


def _shape(cell: Any) -> tuple[int, ...] | None:
    """() for a number; None for an array whose rows differ in length."""
    if not isinstance(cell, list | tuple | np.ndarray):
        return ()
    try:
        return np.shape(np.asarray(cell, dtype=np.float32))
    except ValueError:
        return None


def _twice(tables: Sequence[Table], columns: Sequence[str]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for table in tables if columns else ():
        for row, value in enumerate(_texts([table], columns), table.first_row):
            here = f"{table.file}, row {row}"
            earlier = first.setdefault(value, here)
            if earlier != here:
                yield Problem(table.file, row, ", ".join(columns), f"an id of its own; {earlier} has the same")
