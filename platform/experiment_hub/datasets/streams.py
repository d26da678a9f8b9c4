"""Random streams that belong to a dataset's definition, not to a run."""

import hashlib

import numpy as np


def stream(dataset: str, purpose: str) -> np.random.Generator:
    """The same numbers for the same two names, for ever: more samples only extend a dataset."""
    key = int.from_bytes(hashlib.sha256(f"{dataset}/{purpose}".encode()).digest()[:16], "big")
    return np.random.Generator(np.random.Philox(key=key))


def sample_ids(dataset: str, count: int) -> tuple[str, ...]:
    return tuple(f"{dataset}-{index:08d}" for index in range(count))
