"""One runner for each repository: it holds the lock, recovers what a crash left, and serves every feature that waits."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NoReturn

from memory.events import About, Event, read
from orchestrator.judging import LEASES
from tickets.errors import EnvironmentFailure, WaitingError
from worktrees.locks import remove_stale

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbos import WorkflowHandle
    from filelock import BaseFileLock

    from orchestrator.workspace import Workspace

POLL_S = 0.03
STOP_BYTES = 24 << 20
INTERRUPTED = 130
APPLICATION_VERSION = "signalbox-1"
"""Raised when running workflows of an older version can no longer be finished by this one."""
OPEN = frozenset({"queued", "running"})


@dataclass(frozen=True, kw_only=True)
class Follow:
    """What the caller waits for, and who hears of it."""

    feature: str
    tell: Callable[[Event], None]


def warm_up() -> None:
    """Begin to import the workflow engine: it takes half a second, most of it while we wait for git and probes."""
    threading.Thread(target=importlib.import_module, args=("dbos",), daemon=True).start()


def carry_out(workspace: Workspace, follow: Follow) -> None:
    """See the feature through to its end: as the runner, or by following the one that is at work already."""
    seen = 0
    lock = _lock(workspace)
    while True:
        if _try(lock):
            try:
                _serve(workspace, follow, seen)
            finally:
                lock.release()
            return
        seen = _hear(workspace, follow, seen)
        if workspace.records.feature(follow.feature).state not in OPEN:
            return
        time.sleep(POLL_S)


def _lock(workspace: Workspace) -> BaseFileLock:
    from filelock import FileLock

    return FileLock(workspace.state / "runner.lock", thread_local=False)


def _try(lock: BaseFileLock) -> bool:
    from filelock import Timeout

    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


@contextmanager
def exclusively(workspace: Workspace) -> Iterator[None]:
    """Hold the place of the runner; raise WaitingError when somebody is at work."""
    lock = _lock(workspace)
    if not _try(lock):
        raise WaitingError("a run is at work in this repository; `orchestrate status --watch` shows it")
    try:
        yield
    finally:
        lock.release()


def _serve(workspace: Workspace, follow: Follow, seen: int) -> None:
    """Run workflows until nothing is open any more; features that others ask for meanwhile are served too."""
    recover(workspace)
    with _engine(workspace) as start:
        while True:
            for row in workspace.records.features():
                if row.state in OPEN:
                    start(row.id, row.generation)
            seen = _hear(workspace, follow, seen)
            _check_disk(workspace)
            if all(row.state not in OPEN for row in workspace.records.features()):
                _hear(workspace, follow, seen)
                return
            time.sleep(POLL_S)


def _check_disk(workspace: Workspace) -> None:
    """Raise before the disk is so full that nothing could be recorded any more: the engine would wait for ever."""
    free = shutil.disk_usage(workspace.state).free
    if free < STOP_BYTES:
        raise EnvironmentFailure(
            f"the disk of {workspace.state} is full ({free >> 20} MiB left); free some space, then `orchestrate resume`"
        )


def recover(workspace: Workspace) -> list[str]:
    """Reconcile what a crash left behind: trees are archived and removed, leased directories dropped."""
    from orchestrator.attempt import rescue
    from orchestrator.money.purse import recover as settle_what_was_left

    shutil.rmtree(workspace.worktrees / LEASES, ignore_errors=True)
    for leftover in workspace.state.glob("index-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    locks = remove_stale(workspace.repository, since=_last_step(workspace))
    rescued = rescue(workspace)
    settle_what_was_left(workspace)
    if rescued or locks:
        workspace.records.note("runner.recovered", About(), {"archived": rescued, "locks": locks})
    return rescued


def _last_step(workspace: Workspace) -> float:
    """Give the time of the last event: a lock older than our last crash can only be somebody else's."""
    row = workspace.database.connection().execute("SELECT MAX(at) AS at FROM events").fetchone()
    return datetime.fromisoformat(row["at"]).timestamp() if row["at"] else time.time()


@contextmanager
def _engine(workspace: Workspace) -> Iterator[Callable[[str, int], None]]:
    """Open the workflow engine on its SQLite file; unfinished workflows go on by themselves."""
    from dbos import DBOS, SetWorkflowID

    from orchestrator import pipeline
    from orchestrator.stages import Room

    Room.current = Room(workspace)
    DBOS(
        config={
            "name": "signalbox",
            "system_database_engine": _engine_of(workspace),
            "application_version": APPLICATION_VERSION,
            "executor_id": "local",
            "log_level": "ERROR",
            "notification_listener_polling_interval_sec": 0.05,
            "max_executor_threads": 64,
        }
    )
    DBOS.launch()
    handles: dict[str, WorkflowHandle[None]] = {}

    def start(feature: str, generation: int) -> None:
        identity = f"{feature}.{generation}"
        if identity not in handles:
            with SetWorkflowID(identity):
                handles[identity] = DBOS.start_workflow(pipeline.feature, feature, generation)

    yield start
    # reached only when nothing was interrupted: an interrupted process ends at once and is taken up by the next one
    for handle in handles.values():
        handle.get_result(polling_interval_sec=POLL_S)
    # the engine is not torn down: that waits a second for threads that poll, and the process ends with its command


def _engine_of(workspace: Workspace):  # type: ignore[no-untyped-def]  # noqa: ANN202 - sqlalchemy is imported inside
    """Give DBOS a database that keeps what it acknowledged through a power cut; its own defaults do not."""
    import sqlalchemy

    url = workspace.policy.state.database_url
    if url:
        return sqlalchemy.create_engine(url)
    engine = sqlalchemy.create_engine(f"sqlite:///{workspace.state / 'workflows.sqlite'}")

    @sqlalchemy.event.listens_for(engine, "connect")
    def settle(connection, _record) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - the raw driver's connection
        connection.execute("PRAGMA busy_timeout = 60000")
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = EXTRA")

    return engine


def _hear(workspace: Workspace, follow: Follow, seen: int) -> int:
    """Pass on the events that came since; give the number of the last one."""
    for event in read(workspace.database, after=seen):
        seen = event.seq
        if event.feature in {follow.feature, ""}:
            follow.tell(event)
    return seen


def stop_at_once(code: int) -> NoReturn:
    """End the process now: the supervisors see it and end every agent and gate; all that was acknowledged is on disk."""
    sys.stdout.flush()
    os._exit(code)
