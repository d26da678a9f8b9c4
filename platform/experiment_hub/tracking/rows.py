"""Rows of the database for what a run's folder tells."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from experiment_hub.metadata.sessions import upsert
from experiment_hub.metadata.tables import Run, RunMetric, RunParameter, RunTag
from experiment_hub.tracking import layout
from experiment_hub.tracking.plain import as_text, flatten, key, odd, storable
from experiment_hub.tracking.script import RUNNING, Told
from experiment_hub.tracking.series.summary import Summary

MOST_SEED = 2**63


def write_run(session: Session, told: Told, project: str) -> None:
    """Insert or bring up to date; what an earlier look says never replaces what a later one said."""
    known = session.execute(select(Run.state).where(Run.id == told.run_id).with_for_update()).scalar()
    if known is None:
        _insert(session, told, project)
    elif known != RUNNING and told.state == RUNNING:
        return
    changes = _changing(told)
    session.execute(update(Run).where(Run.id == told.run_id).values(**changes))
    write_tags(session, told.run_id, told.tags)
    upsert(session, RunMetric, changed_metrics(session, told.run_id, told.metrics, {}))


def says_more(session: Session, told: Told) -> bool:
    """Whether the database does not know all of it yet; asked first, because a look each second must not write."""
    run = session.get(Run, told.run_id)
    if run is None or any(getattr(run, name) != value for name, value in _changing(told).items()):
        return True
    held = set(session.scalars(select(RunTag.tag).where(RunTag.run_id == told.run_id)))
    if any((key(tag) in held) is not holds for tag, holds in told.tags.items()):
        return True
    return bool(changed_metrics(session, told.run_id, told.metrics, {}))


def write_parameters(session: Session, run_id: str, config: Mapping[str, Any]) -> None:
    rows = {row["name"]: row for row in _parameters(run_id, config)}
    upsert(session, RunParameter, list(rows.values()))


def write_tags(session: Session, run_id: str, tags: Mapping[str, bool]) -> None:
    """True sets a tag, False takes it away."""
    upsert(session, RunTag, [{"run_id": run_id, "tag": key(tag)} for tag, holds in tags.items() if holds])
    gone = [key(tag) for tag, holds in tags.items() if not holds]
    if gone:
        session.execute(delete(RunTag).where(RunTag.run_id == run_id, RunTag.tag.in_(gone)))


def changed_metrics(
    session: Session, run_id: str, found: Mapping[str, Summary], versions: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Only rows that differ: a run may have a hundred thousand names of which one moves."""
    query = select(RunMetric.name, RunMetric.points, RunMetric.last_step).where(RunMetric.run_id == run_id)
    known = {name: (points, step) for name, points, step in session.execute(query)}
    rows = {row["name"]: row for row in _metrics(run_id, found, versions)}
    return [row for name, row in rows.items() if known.get(name) != (row["points"], row["last_step"])]


def _insert(session: Session, told: Told, project: str) -> None:
    document = told.document
    same = ("kind", "created_at", "host", "pid", "process_started", "process_boot", "config")
    row = {
        "id": told.run_id,
        "name": storable(document.name),
        "state": RUNNING,
        "project": storable(document.project or project),
        "parent_id": document.parent,
        "job_id": document.job,
        "seed": document.seed if -MOST_SEED <= (document.seed or 0) < MOST_SEED else None,
        "smoke": False,
        "overrides": {},
        "folder": f"{layout.RUNS}/{told.run_id}",
        "resumes": [],
        **{name: getattr(document, name) for name in same},
    }
    upsert(session, Run, [row])
    write_parameters(session, told.run_id, document.config)


def _changing(told: Told) -> dict[str, Any]:
    document = told.document
    circumstances = {
        "command": document.command,
        "executable": document.python,
        "working_folder": document.working_folder,
    }
    return {
        "state": told.state,
        "error": told.error,
        "ended_at": told.ended_at,
        "seconds": told.seconds,
        "notes": storable("\n\n".join(told.notes)) or None,
        "summary": told.summary or None,
        "inputs": told.inputs or None,
        "environment": {**circumstances, **told.environment},
        **told.facts,
    }


def _parameters(run_id: str, config: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for name, value in flatten(config):
        yield {"run_id": run_id, "name": key(name), "number": _number(value), "text": key(as_text(value))}


def _number(value: Any) -> float | None:
    """Of a number or of true and false; a whole number beyond the range of floats has none."""
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:
        return None


def _metrics(run_id: str, found: Mapping[str, Summary], versions: Mapping[str, int]) -> Iterable[dict[str, Any]]:
    for name, summary in found.items():
        yield {
            "run_id": run_id,
            "name": key(name),
            "last": summary.last if math.isfinite(summary.last) else None,
            "odd": odd(summary.last),
            "last_step": summary.last_step,
            "minimum": summary.minimum,
            "maximum": summary.maximum,
            "points": summary.points,
            "version": versions.get(name),
        }
