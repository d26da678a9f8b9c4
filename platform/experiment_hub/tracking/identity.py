"""Names of runs and processes; nothing here costs an import worth mentioning, because every start pays for it."""

import os
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
ENDED = frozenset("ZX")
"""States of a process that only waits to be reaped."""


class ProcessStart(NamedTuple):
    seconds: float
    """Since the machine started where `boot` is known, else since the epoch."""
    boot: str | None


def new_run_id() -> str:
    return f"r-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.urandom(3).hex()}"


def process_start() -> ProcessStart:
    """Of this process, after a fork too."""
    return _process_start(os.getpid())


@cache
def _process_start(pid: int) -> ProcessStart:
    try:
        boot = BOOT_ID.read_text(encoding="ascii").strip()
        return ProcessStart(parse_stat(Path(f"/proc/{pid}/stat").read_bytes())[1], boot)
    except OSError:
        import psutil

        return ProcessStart(psutil.Process(pid).create_time(), None)


def parse_stat(line: bytes) -> tuple[str, float]:
    """State and start, in seconds since boot, of /proc/PID/stat; the program's name in it may hold anything."""
    fields = line.rpartition(b")")[2].split()
    return fields[0].decode(), int(fields[19]) / os.sysconf("SC_CLK_TCK")
