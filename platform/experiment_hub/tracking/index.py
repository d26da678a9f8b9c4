"""Takes what runs wrote into their folders into the database; every reader calls `refresh` first.

A marker in HOME/inbox stands for a run whose end, or whose beginning, the database may not know yet. It goes away only
after the transaction that wrote the end, so a reader that dies at any moment leaves work for the next one and nothing
is lost; two readers at once write the same.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from sqlalchemy import select

from experiment_hub.configuration.settings import settings
from experiment_hub.metadata.sessions import reading, upsert, writing
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import MetricValue, Run, RunMetric
from experiment_hub.times import now
from experiment_hub.tracking import layout
from experiment_hub.tracking.hooks import say
from experiment_hub.tracking.outbox import Shelf, deliver, waiting
from experiment_hub.tracking.process import Owner, is_dead, this_process
from experiment_hub.tracking.rows import changed_metrics, says_more, write_run
from experiment_hub.tracking.script import RUNNING, Told, listen
from experiment_hub.tracking.series.summary import summaries

BATCH = 100  # runs for each transaction: ten thousand that were made without a reader are taken in within seconds


def refresh(store: MetadataStore, shelf: Shelf | None = None) -> None:
    """Idempotent, and safe in many processes at once. With a `shelf`, logged files go to the artifact store.

    Raises DatabaseGoneError; runs at work never notice.
    """
    project = settings(store.home).project
    markers = iter(_markers(store.home))
    while batch := list(islice(markers, BATCH)):
        _take_in(store, [told for marker in batch for told in _listen(marker)], project, shelf)
    for run in store.runs(state=RUNNING):
        _look_after(store, run, project)


def summarise(store: MetadataStore, run_id: str) -> None:
    """Bring the figures of one run in the database to what its series say."""
    found = summaries(store.home / layout.RUNS / run_id)
    query = select(MetricValue.split, MetricValue.metric, MetricValue.version).where(MetricValue.run_id == run_id)
    with reading(store.engine) as session:
        versions = {f"{split}.{metric}": version for split, metric, version in session.execute(query.distinct())}
        fresh = changed_metrics(session, run_id, found, versions)
    if fresh:
        with writing(store.engine) as session:
            upsert(session, RunMetric, fresh)


def notice(home: Path, run_id: str) -> None:
    """Its folder says something new: have the next reader look, even where the run is over."""
    if (home / layout.RUNS / run_id / layout.RUN_FILE).is_file():
        layout.mark(home, run_id)


def _markers(home: Path) -> list[Path]:
    box = home / layout.INBOX
    return sorted(path for path in box.iterdir() if not path.name.startswith(".")) if box.is_dir() else []


def _listen(marker: Path) -> Iterator[Told]:
    """One, or none where the folder is gone or says nothing that can be read."""
    folder = marker.parents[1] / layout.RUNS / marker.name
    try:
        yield listen(folder)
    except FileNotFoundError:
        if not folder.is_dir():
            _forget(marker)  # somebody removed the run; what the database knows stays
    except OSError as error:
        say(f"{error.filename} cannot be read, so the run is left out: {error.strerror}")
    except ValueError as error:
        say(f"{folder / layout.RUN_FILE} is damaged, so the run is left out: {error}")


def _take_in(store: MetadataStore, found: Sequence[Told], project: str, shelf: Shelf | None) -> None:
    with reading(store.engine) as session:
        new = [told for told in found if says_more(session, told)]
    if new:
        with writing(store.engine) as session:
            for told in new:
                write_run(session, told, project)
    for told in found:
        if shelf:
            deliver(told.run_id, told.folder, shelf)
        if told.state != RUNNING and not any(waiting(told.folder)):
            _settle(store.home / layout.INBOX / told.run_id, told)


def _settle(marker: Path, told: Told) -> None:
    """Take the marker away, unless something was said since it was listened to."""
    _forget(marker)
    if listen(told.folder).heard != told.heard:
        marker.touch()


def _forget(marker: Path) -> None:
    try:
        marker.unlink(missing_ok=True)
    except OSError:
        return  # a home that may only be read: the next reader takes the same in again


def _look_after(store: MetadataStore, run: Run, project: str) -> None:
    """A run of this machine that goes on, or whose process died without a word."""
    folder = store.home / run.folder
    if run.host != this_process().host:
        return
    dead = is_dead(Owner(run.host, run.pid, run.process_started, run.process_boot))
    if (folder / layout.RUN_FILE).is_file():
        if dead:  # its marker is gone
            _take_in(store, list(_listen(store.home / layout.INBOX / run.id)), project, None)
        return
    if folder.is_dir():
        summarise(store, run.id)
    if dead:
        store.change_state(run.id, before=[RUNNING], state="killed", error=f"process {run.pid} is gone", ended_at=now())
