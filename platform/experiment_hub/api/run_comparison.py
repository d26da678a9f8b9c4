"""Several runs side by side: what was set differently, and what came out."""

import json
from collections.abc import Sequence

from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from experiment_hub.api.run_views import SUMMARY, Value, plain_value
from experiment_hub.errors import UnknownRunError
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import Run, RunMetric, RunParameter
from experiment_hub.tracking.series.layout import TIMED

MOST_RUNS = 50
MOST_NAMES = 1000
FACTS = ("name", "state", "project", "kind", "seed", "seconds", "git_commit", "source_hash", "dataset_hash", "host")


class ComparedRun(BaseModel):
    id: str
    name: str
    state: str
    created_at: str


class Comparison(BaseModel):
    runs: list[ComparedRun]
    parameters: dict[str, list[Value]] = Field(description="By name, one value for each run; null where it has none.")
    facts: dict[str, list[Value]]
    metrics: dict[str, list[Value]] = Field(description="The last values.")
    differing: list[str] = Field(description="Parameters and facts in which the runs differ.")


def comparison(store: MetadataStore, run_ids: Sequence[str]) -> Comparison:
    """In the order given; raises UnknownRunError."""
    ids = list(dict.fromkeys(run_ids))
    columns = {column.key: column for column in (*SUMMARY, *(getattr(Run, name) for name in FACTS))}
    with reading(store.engine) as session:
        rows = {row.id: row for row in session.execute(select(*columns.values()).where(Run.id.in_(ids)))}
        for run in ids:
            if run not in rows:
                raise UnknownRunError(f"no run {run!r} in {store.home}")
        parameters = _parameters(session, ids)
        metrics = _metrics(session, ids)
    facts = {name: [getattr(rows[run], name) for run in ids] for name in FACTS}
    differing = [name for name, values in (*facts.items(), *parameters.items()) if len(set(map(_mark, values))) > 1]
    runs = [ComparedRun(**{name: getattr(rows[run], name) for name in ComparedRun.model_fields}) for run in ids]
    return Comparison(runs=runs, parameters=parameters, facts=facts, metrics=metrics, differing=differing)


def _parameters(session: Session, ids: Sequence[str]) -> dict[str, list[Value]]:
    query = select(RunParameter.run_id, RunParameter.name, RunParameter.text).where(RunParameter.run_id.in_(ids))
    found: dict[str, list[Value]] = {}
    for run, name, text in session.execute(query.order_by(RunParameter.name).limit(MOST_NAMES * len(ids))):
        found.setdefault(name, [None] * len(ids))[ids.index(run)] = plain_value(text)
    return found


def _metrics(session: Session, ids: Sequence[str]) -> dict[str, list[Value]]:
    query = select(RunMetric.run_id, RunMetric.name, RunMetric.last, RunMetric.odd).where(RunMetric.run_id.in_(ids))
    query = query.where(~RunMetric.name.startswith(TIMED)).order_by(RunMetric.name).limit(MOST_NAMES * len(ids))
    found: dict[str, list[Value]] = {}
    for run, name, last, odd in session.execute(query):
        found.setdefault(name, [None] * len(ids))[ids.index(run)] = odd if last is None else last
    return found


def _mark(value: Value) -> str:
    return json.dumps(value)
