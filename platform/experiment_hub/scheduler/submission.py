"""Putting jobs into the queue, all of one call in one transaction."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, func, insert, select
from sqlalchemy.orm import Session

from experiment_hub.errors import BadInputError
from experiment_hub.metadata import clock
from experiment_hub.metadata.sessions import writing
from experiment_hub.metadata.tables import Job, JobDependency
from experiment_hub.metadata.tables.jobs import JobLease
from experiment_hub.scheduler import leases
from experiment_hub.scheduler.events import note
from experiment_hub.scheduler.requests import JobRequest
from experiment_hub.scheduler.states import CANCELLED, FAILED, FINISHED, QUEUED, WAITING
from experiment_hub.times import now

AGEING_S = 600.0
"""Ten minutes of waiting weigh as much as one step of priority."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One job to queue, with what the cost room said about it."""

    request: JobRequest
    id: str
    paid: bool = False
    estimate_hash: str | None = None
    waits: str | None = None
    """Why it may not start yet: a person must agree, or a fan-out's first run is not through."""


def new_id() -> str:
    return f"j-{secrets.token_hex(6)}"


def submit(engine: Engine, entries: Sequence[Entry]) -> list[str]:
    """Ids in the order of the entries; needs may point to each other; raises BadInputError for unknown ones and circles."""
    _no_circles(entries)
    with writing(engine) as session:
        waiting = _waiting(session, entries)
        _add(session, entries, waiting)
    return [entry.id for entry in entries]


def _add(session: Session, entries: Sequence[Entry], waiting: dict[str, str]) -> None:
    number = session.execute(select(func.coalesce(func.max(Job.number), 0))).scalar_one()
    at, seconds = now(), clock.seconds(session)
    rows = [
        _row(entry, waiting.get(entry.id)) | {"number": number + index, "created_at": at}
        for index, entry in enumerate(entries, start=1)
    ]
    for row in rows:
        row["rank"] = seconds - AGEING_S * row["priority"]
    session.execute(insert(Job), rows)
    needs = [
        {"job_id": entry.id, "needs": needed} for entry in entries for needed in dict.fromkeys(entry.request.needs)
    ]
    if needs:
        session.execute(insert(JobDependency), needs)
    named = [
        {"job_id": entry.id, "name": name}
        for entry in entries
        for name in dict.fromkeys(entry.request.resources.leases)
    ]
    if named:
        leases.ensure(session, sorted({row["name"] for row in named}))
        session.execute(insert(JobLease), named)
    note(session, [(row["id"], row["state"], {"reason": row["reason"]} if row["reason"] else {}) for row in rows])


def _row(entry: Entry, waits: str | None) -> dict[str, Any]:
    request = entry.request
    resources = request.resources
    return {
        "id": entry.id,
        "name": request.name,
        "project": request.project,
        "state": WAITING if waits else QUEUED,
        "reason": waits,
        "priority": request.priority,
        "payload": request.model_dump(include={"argv", "again", "environment", "folder", "files"}),
        "launcher": request.launcher,
        "paid": entry.paid,
        "resources": resources.flat(),
        **resources.model_dump(include={"gpus", "gpu", "cpus", "memory_mib", "label"}),
        "retries": {kind: {**retry.model_dump(), "used": 0} for kind, retry in request.retries.items()},
        "timeout_s": request.timeout_s,
        "attempt": 0,
        "token": 0,
        "seconds": 0.0,
        "estimate_hash": entry.estimate_hash,
        "fan_out": request.fan_out,
        "run_ids": [],
    }


def as_job(entry: Entry) -> Job:
    """As it will stand in the queue."""
    return Job(**_row(entry, None))


def _waiting(session: Session, entries: Sequence[Entry]) -> dict[str, str]:
    """Why each job has to wait, for those that have to."""
    new = {entry.id for entry in entries}
    old = {needed for entry in entries for needed in entry.request.needs} - new
    states = _states(session, sorted(old))
    unknown = sorted(old - set(states))
    if unknown:
        raise BadInputError(f"needs: no such job: {', '.join(unknown)}")
    broken = sorted(job for job, state in states.items() if state in {FAILED, CANCELLED})
    if broken:
        raise BadInputError(f"needs: {broken[0]} is {states[broken[0]]}; `hub jobs retry {broken[0]}` first")
    waits = {}
    for entry in entries:
        open_ = [needed for needed in entry.request.needs if states.get(needed) != FINISHED]
        reasons = ([f"needs {', '.join(open_)}"] if open_ else []) + ([entry.waits] if entry.waits else [])
        if reasons:
            waits[entry.id] = "; ".join(reasons)
    return waits


def _states(session: Session, jobs: list[str]) -> dict[str, str]:
    """Locked until the end of this transaction, so that none of them ends unseen meanwhile."""
    query = select(Job.id, Job.state).where(Job.id.in_(jobs)).order_by(Job.id).with_for_update(read=True)
    return dict(session.execute(query).all()) if jobs else {}


def _no_circles(entries: Sequence[Entry]) -> None:
    new = {entry.id: set(entry.request.needs) for entry in entries}
    left = {job: needs & set(new) for job, needs in new.items()}
    while left:
        free = {job for job, needs in left.items() if not needs & set(left)}
        if not free:
            raise BadInputError(f"needs: these jobs need each other in a circle: {', '.join(sorted(left))}")
        left = {job: needs for job, needs in left.items() if job not in free}
