"""Claiming: one short transaction in which jobs become this worker's, each with a new fencing token.

SQLite holds its write lock from the start of the transaction; PostgreSQL locks the chosen rows and passes over those
that somebody else is choosing. Either way a job is claimed once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Engine, Select, and_, exists, false, func, or_, select
from sqlalchemy.orm import Session

from experiment_hub.metadata.sessions import reading, writing
from experiment_hub.metadata.tables import Job, NamedLease, Worker
from experiment_hub.metadata.tables.jobs import JobLease
from experiment_hub.scheduler import leases
from experiment_hub.scheduler.events import note
from experiment_hub.scheduler.states import QUEUED, STARTING, WORKING
from experiment_hub.times import now

PATIENCE_S = 300.0
"""So much later submitted (or lower in rank) may a small job overtake one that needs more than is free just now."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What a worker has free, and what it has at all."""

    jobs: int
    gpus: tuple[int, ...]
    """Indexes of the free ones."""
    cpus: float
    memory_mib: int
    total_gpus: int
    total_cpus: float
    total_memory_mib: int
    gpu: str | None
    here: tuple[str, ...]
    """Launchers that use this machine."""
    elsewhere: tuple[str, ...]
    """Launchers that only need to be watched from here."""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A job that is ours as long as nobody has a newer token."""

    id: str
    token: int
    attempt: int
    name: str
    payload: dict[str, Any]
    launcher: str
    paid: bool
    resources: dict[str, Any]
    assigned: dict[str, Any]
    timeout_s: float
    seconds: float
    reference: dict[str, Any] | None
    run_ids: tuple[str, ...]
    estimate_hash: str | None
    fan_out: str | None


def claim(engine: Engine, worker: str, offer: Offer) -> list[Claim]:
    """At most `offer.jobs` jobs that fit together into what is free, in the order of the queue."""
    if offer.jobs < 1 or not anything(engine):
        return []
    with writing(engine) as session:
        return take(session, worker, offer)


def take(session: Session, worker: str, offer: Offer) -> list[Claim]:
    alive = select(Worker.id).where(Worker.id == worker, Worker.state == WORKING)
    if offer.jobs < 1 or session.scalar(alive) is None:  # declared gone, or draining
        return []
    taken = _choose(session, offer)
    at = now()
    for job, assigned in taken:
        _make_ours(job, worker, assigned, at)
    note(session, [(job.id, STARTING, _told(job)) for job, _ in taken])
    return [described(job) for job, _ in taken]


def anything(engine: Engine) -> bool:
    """A look that locks nothing."""
    with reading(engine) as session:
        return session.execute(select(Job.id).where(Job.state == QUEUED).limit(1)).first() is not None


def described(job: Job) -> Claim:
    names = [field for field in Claim.__dataclass_fields__ if field not in {"assigned", "run_ids"}]
    values = {name: getattr(job, name) for name in names}
    return Claim(**values, assigned=job.assigned or {}, run_ids=tuple(job.run_ids))


def _told(job: Job) -> dict[str, Any]:
    return {"worker": job.worker_id, "attempt": job.attempt, "token": job.token, **(job.assigned or {})}


def _make_ours(job: Job, worker: str, assigned: dict[str, Any], at: str) -> None:
    job.state, job.reason, job.worker_id = STARTING, None, worker
    job.token += 1
    job.attempt += 1
    job.assigned = assigned
    job.seconds = 0.0
    job.reference = job.failure = job.exit_code = job.ended_at = job.wish = None
    job.started_at = at


def _choose(session: Session, offer: Offer) -> list[tuple[Job, dict[str, Any]]]:
    query = _fitting(offer)
    blocked = session.scalar(_too_large(offer))
    if blocked is not None:
        query = query.where(Job.rank < blocked + PATIENCE_S)
    chosen: list[tuple[Job, dict[str, Any]]] = []
    for job in session.scalars(query.limit(offer.jobs).with_for_update(skip_locked=True)):
        rest = _after(offer, job)
        if rest is None:
            continue  # fits alone, but not beside those chosen before
        held = leases.take(session, job.id, _leases(job))
        if held is None:
            continue
        gpus = offer.gpus[: job.gpus] if job.launcher in offer.here else ()
        chosen.append((job, {"gpus": list(gpus), "leases": held}))
        offer = rest
    return chosen


def _leases(job: Job) -> Sequence[str]:
    return list(dict.fromkeys(job.resources.get("leases", ())))


def _after(offer: Offer, job: Job) -> Offer | None:
    """What is left when this job has taken its part."""
    rest = replace(offer, jobs=offer.jobs - 1)
    if job.launcher in offer.here:
        rest = replace(
            rest,
            gpus=offer.gpus[job.gpus :],
            cpus=offer.cpus - job.cpus,
            memory_mib=offer.memory_mib - job.memory_mib,
        )
        if len(offer.gpus) < job.gpus or rest.cpus < 0 or rest.memory_mib < 0:
            return None
    return rest if rest.jobs >= 0 else None


def _fitting(offer: Offer) -> Select[Job]:
    free = (Job.gpus <= len(offer.gpus), Job.cpus <= offer.cpus, Job.memory_mib <= offer.memory_mib)
    place = or_(Job.launcher.in_(offer.elsewhere), and_(_here(offer), *free))
    return (
        select(Job)
        .where(Job.state == QUEUED, place, _label(offer), ~_lease_busy())
        .order_by(Job.rank, Job.number, Job.id)
    )


def _too_large(offer: Offer) -> Select[float]:
    """Rank of the first job that this machine can run, but only when more of it is free."""
    total = (Job.gpus <= offer.total_gpus, Job.cpus <= offer.total_cpus, Job.memory_mib <= offer.total_memory_mib)
    more = or_(Job.gpus > len(offer.gpus), Job.cpus > offer.cpus, Job.memory_mib > offer.memory_mib)
    return (
        select(Job.rank)
        .where(Job.state == QUEUED, _here(offer), *total, more, _label(offer))
        .order_by(Job.rank, Job.number, Job.id)
        .limit(1)
    )


def _here(offer: Offer) -> Any:
    name = (offer.gpu or "").lower()  # `H100` is any word of `NVIDIA H100 80GB HBM3`
    kind = or_(Job.gpu.is_(None), Job.gpus == 0, func.lower(Job.gpu).in_([name, *name.split()]) if name else false())
    return and_(Job.launcher.in_(offer.here), kind)


def _label(offer: Offer) -> Any:
    return or_(Job.label.is_(None), Job.label.in_(offer.labels))


def _lease_busy() -> Any:
    free = exists().where(NamedLease.name == JobLease.name, NamedLease.job_id.is_(None))
    return exists().where(JobLease.job_id == Job.id, ~free)
