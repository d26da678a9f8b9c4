"""What must hold before anything is trained or measured on a dataset; messages never show a sample."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiment_hub.datasets.content import row_hashes
from experiment_hub.datasets.protocol import Samples
from experiment_hub.datasets.splits import CHUNK_ROWS, SPLITS, Rows, assign_all
from experiment_hub.errors import DataError, LeakageError
from experiment_hub.tasks import IGNORED_TARGET

SHOWN = 3  # ids or rows that a message names


def checked_splits(samples: Samples, splits: Mapping[str, Any]) -> Rows:
    """Rows of the splits that training sees; raises DataError, EmptySplitError, LeakageError, BrokenExtensionError."""
    rows = frozen_splits(samples, splits)
    return {split: rows[split] for split in SPLITS}


def frozen_splits(samples: Samples, splits: Mapping[str, Any]) -> Rows:
    """As `checked_splits`, with the hidden final split where there is one."""
    refuse_broken(samples)
    rows = assign_all(samples, splits)
    refuse_leaks(samples, rows)
    return rows


def refuse_broken(samples: Samples) -> None:
    """Lengths, shapes, labels and numbers; raises DataError."""
    problem = next(_broken(samples), None)
    if problem is not None:
        raise DataError(problem)


def refuse_leaks(samples: Samples, rows: Rows) -> None:
    """Raises LeakageError where a split holds the input of a sample that another split holds as well."""
    owners: dict[bytes, tuple[str, int]] = {}
    leaks = []
    hashes = row_hashes(samples.inputs)
    for split, members in rows.items():
        for row in members.tolist():
            owner, first = owners.setdefault(hashes[row], (split, row))
            if owner != split:
                leaks.append((owner, samples.ids[first], split, samples.ids[row]))
    if leaks:
        pairs = "; ".join(f"{one} of {owner} and {other} of {split}" for owner, one, split, other in leaks[:SHOWN])
        raise LeakageError(
            f"{len(leaks)} samples stand in two splits with the same content: {pairs}. Give such samples one group, "
            "or remove all but one"
        )


def _broken(samples: Samples) -> Iterator[str]:
    count, shape = len(samples.ids), samples.inputs.shape
    lengths = {"inputs": len(samples.inputs), "targets": len(samples.targets)}
    if samples.groups is not None:
        lengths["groups"] = len(samples.groups)
    for name, length in lengths.items():
        if length != count:
            yield f"the dataset has {count} ids and {length} {name}; expected the same number of both"
    if shape[1:] != samples.spec.input_shape:
        yield f"inputs have the shape {shape[1:]}; the dataset declares {samples.spec.input_shape}"
    yield from _rows("targets that are none of the classes", samples, _outside(samples))
    yield from _rows("inputs that are NaN or infinite", samples, _non_finite(samples))


def _outside(samples: Samples) -> NDArray[np.bool_]:
    if not len(samples.targets):
        return np.zeros(0, dtype=bool)
    targets = samples.targets.reshape(len(samples.targets), -1)
    wrong = ((targets < 0) | (targets >= samples.spec.outputs)) & (targets != IGNORED_TARGET)
    rows: NDArray[np.bool_] = np.logical_or.reduce(wrong, axis=1)
    return rows


def _non_finite(samples: Samples) -> NDArray[np.bool_]:
    inputs = samples.inputs
    if inputs.dtype.kind != "f" or not len(inputs):
        return np.zeros(len(inputs), dtype=bool)
    parts = (inputs[start : start + CHUNK_ROWS] for start in range(0, len(inputs), CHUNK_ROWS))
    return np.concatenate([~np.isfinite(part).reshape(len(part), -1).all(axis=1) for part in parts])


def _rows(what: str, samples: Samples, wrong: NDArray[np.bool_]) -> Iterator[str]:
    if wrong.any():
        named = ", ".join(samples.ids[row] for row in np.flatnonzero(wrong)[:SHOWN] if row < len(samples.ids))
        yield f"{int(wrong.sum())} of {len(wrong)} samples have {what}; the first: {named}"
