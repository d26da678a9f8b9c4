"""What the end of a job means for those that need it."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from experiment_hub.metadata.tables import Job, JobDependency
from experiment_hub.scheduler.events import note
from experiment_hub.scheduler.states import CANCELLED, FAILED, FINISHED, QUEUED, WAITING
from experiment_hub.times import now

BROKEN = (FAILED, CANCELLED)
SKIPPED = "skipped: "


def settle(session: Session, ended: Sequence[str]) -> None:
    """Skip what can never run; say of the rest what it still waits for.

    A dependant is locked before its needs are read: of two needs that end at once the later one sees the other.
    """
    session.flush()
    round_ = list(ended)
    while round_:
        skipped = []
        for job in dependants(session, round_):
            missing, broken = _open_needs(session, job.id)
            if broken:
                job.state, job.ended_at = CANCELLED, now()
                job.reason = f"{SKIPPED}it needs {broken[0]}, which did not finish"
                note(session, [(job.id, "skipped", {"needs": broken})])
                skipped.append(job.id)
            elif not missing:
                job.state, job.reason = (WAITING, "for its price") if job.paid else (QUEUED, None)
                note(session, [(job.id, job.state, {"needs": "finished"})])
        session.flush()
        round_ = skipped


def dependants(session: Session, jobs: Sequence[str], *, state: str = WAITING) -> list[Job]:
    depending = select(JobDependency.job_id).where(JobDependency.needs.in_(jobs))
    query = select(Job).where(Job.id.in_(depending), Job.state == state).order_by(Job.id)
    return list(session.scalars(query.with_for_update().execution_options(populate_existing=True)))


def open_needs(session: Session, job: str) -> list[str]:
    """Needs that have not finished."""
    missing, broken = _open_needs(session, job)
    return [*missing, *broken]


def _open_needs(session: Session, job: str) -> tuple[list[str], list[str]]:
    query = (
        select(Job.id, Job.state)
        .join(JobDependency, JobDependency.needs == Job.id)
        .where(JobDependency.job_id == job, Job.state != FINISHED)
        .order_by(Job.id)
    )
    found = session.execute(query).all()
    return [id_ for id_, state in found if state not in BROKEN], [id_ for id_, state in found if state in BROKEN]
