"""Commands that read what is recorded; none of them loads torch."""

from pathlib import Path

from experiment_hub.metadata.store import MetadataStore
from experiment_hub.output import emit, shown, table
from experiment_hub.tracking.history import all_runs, describe, one_run
from experiment_hub.tracking.home import find_home
from experiment_hub.training.comparison import compare


def runs(home: Path | None, *, as_json: bool) -> None:
    store = MetadataStore(find_home(home))
    found = all_runs(store)
    metrics = store.last_metrics([run.id for run in found])
    rows = [
        {
            "run": run.id,
            "name": run.name,
            "state": run.state,
            "seed": run.seed,
            "smoke": run.smoke,
            "created_at": run.created_at,
            "seconds": run.seconds,
            "metrics": metrics[run.id],
        }
        for run in found
    ]
    header = ("run", "name", "state", "seed", "created_at", "seconds")
    emit({"runs": rows}, table(header, ([row[key] for key in header] for row in rows)), as_json=as_json)


def show(run_id: str, home: Path | None, *, as_json: bool) -> None:
    store = MetadataStore(find_home(home))
    document = describe(store, one_run(store, run_id))
    lines = [f"{key}: {shown(value)}" for key, value in document.items() if key not in {"history", "id"}]
    emit(document, lines, as_json=as_json)


def compare_runs(one: str, other: str, home: Path | None, *, as_json: bool) -> None:
    store = MetadataStore(find_home(home))
    document = compare(*(describe(store, one_run(store, run_id)) for run_id in (one, other)))
    changed = [(key, *pair, "") for key, pair in {**document["identity"], **document["config"]}.items()]
    measured = [(name, row["a"], row["b"], row["verdict"]) for name, row in document["metrics"].items()]
    emit(document, table(("", "a", "b", "b is"), [*changed, *measured]), as_json=as_json)
