"""Reading runs, after taking in what they wrote since the last look."""

from typing import Any

from sqlalchemy import select

from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import Run, RunMetric
from experiment_hub.tracking.index import refresh
from experiment_hub.tracking.search import tags_of
from experiment_hub.tracking.series.layout import TIMED

RUNNING, FINISHED, FAILED, NAN, KILLED = "running", "finished", "failed", "nan", "killed"


def one_run(store: MetadataStore, run_id: str) -> Run:
    refresh(store)
    return store.run(run_id)


def describe(store: MetadataStore, run: Run) -> dict[str, Any]:
    """Everything about a run as plain data; NaN and infinity are text."""
    columns = {column.key: getattr(run, column.key) for column in Run.__table__.columns}
    values = store.metrics(run.id)
    curves = _curves(store, run.id)
    folder = store.home / run.folder
    return {
        **columns,
        "run": columns.pop("id"),
        "folder": str(folder),
        "folder_host": None if folder.is_dir() else run.host,
        "tags": tags(store, run.id),
        "metrics": store.last_metrics([run.id])[run.id] or _last(curves),
        "metric_versions": {row.metric: row.version for row in values},
        "curves": curves,
        "history": [
            {"epoch": row.epoch, "step": row.step, "metric": f"{row.split}.{row.metric}", "value": row.value}
            for row in values
        ],
    }


def tags(store: MetadataStore, run_id: str) -> list[str]:
    with reading(store.engine) as session:
        return tags_of(session, [run_id])[run_id]


def _curves(store: MetadataStore, run_id: str) -> dict[str, dict[str, Any]]:
    query = select(RunMetric).where(RunMetric.run_id == run_id).order_by(RunMetric.name)
    fields = ("last_step", "minimum", "maximum", "points", "version")
    with reading(store.engine) as session:
        return {
            row.name: {"last": row.odd or row.last, **{field: getattr(row, field) for field in fields}}
            for row in session.scalars(query)
        }


def _last(curves: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {name: row["last"] for name, row in curves.items() if not name.startswith(TIMED)}
