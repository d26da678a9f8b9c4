"""Everything about one run."""

from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import Engine, select

from experiment_hub.api.paging import Key, Order, Page, one_page
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import RunMetric
from experiment_hub.tracking.history import tags
from experiment_hub.tracking.series.layout import TIMED


class RunDetail(BaseModel, from_attributes=True):
    id: str
    name: str
    state: str
    error: str | None
    project: str
    kind: str
    notes: str | None
    parent_id: str | None
    job_id: str | None
    seed: int | None
    smoke: bool
    config: dict[str, Any]
    overrides: dict[str, Any]
    created_at: str
    ended_at: str | None
    seconds: float | None
    host: str
    git_commit: str | None
    git_dirty: bool | None
    source_hash: str | None
    dataset_hash: str | None
    environment: dict[str, Any] | None
    extensions: dict[str, Any] | None
    parameters_trainable: int | None
    parameters_total: int | None
    resumes: list[Any]
    tags: list[str] = []


class MetricSummary(BaseModel, from_attributes=True):
    name: str
    last: float | None = Field(description="Null for NaN and infinity; `odd` then says which one it is.")
    odd: str | None
    last_step: int
    minimum: float | None
    maximum: float | None
    points: int
    version: int | None = Field(description="Of the metric's definition, where it is a registered one.")


def run_detail(store: MetadataStore, run_id: str) -> RunDetail:
    run = store.run(run_id)
    return RunDetail.model_validate(run).model_copy(update={"tags": tags(store, run_id)})


def curve_names(
    engine: Engine, run_id: str, *, part: str | None, after: str | None, limit: int, system: bool = False
) -> tuple[list[RunMetric], str | None]:
    """Summaries of a run's curves by name, and the name to go on after."""
    query = select(RunMetric).where(RunMetric.run_id == run_id)
    is_system = RunMetric.name.startswith(TIMED)
    query = query.where(is_system if system else ~is_system)
    if part:
        query = query.where(RunMetric.name.icontains(part, autoescape=True))
    if after is not None:
        query = query.where(RunMetric.name > after)
    with reading(engine) as session:
        found = list(session.scalars(query.order_by(RunMetric.name).limit(limit + 1)))
    return found[:limit], found[limit - 1].name if len(found) > limit else None


def metric_page(store: MetadataStore, run_id: str, cursor: str | None, limit: int) -> Page[MetricSummary]:
    """Raises UnknownRunError."""
    store.run(run_id)
    columns = [getattr(RunMetric, name) for name in MetricSummary.model_fields]
    query = select(*columns).where(RunMetric.run_id == run_id)
    with reading(store.engine) as session:
        rows, following = one_page(session, query, Order((Key(RunMetric.name, str),), label="metrics"), cursor, limit)
    return Page(items=[MetricSummary.model_validate(row) for row in rows], next_cursor=following)
