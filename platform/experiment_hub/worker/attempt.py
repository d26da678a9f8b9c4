"""One attempt that this worker looks after, and how its end is to be understood."""

import json
import shutil
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from experiment_hub.scheduler.attempts import Outcome
from experiment_hub.scheduler.claims import Claim
from experiment_hub.scheduler.states import FAILURES
from experiment_hub.worker import logs
from experiment_hub.worker.folders import FAILURE, LOG
from experiment_hub.worker.launchers.protocol import Launch, Launcher, Reference, Status

TIME_OUT = "time_out"
FULL_BYTES = 16 << 20
SIGNALLED = 128
LONGEST_DETAIL = 500


@dataclass
class Attempt:
    claim: Claim
    launch: Launch
    launcher: Launcher
    reference: Reference | None = None
    counted_s: float = 0.0
    """By workers before us."""
    began: float = field(default_factory=time.monotonic)
    stopping: str | None = None
    """Why we asked it to end."""
    told: bool = True
    """Whether the queue knows the reference."""
    tries: int = 0
    """How often its launcher could not start it."""
    next_look: float = 0.0

    def seconds(self, status: Status | None = None) -> float:
        if status is not None and status.elapsed_seconds is not None:
            return status.elapsed_seconds
        return self.counted_s + time.monotonic() - self.began

    def outcome(self, status: Status, run_ids: tuple[str, ...]) -> Outcome:
        failure, detail = self._meaning(status)
        return Outcome(
            id=self.claim.id,
            token=self.claim.token,
            exit_code=status.exit_code,
            failure=failure,
            detail=detail[:LONGEST_DETAIL],
            seconds=self.seconds(status),
            run_ids=run_ids,
        )

    def _meaning(self, status: Status) -> tuple[str | None, str]:
        """Class of failure, None for success, and a sentence."""
        if self.stopping is not None:
            return (TIME_OUT if self.stopping == TIME_OUT else "killed"), self._why_stopped()
        if status.failure is not None:
            return status.failure, status.detail
        if status.exit_code == 0:
            return None, ""
        told = _told(self.launch.folder / FAILURE)
        if told is not None:
            return told
        if shutil.disk_usage(self.launch.folder).free < FULL_BYTES:
            return "disk_full", f"the disk of {self.launch.folder} is full"
        return _by_exit_code(status.exit_code, logs.last_line(self.launch.folder / LOG))

    def _why_stopped(self) -> str:
        if self.stopping == TIME_OUT:
            return f"ended at its time-out of {self.claim.timeout_s:g} s"
        return f"stopped: {self.stopping}"


def _told(file: Path) -> tuple[str, str] | None:
    """What the command itself wrote to HUB_FAILURE_FILE: `class` and perhaps `detail`; it may be anything."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("class") not in FAILURES:
        return None
    return found["class"], str(found.get("detail") or found.get("error") or found["class"]).replace("\x00", "")


def _by_exit_code(code: int | None, last: str) -> tuple[str, str]:
    said = f": {last}" if last else ""
    if code is None:
        return "error", f"ended without an exit code{said}"
    if code == SIGNALLED + signal.SIGKILL:
        return "killed", f"killed by SIGKILL; the kernel does that when memory runs out{said}"
    return "error", f"exit code {code}{said}"
