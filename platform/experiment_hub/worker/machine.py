"""This machine and this process, told apart from all others without asking a clock."""

import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

from experiment_hub.scheduler.workers import Process
from experiment_hub.tracking.identity import BOOT_ID, ENDED, parse_stat

MIB = 1 << 20
PROBE_S = 20


@dataclass(frozen=True)
class Gpus:
    count: int
    kind: str | None


def host() -> str:
    return socket.gethostname()


@cache
def boot() -> str:
    """The running system: another one after a restart, and for each container that numbers its processes apart."""
    try:
        system = BOOT_ID.read_text(encoding="ascii").strip()
        return f"{system}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # not Linux
        return str(round(psutil.boot_time()))


def birth(pid: int) -> float | None:
    """When a process started, in seconds that corrections of the clock do not move (where the system has such); None when there is none, or a zombie."""
    try:
        state, seconds = parse_stat(Path(f"/proc/{pid}/stat").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return _birth_elsewhere(pid) if not Path("/proc/self/stat").exists() else None
    return None if state in ENDED else seconds


def _birth_elsewhere(pid: int) -> float | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def age_s(started: float) -> float | None:
    """Seconds since a `birth`, by the clock that only goes forward; None where the system has none."""
    if not hasattr(os, "sysconf") or not Path("/proc/self/stat").exists():
        return None
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def this_process() -> Process:
    return Process(host(), boot(), os.getpid(), birth(os.getpid()) or 0.0)


def is_dead(process: Process) -> bool:
    """Only what can be known: a process of another system may be alive."""
    if (process.host, process.boot) != (host(), boot()):
        return False
    return birth(process.pid) != process.started


def memory_mib() -> int:
    return int(psutil.virtual_memory().total // MIB)


def cpus() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> Gpus:
    """As NVIDIA's own tool counts them, less those that are hidden from this process; none where there is no driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return Gpus(0, None)
    command = [tool, "--query-gpu=name", "--format=csv,noheader"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_S, check=True).stdout.split("\n")
    except (subprocess.SubprocessError, OSError):
        return Gpus(0, None)
    names = [line.strip() for line in found if line.strip()]
    return Gpus(len(gpu_ids(len(names))), names[0] if names else None)


def gpu_ids(count: int) -> list[str]:
    """What CUDA calls the GPUs that this process may use; a position in this list is our index."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [str(index) for index in range(count)]
    return [name.strip() for name in visible.split(",") if name.strip()]
