"""What people ask of jobs. A job at work belongs to its worker, which hears the wish with its next beat."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from experiment_hub.errors import ConflictError, UnknownNameError
from experiment_hub.metadata.sessions import writing
from experiment_hub.metadata.tables import Job
from experiment_hub.scheduler import dependencies
from experiment_hub.scheduler.events import note
from experiment_hub.scheduler.states import (
    AT_WORK,
    CANCEL,
    CANCELLED,
    ENDED,
    FAILED,
    PAUSE,
    PAUSED,
    QUEUED,
    RUNNING,
    STARTING,
    WAITING,
)
from experiment_hub.times import now


def cancel(engine: Engine, job_id: str, *, by: str) -> str:
    """The state it has now; raises ConflictError for one that has ended. Ask `cost.desk.may_stop` before."""

    def change(session: Session, job: Job) -> None:
        _require(job, "cancelled", (WAITING, QUEUED, PAUSED, STARTING, RUNNING))
        if job.state in AT_WORK:
            job.wish = CANCEL
            return
        job.state, job.reason, job.ended_at = CANCELLED, f"cancelled by {by}", now()
        session.flush()
        dependencies.settle(session, [job.id])

    return _change(engine, job_id, change, {"by": by, "asked": CANCEL})


def pause(engine: Engine, job_id: str, *, by: str) -> str:
    """As `cancel`, but it can be resumed."""

    def change(_: Session, job: Job) -> None:
        _require(job, "paused", (QUEUED, STARTING, RUNNING))
        if job.state in AT_WORK:
            _require_no(job, CANCEL)
            job.wish = PAUSE
        else:
            job.state, job.reason = PAUSED, f"paused by {by}"

    return _change(engine, job_id, change, {"by": by, "asked": PAUSE})


def resume(engine: Engine, job_id: str, *, by: str) -> str:
    """A paused job is queued again, at its old place."""

    def change(_: Session, job: Job) -> None:
        _require(job, "resumed", (PAUSED,))
        job.state, job.reason = (WAITING, "for its price") if job.paid else (QUEUED, None)

    return _change(engine, job_id, change, {"by": by, "asked": "resume"})


def retry(engine: Engine, job_id: str, *, by: str) -> str:
    """Once more, and with it the jobs that were skipped because of it."""

    def change(session: Session, job: Job) -> None:
        _require(job, "tried again", (FAILED, CANCELLED))
        _again(session, job)

    return _change(engine, job_id, change, {"by": by, "asked": "retry"})


def _again(session: Session, job: Job) -> None:
    job.retries = {kind: {**kept, "used": 0} for kind, kept in job.retries.items()}
    job.failure = job.exit_code = job.ended_at = job.reason = None
    missing = dependencies.open_needs(session, job.id)
    job.state = WAITING if missing or job.paid else QUEUED
    if missing:
        job.reason = f"needs {', '.join(missing)}"
    session.flush()
    for skipped in dependencies.dependants(session, [job.id], state=CANCELLED):
        if skipped.reason and skipped.reason.startswith(dependencies.SKIPPED):
            _again(session, skipped)
            note(session, [(skipped.id, skipped.state, {"because": job.id})])


def _change(engine: Engine, job_id: str, change: Callable[[Session, Job], None], event: dict[str, Any]) -> str:
    with writing(engine) as session:
        job = session.scalars(select(Job).where(Job.id == job_id).with_for_update()).first()
        if job is None:
            raise UnknownNameError("job", job_id, [])
        change(session, job)
        note(session, [(job.id, "asked" if job.wish else job.state, event)])
        return job.state


def _require(job: Job, done: str, states: tuple[str, ...]) -> None:
    if job.state not in states:
        ended = " already" if job.state in ENDED else ""
        raise ConflictError(f"job {job.id} is {job.state}{ended}; only {', '.join(states)} ones can be {done}")


def _require_no(job: Job, wish: str) -> None:
    if job.wish == wish:
        raise ConflictError(f"job {job.id} is asked to {wish} already")
