"""Where tickets wait for the train: each joins, this process conducts while it leads, and each hears what became of it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Literal

from memory.claims import Claims
from memory.events import About
from memory.fences import FencedError
from memory.trains import Trains
from orchestrator.edges import Trouble, tried
from orchestrator.owners import alive, this_process
from orchestrator.train.conductor import Conductor
from orchestrator.train.roster import RIDING
from orchestrator.working import patiently
from tickets.states import State

if TYPE_CHECKING:
    from orchestrator.workspace import Workspace

Next = Literal["landed", "again", "ended"]
PAUSE_S = 0.2
"""Between looks at what others may have done: a person's commit on the target, a ticket given up, a leader elsewhere."""
PATIENCE = 5
"""Failures one after another before tickets are told that the train does not go."""
BACK_OFF_S = 0.5
STEADY_S = 30.0
"""A train that went for so long did go: what stops it then is another trouble."""


class Station:
    """One for each process: `open` it before tickets board, `close` it when none is left."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace, self._target = workspace, workspace.policy.project.target
        self._trains = Trains(workspace.database)
        self._claims = Claims(workspace.database, owner=this_process(), alive=alive)
        self._bell = threading.Condition()
        self._news = threading.Condition()
        """Of those who ride; what wakes the conductor is nothing to them."""
        self._rung = False
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="train", daemon=True)

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closed = True
        self._ring()
        self._thread.join()

    # a ticket's side

    def board(self, ticket: str) -> Next:
        """Join the train and ride until the ticket's fate is known; repeating it after a crash takes up where it was."""
        row = self._workspace.records.ticket(ticket)
        if row.state in RIDING:
            self._workspace.records.move(ticket, State.QUEUED)
            attempt = self._workspace.records.attempts(ticket)[-1]
            head = (attempt.changes or {})["commit"]
            self._trains.join(ticket, self._target, attempt=attempt.number, head=head)
            self._ring()
        while (state := self._workspace.records.states_of([ticket])[ticket]) in RIDING:
            if self._closed:
                return "ended"  # for this process: another clone takes the ticket up as it is
            with self._news:
                self._news.wait(PAUSE_S)
        return "landed" if state is State.LANDED else "again" if state is State.READY else "ended"

    def _ring(self) -> None:
        with self._bell:
            self._rung = True
            self._bell.notify_all()

    # the conductor's side

    def _serve(self) -> None:
        failures = 0
        while not self._closed:
            began = time.monotonic()
            found = tried(self._workspace.state, "train", self._led)
            if not isinstance(found, Trouble):
                failures = 0
                continue
            failures = failures + 1 if time.monotonic() - began < STEADY_S else 1
            data = {"reason": f"the train stands still: {found.said}"}
            tried(self._workspace.state, "train", lambda: self._workspace.records.note("train.trouble", About(), data))  # noqa: B023 - called at once
            if failures >= PATIENCE:
                tried(self._workspace.state, "train", lambda: self._let_off(found.said))  # noqa: B023 - called at once
            self._sleep(BACK_OFF_S * failures)

    def _led(self) -> None:
        try:
            patiently(self._lead)
        except FencedError:
            self._sleep(PAUSE_S)  # another clone leads: we had slept past the lease

    def _lead(self) -> None:
        """Conduct for as long as this process is the leader; wait a moment where another one is."""
        with self._claims.hold(f"train:{self._target}", ttl_s=self._workspace.policy.state.lease_s) as claim:
            if claim is None:
                self._sleep(PAUSE_S)
                return
            conductor = Conductor(self._workspace, ring=self._ring)
            try:
                while not self._closed:
                    if conductor.turn():
                        self._tell()
                    else:
                        self._sleep(PAUSE_S)
            finally:
                conductor.close()

    def _tell(self) -> None:
        """Wake those who wait: something became of somebody."""
        with self._news:
            self._news.notify_all()

    def _sleep(self, seconds: float) -> None:
        with self._bell:
            if not self._rung and not self._closed:
                self._bell.wait(seconds)
            self._rung = False

    def _let_off(self, why: str) -> None:
        for car in self._trains.cars(self._target):
            self._workspace.records.move(car.ticket, State.FAILED, f"could not be judged: {why}")
            self._trains.leave(car.ticket, why)
        self._tell()
