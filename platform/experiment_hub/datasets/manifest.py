"""What a dataset consists of, as plain data that can be kept for ever: hashes and counts, never samples."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiment_hub.datasets.checks import frozen_splits
from experiment_hub.datasets.protocol import Samples
from experiment_hub.datasets.splits import Rows, chunks, fingerprint, subset

FORMAT = 1
CLASS_RANK = 1  # of targets: one label for each sample


def manifest(samples: Samples, splits: Mapping[str, Any]) -> dict[str, Any]:
    """Raises DataError, EmptySplitError, LeakageError."""
    rows = frozen_splits(samples, splits)
    return {
        "format": FORMAT,
        "fingerprint": fingerprint(samples),
        "samples": len(samples.ids),
        "spec": {**asdict(samples.spec), "input_shape": list(samples.spec.input_shape)},
        "content": _content(samples),
        "classes": class_counts(samples.targets, samples.spec.outputs),
        "groups": _groups(samples),
        "splits": _splits(samples, rows),
    }


def class_counts(targets: NDArray[np.int64], classes: int) -> list[int] | None:
    """Samples of each class; None where a sample has more than one target."""
    if targets.ndim != CLASS_RANK:
        return None
    counts: list[int] = np.bincount(targets[targets >= 0], minlength=classes).tolist()
    return counts


def _content(samples: Samples) -> dict[str, str]:
    groups = {} if samples.groups is None else {"groups": _text_hash(samples.groups)}
    arrays = {"inputs": _array_hash(samples.inputs), "targets": _array_hash(samples.targets)}
    return {"ids": _text_hash(samples.ids), **arrays, **groups}


def _text_hash(values: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(values).encode()).hexdigest()


def _array_hash(array: NDArray[Any]) -> str:
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    for part in chunks(array):
        digest.update(part)
    return digest.hexdigest()


def _groups(samples: Samples) -> dict[str, int] | None:
    if samples.groups is None:
        return None
    sizes = Counter(samples.groups).values()
    return {
        "count": len(sizes),
        "largest": max(sizes),
        "samples_with_relatives": sum(size for size in sizes if size > 1),
    }


def _splits(samples: Samples, rows: Rows) -> dict[str, Any]:
    return {
        split: {
            "samples": len(members),
            "classes": class_counts(samples.targets[members], samples.spec.outputs),
            "hash": fingerprint(subset(samples, members)),
        }
        for split, members in rows.items()
    }
