"""What a worker reports about the attempts that it holds; a report with an old fencing token is refused."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from experiment_hub.metadata.sessions import writing
from experiment_hub.metadata.tables import Job
from experiment_hub.scheduler import dependencies, leases
from experiment_hub.scheduler.events import Event, note
from experiment_hub.scheduler.states import (
    AT_WORK,
    CANCEL,
    CANCELLED,
    ENDED,
    FAILED,
    FINISHED,
    PAUSE,
    PAUSED,
    QUEUED,
    RUNNING,
    WAITING,
)
from experiment_hub.times import now


@dataclass(frozen=True, kw_only=True)
class Held:
    """Which claim speaks."""

    id: str
    token: int


@dataclass(frozen=True, kw_only=True)
class Started(Held):
    reference: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Outcome(Held):
    """How an attempt ended."""

    exit_code: int | None
    failure: str | None
    """None when it did what it should."""
    detail: str
    seconds: float
    run_ids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Refusal(Held):
    """It may not start: money, or something that stands against it."""

    reason: str
    waits: bool = field(default=False)
    """For a person; otherwise it has failed."""


HeldT = TypeVar("HeldT", bound=Held)


def started(engine: Engine, reports: Sequence[Started]) -> set[str]:
    """Jobs that run by now; those that are missing belong to somebody else."""
    with writing(engine) as session:
        return record_starts(session, reports)


def record_starts(session: Session, reports: Sequence[Started]) -> set[str]:
    held = _held(session, reports)
    for job, report in held:
        job.state, job.reference = RUNNING, report.reference
    note(session, [(job.id, RUNNING, report.reference) for job, report in held])
    return {job.id for job, _ in held}


def refused(engine: Engine, report: Refusal) -> bool:
    """Nothing was started, so the attempt does not count."""
    values = {"state": WAITING if report.waits else FAILED, "reason": report.reason, "attempt": Job.attempt - 1}
    if not report.waits:
        values |= {"failure": "error", "ended_at": now()}
    with writing(engine) as session:
        change = update(Job).where(*_ours(report)).values(**values, worker_id=None, assigned=None)
        if session.execute(change.returning(Job.id)).first() is None:
            return False
        leases.give_back(session, [report.id])
        note(session, [(report.id, "refused", {"reason": report.reason})])
        if not report.waits:
            dependencies.settle(session, [report.id])
    return True


def ended(engine: Engine, outcomes: Sequence[Outcome]) -> dict[str, str]:
    """New state by job; those that are missing belong to somebody else, and their outcome is not recorded."""
    with writing(engine, durable=True) as session:
        return record_ends(session, outcomes)


def record_ends(session: Session, outcomes: Sequence[Outcome]) -> dict[str, str]:
    held = _held(session, outcomes)
    note(session, [_end(job, outcome) for job, outcome in held])
    states = {job.id: job.state for job, _ in held}
    if states:
        leases.give_back(session, list(states))
        dependencies.settle(session, [job for job, state in states.items() if state in ENDED])
    return states


def _ours(report: Held) -> Iterable[Any]:
    return Job.id == report.id, Job.token == report.token, Job.state.in_(AT_WORK)


def _held(session: Session, reports: Sequence[HeldT]) -> list[tuple[Job, HeldT]]:
    """The jobs of those reports that speak for the newest claim, locked."""
    if not reports:
        return []
    by_id = {report.id: report for report in reports}
    query = select(Job).where(Job.id.in_(by_id), Job.state.in_(AT_WORK)).order_by(Job.id).with_for_update()
    return [(job, by_id[job.id]) for job in session.scalars(query) if job.token == by_id[job.id].token]


def _end(job: Job, outcome: Outcome) -> Event:
    job.exit_code, job.failure, job.seconds = outcome.exit_code, outcome.failure, outcome.seconds
    job.run_ids = list(dict.fromkeys([*job.run_ids, *outcome.run_ids]))
    job.state, job.reason = _next(job, outcome)
    if job.state in ENDED:
        job.ended_at = now()
    job.worker_id = job.reference = job.assigned = job.wish = None
    facts = {"attempt": job.attempt, "failure": outcome.failure, "exit_code": outcome.exit_code}
    return job.id, job.state, {**facts, "seconds": round(outcome.seconds, 3), "reason": job.reason}


def _next(job: Job, outcome: Outcome) -> tuple[str, str | None]:
    """The state after an attempt, and the reason for people."""
    if outcome.failure is None:
        return FINISHED, outcome.detail or None
    if job.wish == CANCEL:
        return CANCELLED, "cancelled by a person"
    if job.wish == PAUSE:
        return PAUSED, "paused by a person"
    retry = job.retries.get(outcome.failure)
    said = outcome.detail or outcome.failure
    if retry is None or retry["used"] >= retry["times"]:
        again = " again" if retry and retry["used"] else ""
        return FAILED, f"{outcome.failure}{again}: {said}"
    _use_up(job, outcome.failure, retry)
    return QUEUED, f"{outcome.failure}: {said}; tried again ({retry['used'] + 1} of {retry['times']})"


def _use_up(job: Job, failure: str, retry: dict[str, Any]) -> None:
    job.retries = {**job.retries, failure: {**retry, "used": retry["used"] + 1}}
    if retry["argv"]:
        job.payload = {**job.payload, "argv": retry["argv"], "again": None}
