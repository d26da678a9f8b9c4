"""Reading runs: a run whose process is dead is shown, and recorded, as killed."""

from typing import Any

from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import Run
from experiment_hub.tracking.clock import now
from experiment_hub.tracking.process import Owner, is_dead

RUNNING, FINISHED, FAILED, NAN, KILLED = "running", "finished", "failed", "nan", "killed"


def reconcile(store: MetadataStore) -> None:
    for run in store.runs(state=RUNNING):
        if is_dead(Owner(run.host, run.pid, run.process_started)):
            store.change_state(
                run.id, before=[RUNNING], state=KILLED, error=f"process {run.pid} is gone", ended_at=now()
            )


def all_runs(store: MetadataStore) -> list[Run]:
    reconcile(store)
    return store.runs()


def one_run(store: MetadataStore, run_id: str) -> Run:
    reconcile(store)
    return store.run(run_id)


def describe(store: MetadataStore, run: Run) -> dict[str, Any]:
    """Everything about a run as plain data."""
    columns = {column.key: getattr(run, column.key) for column in Run.__table__.columns}
    values = store.metrics(run.id)
    return {
        **columns,
        "run": columns.pop("id"),
        "folder": str(store.home / run.folder),
        "metrics": store.last_metrics([run.id])[run.id],
        "metric_versions": {row.metric: row.version for row in values},
        "history": [
            {"epoch": row.epoch, "step": row.step, "metric": f"{row.split}.{row.metric}", "value": row.value}
            for row in values
        ],
    }
