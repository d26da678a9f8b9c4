"""Which split a sample belongs to, and the fingerprint of a dataset."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiment_hub.datasets.protocol import Samples
from experiment_hub.errors import BrokenExtensionError, DataError, EmptySplitError

Rows = dict[str, NDArray[np.int64]]
SPLITS = ("train", "val", "test")
FINAL = "final"  # hidden: no training sees it
CHUNK_ROWS = 65_536  # of an array that is hashed, so that one mapped from a file never fills the memory


def position(key: str) -> float:
    """A number in [0, 1) that depends on the id or group alone, so adding samples moves none."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], "big") / 2**48


def assign(samples: Samples, splits: Mapping[str, Any]) -> Rows:
    """Rows of the splits that training sees, ascending; `splits` is the section of that name as plain data.

    Raises EmptySplitError, and BrokenExtensionError for an id that is there twice.
    """
    rows = assign_all(samples, splits)
    return {split: rows[split] for split in SPLITS}


def assign_all(samples: Samples, splits: Mapping[str, Any]) -> Rows:
    """As `assign`, with the hidden final split where there is one; for checks and for `hub eval` only."""
    if len(set(samples.ids)) != len(samples.ids):
        raise BrokenExtensionError("the dataset gives one id to two samples, so their split is not defined")
    shares = {split: share for split in (*SPLITS, FINAL) if (share := splits.get(split)) is not None}
    keys = samples.ids if samples.groups is None else samples.groups
    bounds = np.cumsum(list(shares.values()))[:-1]
    chosen = np.searchsorted(bounds, np.fromiter(map(position, keys), float, len(keys)), side="right")
    if splits.get("leave_out") is not None:
        chosen = _left_out(chosen, samples, splits)
    rows = {split: np.flatnonzero(chosen == index) for index, split in enumerate(shares)}
    empty = [split for split, members in rows.items() if not len(members)]
    if empty:
        groups = "" if samples.groups is None else f" in {len(set(keys))} groups"
        raise EmptySplitError(
            f"split {', '.join(empty)} is empty: {len(samples.ids)} samples{groups} at {shares}; use more samples"
        )
    return rows


def _left_out(chosen: NDArray[np.int64], samples: Samples, splits: Mapping[str, Any]) -> NDArray[np.int64]:
    """The group is `test`, `val` is a share of the other groups, the rest `train`; the hidden split stays as it is.

    Groups are few here, so `val` takes those with the lowest positions, at least one, instead of leaving it to chance.
    """
    group, visible = splits["leave_out"], chosen < len(SPLITS)
    names = np.array(samples.groups or [""] * len(chosen))
    others = sorted(set(names[visible].tolist()) - {group}, key=position)
    if not (names[visible] == group).any() or len(others) < len(SPLITS) - 1:
        raise DataError("data.splits.leave_out: expected the name of one of three or more groups of the dataset")
    share = splits["val"] / sum(splits[split] for split in SPLITS)
    watched = others[: min(max(1, round(share * len(others))), len(others) - 1)]
    places = np.select([names == group, np.isin(names, watched)], [SPLITS.index("test"), SPLITS.index("val")], 0)
    return np.where(visible, places, chosen)


def fingerprint(samples: Samples) -> str:
    """SHA-256 over ids, shapes, types and values, and over groups and slices where there are some."""
    digest = hashlib.sha256("\n".join(samples.ids).encode())
    for array in (samples.inputs, samples.targets):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        for part in chunks(array):
            digest.update(part)
    for texts in filter(None, (samples.groups, *samples.slices.values())):
        digest.update("\n".join(texts).encode())
    return digest.hexdigest()


def chunks(array: NDArray[Any]) -> Iterator[memoryview]:
    """The bytes of an array, some rows at a time."""
    for start in range(0, len(array), CHUNK_ROWS):
        yield np.ascontiguousarray(array[start : start + CHUNK_ROWS]).data


def subset(samples: Samples, rows: NDArray[np.int64]) -> Samples:
    """The samples of some rows; its fingerprint is what freezes a split."""
    return Samples(
        ids=tuple(samples.ids[row] for row in rows),
        inputs=samples.inputs[rows],
        targets=samples.targets[rows],
        spec=samples.spec,
        groups=None if samples.groups is None else tuple(samples.groups[row] for row in rows),
        slices={name: tuple(values[row] for row in rows) for name, values in samples.slices.items()},
    )
