"""Telling whether the process that owns a run is still alive."""

import os
import socket
from dataclasses import dataclass

import psutil

CLOCK_TOLERANCE_SECONDS = 2.0  # start times are derived from the boot time, which clock corrections shift


@dataclass(frozen=True)
class Owner:
    host: str
    pid: int
    started: float
    """Seconds since the epoch."""


def this_process() -> Owner:
    return Owner(socket.gethostname(), os.getpid(), psutil.Process().create_time())


def is_dead(owner: Owner) -> bool:
    """Only what can be known: a process on another host counts as alive."""
    if owner.host != socket.gethostname():
        return False
    try:
        process = psutil.Process(owner.pid)
        same = abs(process.create_time() - owner.started) < CLOCK_TOLERANCE_SECONDS
        return not same or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
