"""Checkpoints: everything that a run needs to go on as if it had never stopped."""

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import torch

from experiment_hub.errors import CheckpointError
from experiment_hub.tracking.files import write_atomically

FILE = "checkpoint.pt"
FORMAT = 1
DIGEST_BYTES = 32
PARTS = frozenset({"format", "model", "optimizer", "rng", "sampler", "position", "objective"})


def save(folder: Path, state: dict[str, Any]) -> None:
    """Atomic; SHA-256 follows the archive, where torch.load does not mind it, because torch checks no checksums."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    content = buffer.getvalue()
    write_atomically(folder / FILE, content + hashlib.sha256(content).digest())


def load(folder: Path) -> dict[str, Any] | None:
    """The state that `save` was given, on the CPU; None if nothing was saved yet; raises CheckpointError when damaged."""
    path = folder / FILE
    if not path.exists():
        return None
    raw = path.read_bytes()
    content, digest = raw[:-DIGEST_BYTES], raw[-DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise CheckpointError(f"{path}: the checkpoint is damaged (its checksum does not match)")
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path}: not a checkpoint of the hub") from error
    if not isinstance(state, dict) or not state.keys() >= PARTS or state["format"] != FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of format {FORMAT}")
    return state
