"""Accounts that a crash left open, and bills that nobody knew: the providers are asked again."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, select

from experiment_hub.cost import money, reports, settlement
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.tables import CostEntry, Job, JobEvent
from experiment_hub.scheduler.states import ENDED, RUNNING
from experiment_hub.worker.launchers.protocol import Reference, Status
from experiment_hub.worker.launchers.registry import launcher


@dataclass(frozen=True)
class Finding:
    job_id: str
    attempt: int
    what: str
    usd: float | None = None
    open: bool = False
    """Whether somebody still has to do something."""


def reconcile(engine: Engine) -> list[Finding]:
    """Settle what ended without being settled, then correct what was booked without a bill; may be called at any time."""
    return [*_forgotten(engine), *_unknown(engine)]


def _forgotten(engine: Engine) -> Iterator[Finding]:
    for job_id in reports.open_jobs(engine):
        with reading(engine) as session:
            job = session.get(Job, job_id)
        if job is not None and job.state not in ENDED:
            continue  # its worker settles it, or the next one that takes it over
        yield from _close(engine, job_id, job)


def _close(engine: Engine, job_id: str, job: Job | None) -> Iterator[Finding]:
    """Pay for the attempts that were made and not paid for; then nothing may stay reserved."""
    references = _references(engine, job_id)
    paid = {row["attempt"] for row in reports.rows(engine, job_id=job_id) if row["kind"] == "spend"}
    for attempt, reference in sorted(references.items()):
        if attempt in paid:
            continue
        status = _ask(job, reference)
        if status is not None and status.state != "ended":
            yield Finding(job_id, attempt, "has ended here but still runs at the provider: stop it there", open=True)
            return
        billed = status.billed_seconds if status else None
        done = settlement.settle(engine, job_id, attempt=attempt, billed_seconds=billed, last=False)
        known = "" if billed is not None else ", its worst case, because no bill is known"
        yield Finding(job_id, attempt, f"settled {money.shown(done.usd)}{known}", done.usd)
    newest = max([*references, *paid, 1])
    released = settlement.release(engine, job_id, attempt=newest, why="reconciled")
    if released:
        yield Finding(job_id, newest, f"released {money.shown(released)} that were held for nothing", released)


def _unknown(engine: Engine) -> Iterator[Finding]:
    query = select(CostEntry).where(CostEntry.kind == "spend", CostEntry.seconds.is_(None))
    with reading(engine) as session:
        rows = [(row, session.get(Job, row.job_id)) for row in session.scalars(query) if row.detail.get("unknown_bill")]
    for row, job in rows:
        reference = _references(engine, row.job_id).get(row.attempt)
        status = _ask(job, reference) if reference else None
        if status is None or status.billed_seconds is None:
            continue
        difference = settlement.correct(engine, row.job_id, attempt=row.attempt, billed_seconds=status.billed_seconds)
        if difference:
            yield Finding(row.job_id, row.attempt, f"the bill came: {money.shown(difference)}", difference)


def _references(engine: Engine, job_id: str) -> dict[int, Reference]:
    """What each attempt was started as, by its number."""
    query = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.kind == RUNNING).order_by(JobEvent.id)
    with reading(engine) as session:
        found: list[dict[str, Any]] = [event.detail for event in session.scalars(query)]
    return {detail["attempt"]: detail for detail in found if "attempt" in detail}


def _ask(job: Job | None, reference: Reference) -> Status | None:
    """None where nobody knows any more which launcher it was."""
    return launcher(job.launcher).poll(reference) if job is not None else None
