"""The queue: jobs, what they wait for, who works on them."""

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from experiment_hub.metadata.tables.base import Base


class Job(Base):
    """One command that shall run once, somewhere; what it does is its own business."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("jobs_to_claim", "state", "priority", "number"),
        Index("jobs_by_worker", "worker_id", "state"),
        Index("jobs_by_fan_out", "fan_out"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    """Order of submission, for first come, first served within a priority."""
    name: Mapped[str]
    project: Mapped[str]
    state: Mapped[str]
    """waiting (approval, dependencies or a fan-out's first run), queued, starting, running, paused, finished, failed or cancelled."""
    reason: Mapped[str | None]
    """Why it is in this state, for people."""
    priority: Mapped[int]
    """Larger goes first."""
    payload: Mapped[dict[str, Any]]
    """`argv`, `environment`, `folder`; the scheduler does not look inside."""
    launcher: Mapped[str]
    resources: Mapped[dict[str, Any]]
    """`gpus`, `gpu`, `cpus`, `memory_mib`, `nodes`, `leases`."""
    retries: Mapped[dict[str, Any]]
    """How often each class of failure may be tried again."""
    timeout_s: Mapped[float]
    attempt: Mapped[int]
    """How often it was started."""
    token: Mapped[int] = mapped_column(BigInteger)
    """Fencing token: goes up with each claim; a write with an older one is refused."""
    worker_id: Mapped[str | None]
    lease_until: Mapped[float | None]
    """Seconds since the epoch by the database's clock."""
    reference: Mapped[dict[str, Any] | None]
    """How the launcher finds the started process or remote call again."""
    wish: Mapped[str | None]
    """What a person asked of a job that is at work: cancel or pause."""
    failure: Mapped[str | None]
    """preempted, out_of_memory, time_out, disk_full, lost, killed or error."""
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

    name: Mapped[str] = mapped_column(primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str | None]
    token: Mapped[int] = mapped_column(BigInteger)
    """Goes up with each holder."""


class Worker(Base):
    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int]
    process_started: Mapped[float]
    resources: Mapped[dict[str, Any]]
    """What it offers: `gpus`, `gpu`, `cpus`, `memory_mib`, `launchers`, `labels`."""
    state: Mapped[str]
    """working, draining or gone."""
    seen: Mapped[float]
    """Last heartbeat, seconds since the epoch by the database's clock."""
    started_at: Mapped[str]
