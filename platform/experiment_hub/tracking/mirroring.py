"""Showing a run in another tracker: everything so far, and with `follow` what comes until it ends."""

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from experiment_hub.errors import BadInputError
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import Run
from experiment_hub.tracking.history import RUNNING, one_run, tags
from experiment_hub.tracking.mirrors.protocol import Mirror, Shown
from experiment_hub.tracking.plain import flatten
from experiment_hub.tracking.series.tail import Tail

FOLLOW_SECONDS = 1.0
Files = Callable[[Run], list[tuple[str, Path]]]
"""Artifacts of a run as files that are here; the artifact store stands beside this room, so callers bring it."""


def mirror(store: MetadataStore, run_id: str, kind: Mirror, target: str, *, follow: bool, files: Files) -> int:
    """Gives the number of points. Raises BadInputError where the run's folder is on another machine."""
    run = one_run(store, run_id)
    folder = store.home / run.folder
    if not folder.is_dir():
        raise BadInputError(f"run {run_id}: its folder is not here but on {run.host}: {folder}")
    sink, tail, count = kind.open(shown(store, run), target), Tail(folder), 0
    while True:
        run = one_run(store, run_id)  # before the points: what is logged after its end does not exist
        fresh = list(tail.fresh())
        if fresh:
            sink.points(fresh)
        count += len(fresh)
        if run.state != RUNNING or not follow:
            break
        time.sleep(FOLLOW_SECONDS)
    for name, path in files(run):
        sink.artifact(name, path)
    sink.close(run.state, seconds(run.ended_at))
    return count


def shown(store: MetadataStore, run: Run) -> Shown:
    return Shown(
        id=run.id,
        name=run.name,
        project=run.project,
        parameters=dict(flatten(run.config)),
        tags=tuple(tags(store, run.id)),
        notes=run.notes,
        created=seconds(run.created_at) or 0.0,
    )


def seconds(moment: str | None) -> float | None:
    """Since the epoch, of a time as the database keeps it."""
    return None if moment is None else datetime.fromisoformat(moment).timestamp()
