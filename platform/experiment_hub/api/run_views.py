"""What the API and the pages show of runs."""

import json
import math
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from experiment_hub.api.paging import one_page
from experiment_hub.api.run_query import COLUMNS, METRIC, PARAMETER, RunFilter, kind_of, matching, order_of
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.tables import Run, RunMetric, RunParameter, RunTag
from experiment_hub.tracking.search import tags_of
from experiment_hub.tracking.series.layout import TIMED

Value = float | int | str | bool | None
SUMMARY = (
    Run.id, Run.name, Run.state, Run.project, Run.kind, Run.seed, Run.smoke, Run.created_at, Run.ended_at, Run.seconds
)  # fmt: skip
DEFAULT_METRICS, DEFAULT_PARAMETERS = 4, 3
LOOKED_AT = 200  # names of the newest run, from which the default columns are chosen


class RunRow(BaseModel):
    id: str
    name: str
    state: str
    project: str
    kind: str
    seed: int | None
    smoke: bool
    created_at: str
    ended_at: str | None
    seconds: float | None
    tags: list[str]
    values: dict[str, Value] = Field(description="By column: `metric:NAME` or `param:NAME`.")


class RunTable(BaseModel):
    items: list[RunRow]
    next_cursor: str | None
    total: int = Field(description="Runs that match the filters.")
    columns: list[str]


def run_table(
    engine: Engine,
    wanted: RunFilter,
    *,
    sort: str,
    cursor: str | None,
    limit: int,
    columns: Sequence[str] | None = None,
) -> RunTable:
    """`columns` None: a few that say most."""
    with reading(engine) as session:
        total = session.scalar(matching(session, select(func.count()).select_from(Run), wanted)) or 0
        query, order = order_of(session, matching(session, select(*SUMMARY), wanted), sort)
        found, following = one_page(session, query, order, cursor, limit)
        ids = [row.id for row in found]
        chosen = default_columns(session, ids) if columns is None else [kind_of(session, name) for name in columns]
        values, tags = _values(session, ids, chosen), tags_of(session, ids)
    rows = [_row(row, tags[row.id], values[row.id]) for row in found]
    return RunTable(items=rows, next_cursor=following, total=total, columns=chosen)


def default_columns(session: Session, run_ids: Sequence[str]) -> list[str]:
    """Metrics of the first run, and parameters in which the runs differ."""
    if not run_ids:
        return []
    metrics = select(RunMetric.name).where(RunMetric.run_id == run_ids[0], ~RunMetric.name.startswith(TIMED))
    named = session.scalars(metrics.order_by(RunMetric.name).limit(LOOKED_AT))
    telling = sorted(named, key=lambda name: (not name.startswith(("val", "test")), name))[:DEFAULT_METRICS]
    own = list(session.scalars(select(RunParameter.name).where(RunParameter.run_id == run_ids[0]).limit(LOOKED_AT)))
    query = select(RunParameter.name, RunParameter.text)
    query = query.where(RunParameter.run_id.in_(run_ids), RunParameter.name.in_(own), RunParameter.name.not_in(COLUMNS))
    values: dict[str, set[str]] = {}
    for name, text in session.execute(query):  # counted here: for GROUP BY, SQLite would walk the whole index by name
        values.setdefault(name, set()).add(text)
    differing = sorted((-len(found), name) for name, found in values.items() if len(found) > 1)[:DEFAULT_PARAMETERS]
    parameters = [PARAMETER + name for _, name in differing]
    return [*(METRIC + name for name in telling), *parameters]


def _values(session: Session, run_ids: Sequence[str], columns: Sequence[str]) -> dict[str, dict[str, Value]]:
    found: dict[str, dict[str, Value]] = {run: {} for run in run_ids}
    names = [name.removeprefix(METRIC) for name in columns if name.startswith(METRIC)]
    metrics = select(RunMetric.run_id, RunMetric.name, RunMetric.last, RunMetric.odd)
    for run, name, last, odd in session.execute(
        metrics.where(RunMetric.run_id.in_(run_ids), RunMetric.name.in_(names))
    ):
        found[run][METRIC + name] = odd if last is None else last
    names = [name.removeprefix(PARAMETER) for name in columns if name.startswith(PARAMETER)]
    parameters = select(RunParameter.run_id, RunParameter.name, RunParameter.text)
    for run, name, text in session.execute(
        parameters.where(RunParameter.run_id.in_(run_ids), RunParameter.name.in_(names))
    ):
        found[run][PARAMETER + name] = plain_value(text)
    return found


def plain_value(text: str) -> Value:
    """A parameter as it was given; text is kept as itself, all else as JSON."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, int | float) and math.isfinite(value) else text


def _row(row: Any, tags: list[str], values: dict[str, Value]) -> RunRow:
    return RunRow(**{column.key: getattr(row, column.key) for column in SUMMARY}, tags=tags, values=values)


class Choices(BaseModel):
    """What the filters of the runs table can be set to."""

    projects: list[str]
    tags: list[str]


def choices(engine: Engine) -> Choices:
    with reading(engine) as session:
        projects = session.scalars(select(Run.project).distinct().order_by(Run.project).limit(LOOKED_AT))
        tags = session.scalars(select(RunTag.tag).distinct().order_by(RunTag.tag).limit(LOOKED_AT))
        return Choices(projects=list(projects), tags=list(tags))


def nearby(engine: Engine, name: str, run_id: str, limit: int = 20) -> list[tuple[str, str]]:
    """Other runs of the same name, newest first: id and time."""
    query = select(Run.id, Run.created_at).where(Run.name == name, Run.id != run_id)
    with reading(engine) as session:
        return [(run, at) for run, at in session.execute(query.order_by(Run.created_at.desc()).limit(limit))]
