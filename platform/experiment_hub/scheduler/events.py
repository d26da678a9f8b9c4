"""Every change of a job is a row; rows are added in the transaction of the change, and never changed."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from experiment_hub.metadata.tables import JobEvent
from experiment_hub.times import now

Event = tuple[str, str, Mapping[str, Any]]
"""Job, kind, detail."""


def note(session: Session, events: Iterable[Event]) -> None:
    at = now()
    rows = [{"job_id": job, "kind": kind, "detail": dict(detail), "at": at} for job, kind, detail in events]
    if rows:
        session.execute(insert(JobEvent), rows)
