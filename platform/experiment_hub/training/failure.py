"""Why a run failed, as a class that a scheduler can act on."""

import errno
import json
import os
from pathlib import Path
from types import TracebackType

import torch

from experiment_hub.errors import DiskFullError, NonFiniteError, RunKilledError
from experiment_hub.files import write_atomically
from experiment_hub.tracking.recorder import RunRecorder

FILE = "failure.json"
VARIABLE = "HUB_FAILURE_FILE"
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")
FULL = (errno.ENOSPC, errno.EDQUOT)


def classify(error: BaseException) -> str:
    """out_of_memory, disk_full, nan, preempted or error; the cause counts where an error of ours wraps another."""
    chain = list(_chain(error))
    if any(isinstance(each, MemoryError | torch.OutOfMemoryError) for each in chain):
        return "out_of_memory"
    if any(isinstance(each, RuntimeError) and any(word in str(each) for word in OUT_OF_MEMORY) for each in chain):
        return "out_of_memory"
    if any(_full(each) for each in chain):
        return "disk_full"
    if any(isinstance(each, NonFiniteError) for each in chain):
        return "nan"
    return "preempted" if isinstance(error, RunKilledError | KeyboardInterrupt) else "error"


class Reporting:
    """A context manager inside a run's record: an error that passes through is told to whoever started the run."""

    def __init__(self, recorder: RunRecorder) -> None:
        self._recorder = recorder

    def __enter__(self) -> None:
        (self._recorder.folder / FILE).unlink(missing_ok=True)  # of an earlier attempt

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None:
            report(error, self._recorder.run_id, self._recorder.folder)


def report(error: BaseException, run_id: str, folder: Path) -> None:
    """Into the run's folder, and to the file that HUB_FAILURE_FILE names; a disk that is full keeps neither."""
    document = {"class": classify(error), "run": run_id, "error": f"{type(error).__name__}: {error}"}
    content = f"{json.dumps(document, indent=2)}\n".encode()
    named = os.environ.get(VARIABLE)
    for path in (folder / FILE, *([Path(named)] if named else [])):
        try:
            write_atomically(path, content)
        except OSError as failed:
            if failed.errno not in FULL and not isinstance(failed, FileNotFoundError):
                raise


def _chain(error: BaseException | None) -> list[BaseException]:
    """The error and its causes, oldest last."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__
    return found


def _full(error: BaseException) -> bool:
    return isinstance(error, DiskFullError) or (isinstance(error, OSError) and error.errno in FULL)
