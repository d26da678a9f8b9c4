"""Which split a sample belongs to, and the fingerprint of a dataset."""

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from experiment_hub.datasets.protocol import Samples
from experiment_hub.errors import BrokenExtensionError, EmptySplitError

SPLITS = ("train", "val", "test")


def position(sample_id: str) -> float:
    """A number in [0, 1) that depends on the id alone, so adding samples moves none."""
    return int.from_bytes(hashlib.sha256(sample_id.encode()).digest()[:6], "big") / 2**48


def assign(samples: Samples, fractions: Mapping[str, float]) -> dict[str, NDArray[np.int64]]:
    """Rows of each split, ascending; raises EmptySplitError, and BrokenExtensionError for an id that is there twice."""
    if len(set(samples.ids)) != len(samples.ids):
        raise BrokenExtensionError("the dataset gives one id to two samples, so their split is not defined")
    bounds = np.cumsum([fractions[split] for split in SPLITS])[:-1]
    chosen = np.searchsorted(bounds, [position(sample_id) for sample_id in samples.ids], side="right")
    rows = {split: np.flatnonzero(chosen == index) for index, split in enumerate(SPLITS)}
    empty = [split for split, members in rows.items() if not len(members)]
    if empty:
        raise EmptySplitError(
            f"split {', '.join(empty)} is empty: {len(samples.ids)} samples at {dict(fractions)}; use more samples"
        )
    return rows


def fingerprint(samples: Samples) -> str:
    """SHA-256 over ids, shapes, types and values."""
    digest = hashlib.sha256("\n".join(samples.ids).encode())
    for array in (samples.inputs, samples.targets):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
