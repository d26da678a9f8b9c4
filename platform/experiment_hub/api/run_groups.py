"""Runs by the value of a column or a parameter, with mean and range of some metrics."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import Engine, and_, func, select
from sqlalchemy.orm import aliased

from experiment_hub.api.problems import RequestProblem
from experiment_hub.api.run_query import COLUMNS, METRIC, PARAMETER, RunFilter, kind_of, matching
from experiment_hub.api.run_views import Value, default_columns, plain_value
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.tables import Run, RunMetric, RunParameter

MOST_GROUPS = 200
KNOWN_NAMES = 500


class Figures(BaseModel):
    mean: float | None = Field(description="Null where no run of the group has a finite value.")
    least: float | None
    greatest: float | None


class Group(BaseModel):
    value: Value
    runs: int
    metrics: dict[str, Figures]


class Groups(BaseModel):
    by: str
    items: list[Group] = Field(description=f"Largest first, at most {MOST_GROUPS}.")


class Names(BaseModel):
    """With `metric:` and `param:` in front."""

    metrics: list[str]
    parameters: list[str]


def group_runs(engine: Engine, wanted: RunFilter, by: str, metrics: Sequence[str] | None = None) -> Groups:
    """`metrics` None: a few that say most."""
    with reading(engine) as session:
        name = kind_of(session, by)
        if name.startswith(METRIC):
            raise RequestProblem(422, f"Runs are grouped by a column or a parameter; {by[:100]!r} is a metric.")
        if metrics is None:
            newest = session.scalars(select(Run.id).order_by(Run.created_at.desc()).limit(1)).all()
            chosen = [each for each in default_columns(session, newest) if each.startswith(METRIC)]
        else:
            chosen = [f"{METRIC}{each.removeprefix(METRIC)}" for each in metrics]
        query: Any = select(Run.id)
        parameter = aliased(RunParameter)
        key = COLUMNS.get(name, parameter.text)
        if name not in COLUMNS:
            joined = and_(parameter.run_id == Run.id, parameter.name == name.removeprefix(PARAMETER))
            query = query.outerjoin(parameter, joined)
        columns: list[Any] = [key.label("key"), func.count().label("runs")]
        for each in chosen:
            metric = aliased(RunMetric)
            query = query.outerjoin(metric, and_(metric.run_id == Run.id, metric.name == each.removeprefix(METRIC)))
            columns += [func.avg(metric.last), func.min(metric.last), func.max(metric.last)]
        grouped = matching(session, query.with_only_columns(*columns), wanted).group_by(key)
        found = session.execute(grouped.order_by(func.count().desc(), key).limit(MOST_GROUPS)).all()
    return Groups(by=name, items=[_group(row, chosen, text=name not in COLUMNS) for row in found])


def _group(row: Any, chosen: Sequence[str], *, text: bool) -> Group:
    key, runs, *figures = row
    triples = zip(*(figures[start::3] for start in range(3)), strict=True)
    metrics = {
        name.removeprefix(METRIC): Figures(mean=mean, least=least, greatest=greatest)
        for name, (mean, least, greatest) in zip(chosen, triples, strict=True)
    }
    return Group(value=plain_value(key) if text and key is not None else key, runs=runs, metrics=metrics)


def known_names(engine: Engine) -> Names:
    """What the runs measured and were given, to choose columns from."""
    with reading(engine) as session:
        metrics = session.scalars(select(RunMetric.name).distinct().order_by(RunMetric.name).limit(KNOWN_NAMES))
        names = session.scalars(select(RunParameter.name).distinct().order_by(RunParameter.name).limit(KNOWN_NAMES))
        return Names(metrics=[METRIC + each for each in metrics], parameters=[PARAMETER + each for each in names])
