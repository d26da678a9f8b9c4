"""Telling whether the process that owns a run is still alive, whatever happens to the clock."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from experiment_hub.tracking.identity import ENDED, parse_stat, process_start

CLOCK_TOLERANCE_SECONDS = 2.0  # where start times come from the clock, corrections of the clock shift them
TICK_TOLERANCE_SECONDS = 0.001  # ticks are whole numbers; only the division by their rate is not exact


@dataclass(frozen=True)
class Owner:
    host: str
    pid: int
    started: float
    """Seconds since the machine started where `boot` is known, else seconds since the epoch."""
    boot: str | None = None
    """The system's name for this start of the machine (Linux); it and `started` do not move with the clock."""


def this_process() -> Owner:
    start = process_start()
    return Owner(socket.gethostname(), os.getpid(), start.seconds, start.boot)


def is_dead(owner: Owner) -> bool:
    """Only what can be known: a process on another host counts as alive."""
    if owner.host != socket.gethostname():
        return False
    here = process_start()
    if owner.boot is None or here.boot is None:
        return _dead_by_clock(owner)
    return owner.boot != here.boot or _dead_since_boot(owner)


def _dead_since_boot(owner: Owner) -> bool:
    try:
        state, seconds = parse_stat(Path(f"/proc/{owner.pid}/stat").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in ENDED or abs(seconds - owner.started) > TICK_TOLERANCE_SECONDS


def _dead_by_clock(owner: Owner) -> bool:
    """Of a run that an older hub recorded, or of a system without /proc."""
    import psutil

    try:
        process = psutil.Process(owner.pid)
        same = abs(process.create_time() - owner.started) < CLOCK_TOLERANCE_SECONDS
        return not same or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
