"""Choosing runs by what was set and measured, as SQL that means the same on SQLite and PostgreSQL."""

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from experiment_hub.errors import BadInputError
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import Run, RunMetric, RunParameter, RunTag
from experiment_hub.tracking.plain import key

TEXTS = ("id", "name", "project", "state", "kind", "host", "notes", "created_at", "git_commit", "dataset_hash")
NUMBERS = ("seed", "seconds")
SIGNS: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "=": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
    "~": lambda column, value: column.icontains(value, autoescape=True),
}
_CONDITION = re.compile(r"\s*(?P<name>.+?)\s*(?P<sign>>=|<=|!=|==|=|>|<|~)\s*(?P<value>.*?)\s*", re.DOTALL)


@dataclass(frozen=True)
class Search:
    project: str | None = None
    state: str | None = None
    tags: tuple[str, ...] = ()
    """All of them."""
    where: tuple[str, ...] = ()
    """`NAME SIGN VALUE` each, for instance `val.accuracy >= 0.9`; a name is a column, a metric or a parameter."""
    sort: str = "created_at"
    """A column, a metric or a parameter; with `-` in front the greatest comes first; what has no value comes last."""
    limit: int | None = None


def find(store: MetadataStore, wanted: Search) -> list[Run]:
    """Raises BadInputError for a condition that is none."""
    with reading(store.engine) as session:
        query = select(Run)
        for column, value in ((Run.project, wanted.project), (Run.state, wanted.state)):
            query = query.where(column == value) if value else query
        for tag in wanted.tags:
            query = query.where(tagged(tag))
        for text in wanted.where:
            query = query.where(condition(session, text))
        return list(session.scalars(_sorted(session, query, wanted.sort).limit(wanted.limit)))


def last_values(store: MetadataStore, run_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Last value of each metric by run; NaN and infinity as text."""
    query = select(RunMetric.run_id, RunMetric.name, RunMetric.last, RunMetric.odd).order_by(RunMetric.name)
    found: dict[str, dict[str, Any]] = {run: {} for run in run_ids}
    with reading(store.engine) as session:
        for run, name, last, odd in session.execute(query.where(RunMetric.run_id.in_(run_ids))):
            found[run][name] = odd or last
    return found


def tags_of(session: Session, run_ids: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {run: [] for run in run_ids}
    query = select(RunTag.run_id, RunTag.tag).where(RunTag.run_id.in_(run_ids)).order_by(RunTag.tag)
    for run, tag in session.execute(query):
        found[run].append(tag)
    return found


def tagged(tag: str) -> ColumnElement[bool]:
    return Run.id.in_(select(RunTag.run_id).where(RunTag.tag == key(tag)))


def _sorted(session: Session, query: Select[Any], sort: str) -> Select[Any]:
    name, descending = sort.removeprefix("-"), sort.startswith("-")
    column = getattr(Run, name) if name in (*TEXTS, *NUMBERS) else _sort_value(session, name)
    ordered = column.desc() if descending else column.asc()
    return query.order_by(column.is_(None), ordered, Run.created_at, Run.id)


def _sort_value(session: Session, name: str) -> Any:
    table, column = (RunMetric, RunMetric.last) if _is_metric(session, name) else (RunParameter, RunParameter.number)
    value = select(column).where(table.run_id == Run.id, table.name == key(name))
    return value.correlate(Run).scalar_subquery()


def _is_metric(session: Session, name: str) -> bool:
    """Raises BadInputError where no run has anything of that name."""
    for table, answer in ((RunMetric, True), (RunParameter, False)):
        if session.scalar(select(table.run_id).where(table.name == key(name)).limit(1)) is not None:
            return answer
    raise BadInputError(f"no run has a column, metric or parameter {name[:100]!r}")


def condition(session: Session, text: str) -> ColumnElement[bool]:
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise BadInputError(f"condition {text[:100]!r}: expected NAME, one of {' '.join(SIGNS)}, VALUE")
    name, sign, value = found["name"], found["sign"].replace("==", "="), found["value"]
    if name in TEXTS:
        return SIGNS[sign](getattr(Run, name), value)
    if name in NUMBERS:
        return SIGNS[sign](getattr(Run, name), _number(name, value))
    if _is_metric(session, name):
        return Run.id.in_(_measured(name, sign, value))
    return Run.id.in_(select(RunParameter.run_id).where(RunParameter.name == key(name), _set_to(sign, value)))


def _measured(name: str, sign: str, value: str) -> Select[Any]:
    query = select(RunMetric.run_id).where(RunMetric.name == key(name))
    odd = {"nan": "NaN", "inf": "Infinity", "infinity": "Infinity", "-inf": "-Infinity", "-infinity": "-Infinity"}
    if value.lower() in odd and sign in {"=", "!="}:
        return query.where(
            func.coalesce(RunMetric.odd, "") == odd[value.lower()] if sign == "=" else RunMetric.odd.is_(None)
        )
    return query.where(SIGNS[sign](RunMetric.last, _number(name, value)))


def _set_to(sign: str, value: str) -> ColumnElement[bool]:
    """As a number where the value is one, else as text."""
    try:
        return SIGNS[sign](RunParameter.number, _number("", value)) if sign != "~" else _text(sign, value)
    except BadInputError:
        return _text(sign, value)


def _text(sign: str, value: str) -> ColumnElement[bool]:
    return SIGNS[sign](RunParameter.text, value)


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadInputError(f"{name[:100]} is compared with a number, got {value[:100]!r}")
    return number
