"""Who owns what, named beyond a pid: the system gives pids to others later."""

from __future__ import annotations

import os
import platform

from worktrees.process import start_time


def this_process() -> str:
    """Name this process: machine, pid, start."""
    pid = os.getpid()
    return f"{platform.node()} {pid} {start_time(pid)}"


def alive(owner: str) -> bool:
    """Say whether the owner may still be at work; of one on another machine its lease tells, not we."""
    machine, _, process = owner.partition(" ")
    pid, _, start = process.partition(" ")
    return machine != platform.node() or (pid.isdigit() and start_time(int(pid)) == start)
