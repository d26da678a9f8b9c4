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
from typing import TYPE_CHECKING, NoReturn

from memory.events import Event, read
from memory.workflows import engine
from orchestrator.nursery import NURSERY
from orchestrator.owners import this_process
from orchestrator.reconcile import recover
from orchestrator.sharing import join
from orchestrator.telling.courier import courier
from orchestrator.working import OPEN, hand_back, on_shift, patiently, want
from tickets.errors import EnvironmentFailure, WaitingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbos import WorkflowHandle
    from filelock import BaseFileLock

    from orchestrator.working import Begin, Shift
    from orchestrator.workspace import Workspace

POLL_S = 0.03
SHARED_POLL_S = 0.1
"""Where the records are on a server."""
STOP_BYTES = 24 << 20
INTERRUPTED = 130
APPLICATION_VERSION = "signalbox-1"
"""Raised when running workflows of an older version can no longer be finished by this one."""


@dataclass(frozen=True, kw_only=True)
class Follow:
    """What the caller waits for, and who hears of it."""

    feature: str
    tell: Callable[[Event], None]


def warm_up() -> None:
    """Begin to import the workflow engine, and what agents need: it takes half a second, most of it while we wait for git and probes."""
    NURSERY.open()
    threading.Thread(target=importlib.import_module, args=("dbos",), daemon=True).start()


def carry_out(workspace: Workspace, follow: Follow) -> None:
    """See the feature through to its end: as the runner, or by following the one that is at work already."""
    join(workspace)
    heard = _Heard(workspace, follow)
    want(workspace, follow.feature)
    lock = _lock(workspace)
    while True:
        if _try(lock):
            try:
                _serve(workspace, heard.all_is_over)
            finally:
                lock.release()
            return
        heard.listen()
        if heard.is_over():
            return
        time.sleep(POLL_S)


def serve(workspace: Workspace, over: Callable[[], bool]) -> None:
    """Be the runner for whatever anybody asks for, until `over` says so; wait first for one that is at work here already."""
    lock = _lock(workspace)
    while not _try(lock):
        if over():
            return
        time.sleep(POLL_S)
    try:
        _serve(workspace, over, everything=True)
    finally:
        lock.release()


class _Heard:
    """What the caller has been told of its feature so far."""

    def __init__(self, workspace: Workspace, follow: Follow) -> None:
        self._workspace, self._follow = workspace, follow
        self._seen = 0

    def listen(self) -> None:
        for event in read(self._workspace.database, after=self._seen):
            self._seen = event.seq
            if event.feature in {self._follow.feature, ""}:
                self._follow.tell(event)

    def is_over(self) -> bool:
        return self._workspace.records.feature(self._follow.feature).state not in OPEN

    def all_is_over(self) -> bool:
        """Say whether nothing is left to do for this runner; features of other clones are theirs."""
        self.listen()
        over = self.is_over() if self._workspace.database.shared else not any_open(self._workspace)
        if over:
            self.listen()
        return over


def any_open(workspace: Workspace) -> bool:
    """Say whether something is still to happen to any feature by itself."""
    return any(row.state in OPEN for row in workspace.records.open_features())


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


def _serve(workspace: Workspace, over: Callable[[], bool], *, everything: bool = False) -> None:
    """Run workflows until it is over; features that others ask for meanwhile are served too."""
    recover(workspace)
    with (
        workspace.database.at_work(),
        courier(workspace),
        on_shift(workspace, everything=everything) as shift,
        _engine(workspace, shift) as begin,
    ):
        while not patiently(over):
            patiently(lambda: shift.round(begin) if shift else _begin_all(workspace, begin))
            _check_disk(workspace)
            time.sleep(SHARED_POLL_S if shift else POLL_S)


def _begin_all(workspace: Workspace, begin: Begin) -> None:
    for row in workspace.records.open_features():
        if row.state in OPEN:
            begin("feature", row.id, row.generation)


def _check_disk(workspace: Workspace) -> None:
    """Raise before the disk is so full that nothing could be recorded any more: the engine would wait for ever."""
    free = shutil.disk_usage(workspace.state).free
    if free < STOP_BYTES:
        raise EnvironmentFailure(
            f"the disk of {workspace.state} is full ({free >> 20} MiB left); free some space, then `orchestrate resume`"
        )


@contextmanager
def _engine(workspace: Workspace, shift: Shift | None) -> Iterator[Begin]:
    """Open the workflow engine on its SQLite file; unfinished workflows go on by themselves.

    Not at a queue that several clones share: there claims decide who goes on, and a workflow begins anew from the records.
    """
    from dbos import DBOS, SetWorkflowID

    from orchestrator import pipeline
    from orchestrator.stages import Room

    Room.current = Room(workspace, shift)
    Room.current.station.open()
    DBOS(
        config={
            "name": "signalbox",
            "system_database_engine": engine(workspace.state),
            "application_version": APPLICATION_VERSION,
            "executor_id": this_process() if shift else "local",
            "log_level": "ERROR",
            "notification_listener_polling_interval_sec": 0.05,
            "max_executor_threads": 64,
        }
    )
    DBOS.launch()
    handles: dict[str, WorkflowHandle[None]] = {}

    def begin(kind: str, identity: str, number: int) -> None:
        name = f"{identity}.{f'{this_process()}.' if shift else ''}{number}"
        if name in handles:
            return
        with SetWorkflowID(name):
            if kind == "ticket":
                handles[name] = DBOS.start_workflow(pipeline.ticket, identity)
            else:
                handles[name] = DBOS.start_workflow(pipeline.feature, identity, number)

    yield begin
    if shift:
        shift.closing.set()
    # reached only when nothing was interrupted: an interrupted process ends at once and is taken up by the next one
    while shift and shift.busy():
        time.sleep(SHARED_POLL_S)
    if shift:
        shift.catch_up()
    Room.current.station.close()
    for handle in handles.values():
        handle.get_result(polling_interval_sec=POLL_S)
    # the engine is not torn down: that waits a second for threads that poll, and the process ends with its command


def stop_at_once(workspace: Workspace, code: int) -> NoReturn:
    """End every agent, then the process: supervisors see it and end every gate; all that was acknowledged is on disk."""
    from orchestrator.keeping import stop_all

    sys.stdout.flush()
    stop_all(workspace)
    hand_back()
    os._exit(code)
