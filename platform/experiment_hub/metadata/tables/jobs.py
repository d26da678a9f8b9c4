"""The queue: jobs, what they wait for, who works on them."""

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from experiment_hub.metadata.tables.base import Base


class Job(Base):
    """One command that shall run once, somewhere; what it does is its own business."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("jobs_to_claim", "state", "rank", "number"),
        Index("jobs_by_worker", "worker_id", "state"),
        Index("jobs_by_fan_out", "fan_out"),
        Index("jobs_by_number", "number"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    """Order of submission."""
    name: Mapped[str]
    project: Mapped[str]
    state: Mapped[str]
    """waiting (approval, dependencies or a fan-out's first run), queued, starting, running, paused, finished, failed or cancelled."""
    reason: Mapped[str | None]
    """Why it is in this state, for people."""
    priority: Mapped[int]
    """Larger goes earlier."""
    rank: Mapped[float]
    """Smaller goes first: time of submission less ten minutes for each priority, so that nothing waits for ever."""
    payload: Mapped[dict[str, Any]]
    """`argv`, `again`, `environment`, `folder`, `files`; the scheduler does not look inside."""
    launcher: Mapped[str]
    paid: Mapped[bool]
    resources: Mapped[dict[str, Any]]
    """`gpus`, `gpu`, `cpus`, `memory_mib`, `nodes`, `label`, and what the launcher understands."""
    gpus: Mapped[int]
    gpu: Mapped[str | None]
    cpus: Mapped[float]
    memory_mib: Mapped[int]
    label: Mapped[str | None]
    """What a claim asks for, out of `resources`."""
    retries: Mapped[dict[str, Any]]
    """By class of failure: `times`, `used`, and `argv` where the next attempt is another command."""
    timeout_s: Mapped[float]
    attempt: Mapped[int]
    """How often it was started."""
    token: Mapped[int] = mapped_column(BigInteger)
    """Fencing token: goes up with each claim; a write with an older one is refused."""
    worker_id: Mapped[str | None]
    assigned: Mapped[dict[str, Any] | None]
    """What the claim gave it: `gpus` by index, `leases` by name with slot and token."""
    seconds: Mapped[float]
    """How long the attempt has been running, as its workers counted it; no clock of the day comes into it."""
    reference: Mapped[dict[str, Any] | None]
    """How the launcher finds the started process or remote call again."""
    wish: Mapped[str | None]
    """What a person asked of a job that is at work: cancel or pause."""
    failure: Mapped[str | None]
    """preempted, out_of_memory, time_out, disk_full, lost, unreachable, killed, nan or error."""
    exit_code: Mapped[int | None]
    estimate_hash: Mapped[str | None]
    fan_out: Mapped[str | None]
    """Jobs of one name here are variants: the others wait until one has passed its health check."""
    run_ids: Mapped[list[Any]]
    created_at: Mapped[str]
    started_at: Mapped[str | None]
    ended_at: Mapped[str | None]


class JobDependency(Base):
    __tablename__ = "job_dependencies"
    __table_args__ = (Index("job_dependencies_by_needed", "needs"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    needs: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)


class JobLease(Base):
    """One unit of this named resource is needed while the job is at work."""

    __tablename__ = "job_leases"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)


class JobEvent(Base):
    """What happened to a job, in order; rows are added, never changed."""

    __tablename__ = "job_events"
    __table_args__ = (Index("job_events_by_job", "job_id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    kind: Mapped[str]
    detail: Mapped[dict[str, Any]]
    at: Mapped[str]


class NamedLease(Base):
    """One unit of a named resource, such as a licence or a device, held by one job at a time."""

    __tablename__ = "named_leases"
    __table_args__ = (Index("named_leases_by_job", "job_id"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str | None]
    token: Mapped[int] = mapped_column(BigInteger, default=0)
    """Goes up with each holder."""


class Worker(Base):
    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    boot: Mapped[str]
    """Identity of the running system; a process number means something only together with it."""
    pid: Mapped[int]
    process_started: Mapped[float]
    """Ticks since that system started."""
    resources: Mapped[dict[str, Any]]
    """What it offers: `capacity`, `gpus`, `gpu`, `cpus`, `memory_mib`, `launchers`, `labels`."""
    state: Mapped[str]
    """working, draining or gone."""
    beat: Mapped[int] = mapped_column(BigInteger)
    """Goes up while it lives; who watches it stand still, by a watch of his own, may take its jobs over."""
    seen: Mapped[float]
    """Last heartbeat by the database's clock, seconds since the epoch; for people, nothing is decided by it."""
    started_at: Mapped[str]
