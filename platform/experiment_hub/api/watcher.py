"""Looks once a second what changed, for pages and programs that follow: a bounded memory of numbered events."""

import logging
import secrets
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from experiment_hub.errors import HubError
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import JobEvent, ModelEvent, Run, RunMetric
from experiment_hub.tracking.index import refresh
from experiment_hub.tracking.outbox import Shelf

PERIOD_SECONDS = 1.0
REMEMBERED = 10_000
RESET = "reset"
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    number: int
    kind: str
    """run, progress, job, model, or reset: look at everything again."""
    data: dict[str, Any]


@dataclass
class _Seen:
    """What was known at the last look."""

    running: dict[str, str] = field(default_factory=dict)
    newest_run: str = ""
    points: dict[str, int] = field(default_factory=dict)
    job_event: int = 0
    model_event: int = 0


class Watcher:
    """A thread of the server; `refresh` takes in what runs wrote since the last look."""

    def __init__(self, store: MetadataStore, shelf: Shelf) -> None:
        self.instance = secrets.token_hex(4)
        self._store = store
        self._shelf = shelf
        self._gone = False
        self._seen: _Seen | None = None
        self._events: deque[Event] = deque(maxlen=REMEMBERED)
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="hub-watcher", daemon=True)

    def start(self) -> None:
        self.look()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    def look(self) -> None:
        """One look at what changed; where that fails, as with a database that is gone, the next look may succeed."""
        with self._looking:
            try:
                refresh(self._store, self._shelf)
                with reading(self._store.engine) as session:
                    changes = list(self._changes(session))
            except HubError as error:
                self._complain(error)
                return
            self._gone = False
        for kind, data in changes:
            self.add(kind, data)

    def _complain(self, error: HubError) -> None:
        """Once, not every second."""
        if not self._gone:
            LOG.warning("%s", error)
        self._gone = True

    def since(self, event_id: str | None) -> list[Event]:
        """What came after an event; a reset first where this server no longer knows, or never knew, that event."""
        with self._lock:
            events = list(self._events)
        last = events[-1].number if events else 0
        if event_id is None:
            return []
        instance, _, number = event_id.partition("-")
        oldest = events[0].number if events else 1
        if instance != self.instance or not number.isdecimal() or not oldest - 1 <= int(number) <= last:
            return [Event(last, RESET, {})]
        return [event for event in events if event.number > int(number)]

    def id_of(self, number: int) -> str:
        return f"{self.instance}-{number}"

    @property
    def newest(self) -> str:
        with self._lock:
            return self.id_of(self._events[-1].number if self._events else 0)

    def _watch(self) -> None:
        while not self._stop.wait(PERIOD_SECONDS):
            self.look()

    def add(self, kind: str, data: dict[str, Any]) -> None:
        with self._lock:
            self._events.append(Event(next(self._numbers), kind, data))

    def _changes(self, session: Session) -> Iterator[tuple[str, dict[str, Any]]]:
        before, now = self._seen, _look(session)
        self._seen = now
        if before is None:
            return
        yield from _runs(session, before, now)
        yield from _progress(before, now)
        for event in session.scalars(select(JobEvent).where(JobEvent.id > before.job_event).order_by(JobEvent.id)):
            yield "job", {"job": event.job_id, "kind": event.kind, "at": event.at}
        models = select(ModelEvent).where(ModelEvent.id > before.model_event).order_by(ModelEvent.id)
        for change in session.scalars(models):
            yield "model", {"model": change.model, "kind": change.kind, "at": change.at}


def _look(session: Session) -> _Seen:
    running = dict(session.execute(select(Run.id, Run.state).where(Run.state == "running")).all())
    points = select(RunMetric.run_id, func.sum(RunMetric.points)).where(RunMetric.run_id.in_(running))
    return _Seen(
        running,
        session.scalar(select(func.max(Run.created_at))) or "",
        {run: int(total) for run, total in session.execute(points.group_by(RunMetric.run_id))},
        session.scalar(select(func.max(JobEvent.id))) or 0,
        session.scalar(select(func.max(ModelEvent.id))) or 0,
    )


def _runs(session: Session, before: _Seen, now: _Seen) -> Iterator[tuple[str, dict[str, Any]]]:
    """Runs that are new, ended or go on again."""
    changed = before.running.keys() ^ now.running.keys()
    fresh = select(Run.id).where(Run.created_at > before.newest_run)
    ids = sorted(changed | set(session.scalars(fresh)))
    for run in session.execute(select(Run.id, Run.state).where(Run.id.in_(ids)).order_by(Run.id)):
        yield "run", {"run": run.id, "state": run.state}


def _progress(before: _Seen, now: _Seen) -> Iterator[tuple[str, dict[str, Any]]]:
    for run, points in sorted(now.points.items()):
        if points != before.points.get(run, 0):
            yield "progress", {"run": run, "points": points}
