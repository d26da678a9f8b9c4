"""Jobs that cost money: what must be said and be there before they may be claimed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Engine, select, update

from experiment_hub.cost import desk
from experiment_hub.errors import NotAllowedError
from experiment_hub.metadata.sessions import reading, writing
from experiment_hub.metadata.tables import Job
from experiment_hub.scheduler import dependencies
from experiment_hub.scheduler.events import note
from experiment_hub.scheduler.states import CANCELLED, FAILED, FINISHED, QUEUED, WAITING
from experiment_hub.scheduler.submission import Entry, as_job
from experiment_hub.times import now

OUTCOMES: dict[str, Literal["finished", "failed", "cancelled"]] = {
    FINISHED: "finished",
    FAILED: "failed",
    CANCELLED: "cancelled",
}


def attempts_of(job: Job) -> int:
    """How often it may be started at most."""
    return 1 + sum(int(retry["times"]) for retry in job.retries.values())


def request_of(job: Job) -> desk.Request:
    return desk.request_for(job, attempts=attempts_of(job))


def weigh(engine: Engine, home: Path, entries: Sequence[Entry]) -> list[Entry]:
    """The entries, with estimate and what the paid ones wait for; raises NotAllowedError for one that has no price."""
    if not any(entry.paid for entry in entries):
        return list(entries)
    terms = desk.terms(home)
    return [_weighed(engine, terms, entry) if entry.paid else entry for entry in entries]


def _weighed(engine: Engine, terms: desk.Terms, entry: Entry) -> Entry:
    said = desk.admit(engine, terms, request_of(as_job(entry)))
    if said.state == "refused":
        raise NotAllowedError(f"{entry.request.name}: {said.reason}")
    return replace(entry, estimate_hash=said.estimate_hash, waits=said.reason or None)


def reconsider(engine: Engine, home: Path) -> list[str]:
    """Ask again for every paid job that waits; gives those that are queued by now."""
    with reading(engine) as session:
        waiting = list(
            session.scalars(select(Job).where(Job.state == WAITING, Job.paid).order_by(Job.rank, Job.number))
        )
        waiting = [job for job in waiting if not dependencies.open_needs(session, job.id)]
    if not waiting:
        return []
    terms = desk.terms(home)
    return [job.id for job in waiting if _let_go(engine, terms, job)]


def _let_go(engine: Engine, terms: desk.Terms, job: Job) -> bool:
    try:
        request = request_of(job)
    except NotAllowedError as error:
        said = desk.Admission("refused", "", str(error))
    else:
        said = desk.admit(engine, terms, request)
    reason = said.reason if said.state != "go" else desk.hold_back(engine, request)
    values: dict[str, Any] = {"reason": reason or None, "estimate_hash": said.estimate_hash or job.estimate_hash}
    if not reason:
        values["state"] = QUEUED
    if said.state == "refused":
        values |= {"state": FAILED, "failure": "error", "ended_at": now()}
    return _store(engine, job, values)


def _store(engine: Engine, job: Job, values: dict[str, Any]) -> bool:
    if {name: getattr(job, name) for name in values} == values:
        return False
    state = str(values.get("state", WAITING))
    with writing(engine) as session:
        change = update(Job).where(Job.id == job.id, Job.state == WAITING).values(**values).returning(Job.id)
        if session.execute(change).first() is None:
            return False
        note(session, [(job.id, state, {"reason": values["reason"]})])
        if state == FAILED:
            dependencies.settle(session, [job.id])
    return state == QUEUED
