"""The contract of a launcher; a new one is one new module here with a module-level `LAUNCHER`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

Reference = dict[str, Any]
"""Plain data by which another process finds what was started; stored with the job before anything else happens."""


@dataclass(frozen=True)
class Launch:
    job_id: str
    attempt: int
    """From 1; `(job_id, attempt)` is started once, however often `start` is called."""
    argv: tuple[str, ...]
    folder: Path
    """The attempt's own: `output.log`, `health.json` and whatever the command writes there."""
    working_folder: Path
    environment: Mapping[str, str]
    """Complete: nothing is inherited beside it."""
    timeout_s: float
    resources: Mapping[str, Any] = field(default_factory=dict)
    """`gpus`, `gpu`, `cpus`, `memory_mib`, `nodes`, and what the launcher itself understands."""


@dataclass(frozen=True)
class Status:
    state: Literal["starting", "running", "ended"]
    exit_code: int | None = None
    failure: str | None = None
    """Set where the launcher knows more than the exit code: preempted, out_of_memory, time_out or lost."""
    detail: str = ""
    billed_seconds: float | None = None
    """Of a paid launcher: what it will be paid for, so far."""
    elapsed_seconds: float | None = None
    """How long it has been running, where the launcher knows it better than a worker that came later."""


@runtime_checkable
class Launcher(Protocol):
    @property
    def name(self) -> str:
        """What `launcher` says in a job."""

    @property
    def paid(self) -> bool:
        """Whether a start costs money: then there must be an estimate, and an approval where its tier asks for one."""

    @property
    def on_this_machine(self) -> bool:
        """Whether it uses the processors, GPUs and memory of the worker's machine, and can be polled from there only."""

    def check(self, launch: Launch) -> list[str]:
        """What stands against starting here, in words for people; empty when nothing does."""

    def start(self, launch: Launch) -> Reference:
        """Start once; return as soon as `poll` can find it, without waiting for it."""

    def poll(self, reference: Reference) -> Status:
        """What has become of it; raises nothing for a process or call that is gone: that is `lost`."""

    def stop(self, reference: Reference, *, grace_s: float) -> None:
        """Ask it to end, and end it after the grace; harmless when it has ended already."""

    def log(self, reference: Reference, offset: int) -> bytes:
        """Output from a byte position on, possibly nothing yet."""
