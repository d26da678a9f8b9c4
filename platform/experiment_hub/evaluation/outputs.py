"""Outputs of a saved model, made twice by two separate loads: what differs is not evaluated."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiment_hub.datasets.splits import chunks
from experiment_hub.errors import NotDeterministicError
from experiment_hub.metrics.definition import Outputs, Targets
from experiment_hub.tasks import IGNORED_TARGET
from experiment_hub.training.runtimes.folder import SavedModel, read_model


def twice(folder: Path, inputs: NDArray[np.float64]) -> tuple[NDArray[np.float64], str]:
    """Outputs [samples, ..., classes] and their SHA-256; raises NotDeterministicError when the two differ in any bit."""
    first, second = (_outputs(read_model(folder), inputs) for _ in range(2))
    hashes = [outputs_hash(each) for each in (first, second)]
    if hashes[0] != hashes[1]:
        different = (
            int((first != second).reshape(len(first), -1).any(axis=1).sum()) if first.shape == second.shape else -1
        )
        told = f"{different} of {len(first)} samples" if different >= 0 else "the shapes"
        raise NotDeterministicError(
            f"two evaluations of the same model on the same inputs differ in the outputs ({told}); "
            "nothing was recorded: make `outputs` deterministic (no sampling, no dropout, no shared state)"
        )
    return first, hashes[0]


def outputs_hash(outputs: NDArray[np.float64]) -> str:
    digest = hashlib.sha256(f"{outputs.dtype.str}{outputs.shape}".encode())
    for part in chunks(outputs):
        digest.update(part)
    return digest.hexdigest()


def asked(outputs: NDArray[np.float64], targets: NDArray[np.int64]) -> tuple[Outputs, Targets]:
    """[n, classes] and [n], without the places where nothing is asked, as metrics take them."""
    flat, wanted = outputs.reshape(-1, outputs.shape[-1]), targets.reshape(-1)
    counted = wanted != IGNORED_TARGET
    return (flat, wanted) if counted.all() else (flat[counted], wanted[counted])


def _outputs(saved: SavedModel, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    return saved.runtime.outputs(saved.blueprint, saved.model, inputs)
