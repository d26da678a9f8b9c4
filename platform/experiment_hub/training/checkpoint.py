"""Checkpoints: everything that a run needs to go on as if it had never stopped.

`checkpoints/epoch-000002-step-000000015.pt` is a torch archive of plain data followed by its SHA-256, which torch.load
does not mind; torch itself checks no checksums. The newest whole one counts.
"""

import hashlib
import io
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch

from experiment_hub.errors import CheckpointError
from experiment_hub.files import replacing
from experiment_hub.output import progress

FOLDER = "checkpoints"
EARLIER = "checkpoint.pt"
"""Where earlier versions of the hub kept the only one."""
BEST = "best.pt"
NAME = re.compile(r"epoch-(\d+)-step-(\d+)\.pt")
FORMAT = 1
DIGEST_BYTES = 32
CHUNK_BYTES = 2**20
PARTS = frozenset({"format", "model", "optimizer", "rng", "sampler", "position", "objective"})

Say = Callable[[str], None]


@dataclass(frozen=True)
class Saved:
    path: Path
    epoch: int
    """Finished epochs."""
    step: int


class _Summing:
    """A file that sums what is written to it, so that a large checkpoint is never in memory twice."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.error: OSError | None = None
        """What torch turns into an error that does not say what happened."""

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        try:
            return self._file.write(content)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


def save(folder: Path, state: dict[str, Any], *, keep: int = 2) -> Path:
    """Complete or absent, whatever happens meanwhile; all but the `keep` newest go. Raises OSError, for example on a full disk."""
    position = state["position"]
    path = folder / FOLDER / f"epoch-{position['epoch']:06d}-step-{position['step']:09d}.pt"
    write(path, state)
    for old in reversed(_named(folder)[keep:]):
        old.path.unlink(missing_ok=True)
    return path


def write(path: Path, state: dict[str, Any]) -> None:
    """Complete or absent; raises OSError."""
    path.parent.mkdir(exist_ok=True)
    with replacing(path) as file:
        file.write(_archive({"format": FORMAT, **state}, file))


def _archive(state: dict[str, Any], file: IO[bytes]) -> bytes:
    """Writes the archive and gives its digest; raises OSError."""
    summing = _Summing(file)
    try:
        torch.save(state, summing)  # type: ignore[arg-type] # it needs no more than write and flush
    except RuntimeError:
        if summing.error is not None:
            raise summing.error from None
        raise
    return summing.digest.digest()


def newest(folder: Path, say: Say = progress) -> Saved | None:
    """The newest one whose checksum is right, and said aloud what was passed over; raises CheckpointError when all are damaged."""
    found = _all(folder)
    for saved in found:
        if _whole(saved.path):
            return saved
        say(f"{saved.path}: the checkpoint is damaged (its checksum does not match); the one before is used instead")
    if found:
        names = ", ".join(str(saved.path) for saved in found)
        raise CheckpointError(f"{names}: every checkpoint of the run is damaged (checksums do not match)")
    return None


def load(folder: Path, say: Say = progress) -> dict[str, Any] | None:
    """The newest state, on the CPU; None if nothing was saved yet; raises CheckpointError."""
    saved = newest(folder, say)
    return None if saved is None else read(saved.path)


def read(path: Path) -> dict[str, Any]:
    """The state in one file; raises CheckpointError when it is damaged or none of ours."""
    raw = path.read_bytes()
    content, digest = memoryview(raw)[:-DIGEST_BYTES], raw[-DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise CheckpointError(f"{path}: the checkpoint is damaged (its checksum does not match)")
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path}: not a checkpoint of the hub") from error
    if not isinstance(state, dict) or not state.keys() >= PARTS or state["format"] != FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of format {FORMAT}")
    return state


def _all(folder: Path) -> list[Saved]:
    """Newest first."""
    earlier = folder / EARLIER
    if earlier.exists() and not _named(folder):
        position = read(earlier)["position"]
        return [Saved(earlier, position["epoch"], position["step"])]
    return _named(folder)


def _named(folder: Path) -> list[Saved]:
    matches = [(path, NAME.fullmatch(path.name)) for path in (folder / FOLDER).glob("epoch-*.pt")]
    saved = [Saved(path, int(match[1]), int(match[2])) for path, match in matches if match]
    return sorted(saved, key=lambda each: (each.epoch, each.step), reverse=True)


def _whole(path: Path) -> bool:
    left = path.stat().st_size - DIGEST_BYTES
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while left > 0 and (chunk := file.read(min(CHUNK_BYTES, left))):
            digest.update(chunk)
            left -= len(chunk)
        return digest.digest() == file.read()
