"""The states of a job, the ways in which an attempt fails, and the wishes of people."""

from typing import Literal, get_args

WAITING = "waiting"
QUEUED = "queued"
STARTING = "starting"
RUNNING = "running"
PAUSED = "paused"
FINISHED = "finished"
FAILED = "failed"
CANCELLED = "cancelled"

AT_WORK = (STARTING, RUNNING)
ENDED = (FINISHED, FAILED, CANCELLED)

CANCEL = "cancel"
PAUSE = "pause"

Repeatable = Literal["preempted", "out_of_memory", "time_out", "lost", "unreachable", "killed"]
"""What may go better next time. `lost`: known not to run any more; `unreachable`: its machine is silent, it may still run."""
REPEATABLE: tuple[str, ...] = get_args(Repeatable)
FAILURES = (*REPEATABLE, "disk_full", "nan", "error")

WORKING = "working"
DRAINING = "draining"
GONE = "gone"
