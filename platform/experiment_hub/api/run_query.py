"""Filters and orders of the runs table, as SQL that is the same on SQLite and PostgreSQL."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.orm import Session, aliased

from experiment_hub.api.paging import Key, Order
from experiment_hub.metadata.tables import Run, RunMetric, RunParameter
from experiment_hub.tracking.plain import key
from experiment_hub.tracking.search import condition, tagged

TEXTS: dict[str, Any] = {
    "created_at": Run.created_at,
    "name": Run.name,
    "state": Run.state,
    "project": Run.project,
    "kind": Run.kind,
    "host": Run.host,
}
NUMBERS: dict[str, Any] = {"seed": Run.seed, "seconds": Run.seconds}
COLUMNS = TEXTS | NUMBERS
METRIC, PARAMETER = "metric:", "param:"


@dataclass(frozen=True)
class RunFilter:
    project: str | None = None
    state: str | None = None
    kind: str | None = None
    tag: str | None = None
    text: str | None = None
    """Part of the name, the id or the notes."""
    where: tuple[str, ...] = ()
    """`NAME SIGN VALUE` each, for instance `val.accuracy >= 0.9`."""


def matching(session: Session, query: Any, wanted: RunFilter) -> Any:
    """Raises BadInputError for a condition that is none."""
    same = {Run.project: wanted.project, Run.state: wanted.state, Run.kind: wanted.kind}
    query = query.where(*(column == value for column, value in same.items() if value))
    if wanted.tag:
        query = query.where(tagged(wanted.tag))
    if wanted.text:
        places = (Run.name, Run.id, Run.notes)
        query = query.where(or_(*(place.icontains(wanted.text, autoescape=True) for place in places)))
    return query.where(*(condition(session, text) for text in wanted.where if text.strip()))


def order_of(session: Session, query: Any, sort: str) -> tuple[Any, Order]:
    """`sort` is a column, metric or parameter; with `-` in front the largest comes first; what has no value comes last."""
    descending, name = sort.startswith("-"), sort.removeprefix("-")
    if name in TEXTS:
        keys: tuple[Key, ...] = (Key(TEXTS[name], str),)
    elif name in NUMBERS:
        keys = _with_nulls_last(NUMBERS[name], float, descending=descending)
    else:
        query, keys = _measured_or_set(session, query, name, descending=descending)
    return query, Order((*keys, Key(Run.id, str)), descending, f"runs:{sort}")


def kind_of(session: Session, name: str) -> str:
    """The name with what it names in front: a column stays as it is."""
    if name in COLUMNS or name.startswith((METRIC, PARAMETER)):
        return name
    known = session.scalar(select(RunMetric.run_id).where(RunMetric.name == key(name)).limit(1))
    return f"{PARAMETER if known is None else METRIC}{name}"


def _measured_or_set(session: Session, query: Any, name: str, *, descending: bool) -> tuple[Any, tuple[Key, ...]]:
    kind, _, plain = kind_of(session, name).partition(":")
    if f"{kind}:" == METRIC:
        metric = aliased(RunMetric)
        query = query.outerjoin(metric, and_(metric.run_id == Run.id, metric.name == key(plain)))
        return query, _with_nulls_last(metric.last, float, descending=descending)
    parameter = aliased(RunParameter)
    query = query.outerjoin(parameter, and_(parameter.run_id == Run.id, parameter.name == key(plain)))
    numbers = _with_nulls_last(parameter.number, float, descending=descending)
    return query, (*numbers, *_with_nulls_last(parameter.text, str, descending=descending))


def _with_nulls_last(column: Any, kind: type[str] | type[float], *, descending: bool) -> tuple[Key, Key]:
    missing = case((column.is_(None), 0 if descending else 1), else_=1 if descending else 0)
    return Key(missing, int), Key(func.coalesce(column, kind()), kind)
