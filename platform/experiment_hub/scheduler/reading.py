"""Looking at the queue."""

from typing import Any

from sqlalchemy import Engine, func, select

from experiment_hub.errors import BadInputError, UnknownNameError
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.tables import Job, JobDependency, JobEvent, Worker


def find(engine: Engine, given: str) -> Job:
    """A job by id or by the beginning of it; raises UnknownNameError, and BadInputError where several begin like that."""
    with reading(engine) as session:
        exact = session.get(Job, given)
        if exact is not None:
            return exact
        found = list(session.scalars(select(Job).where(Job.id.startswith(given, autoescape=True)).limit(2)))
    if not found or not given:
        raise UnknownNameError("job", given, [])
    if len(found) > 1:
        raise BadInputError(f"several jobs begin with {given!r}: {found[0].id}, {found[1].id}, ...; give more of it")
    return found[0]


def listing(engine: Engine, *, state: str | None = None, fan_out: str | None = None, limit: int = 100) -> list[Job]:
    """Newest first."""
    query = select(Job).order_by(Job.number.desc(), Job.id).limit(limit)
    if state:
        query = query.where(Job.state == state)
    if fan_out:
        query = query.where(Job.fan_out == fan_out)
    with reading(engine) as session:
        return list(session.scalars(query))


def states(engine: Engine, jobs: list[str]) -> dict[str, str]:
    with reading(engine) as session:
        return dict(session.execute(select(Job.id, Job.state).where(Job.id.in_(jobs))).all())


def counts(engine: Engine) -> dict[str, int]:
    """Jobs by state."""
    with reading(engine) as session:
        found = session.execute(select(Job.state, func.count()).group_by(Job.state).order_by(Job.state))
        return dict(found.all())


def events(engine: Engine, job_id: str) -> list[JobEvent]:
    with reading(engine) as session:
        return list(session.scalars(select(JobEvent).where(JobEvent.job_id == job_id).order_by(JobEvent.id)))


def needs(engine: Engine, job_id: str) -> list[str]:
    query = select(JobDependency.needs).where(JobDependency.job_id == job_id).order_by(JobDependency.needs)
    with reading(engine) as session:
        return list(session.scalars(query))


def workers(engine: Engine) -> list[Worker]:
    with reading(engine) as session:
        return list(session.scalars(select(Worker).order_by(Worker.started_at, Worker.id)))


def described(job: Job) -> dict[str, Any]:
    """All that is stored about it, as JSON."""
    return {column.key: getattr(job, column.key) for column in Job.__mapper__.column_attrs}


def facts(worker: Worker) -> dict[str, Any]:
    """All that is stored about a worker, as JSON."""
    return {column.key: getattr(worker, column.key) for column in Worker.__mapper__.column_attrs}
