"""The stages behind the pipeline's steps: each works on records, can be repeated, and ends its ticket rather than raising."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from memory.fences import FencedError
from orchestrator.attempt import run_attempt
from orchestrator.debrief import conclude
from orchestrator.edges import Trouble, tried
from orchestrator.lead.followups import added_since
from orchestrator.lead.freezing import freeze, plan_of, wait_for_answers
from orchestrator.lead.progress import keep
from orchestrator.lead.rules import OpenQuestionsError
from orchestrator.recovery import course
from orchestrator.sharing import follow
from orchestrator.train.roster import RIDING
from orchestrator.train.station import Station
from orchestrator.working import patiently, turn
from tickets.errors import InconclusiveError, InputError, WaitingError
from tickets.states import ENDS, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.working import Shift
    from orchestrator.workspace import Workspace

T = TypeVar("T")
POLL_S = 0.02
SHARED_POLL_S = 0.2
WAIT_S = 1.0


class Room:
    """What the stages of this process work on; there is one runner for each clone."""

    def __init__(self, workspace: Workspace, shift: Shift | None = None) -> None:
        """`shift`: what this process has claimed of a queue that several clones share; None where it is alone."""
        self.workspace, self.shift = workspace, shift
        self.places = threading.Semaphore(workspace.policy.dispatch.parallel)
        self.station = Station(workspace)

    current: Room


def begun_here(tickets: list[str]) -> list[str]:
    """Give those whose runs begin with their feature's; at a queue that clones share, whoever claims one begins it."""
    return [] if Room.current.shift else tickets


def plan(feature_id: str) -> list[str]:
    """Plan the feature, unless it came with a plan; an impossible request ends it."""
    return _led(feature_id, lambda: _plan(Room.current.workspace, feature_id)) or []


def _plan(workspace: Workspace, feature_id: str) -> list[str]:
    workspace.records.set_feature(feature_id, "running")
    found = tried(workspace.state, feature_id, lambda: patiently(lambda: _planned(workspace, feature_id)))
    if not isinstance(found, Trouble):
        return found
    workspace.records.set_feature(feature_id, "invalid", outcome={"message": found.said, "exit": found.exit})
    keep(workspace, feature_id)
    return []


def _led(feature_id: str, work: Callable[[], T]) -> T | None:
    """Do the lead's part of a feature; None where another clone has taken it over."""
    try:
        with turn(Room.current.shift, f"feature:{feature_id}"):
            return patiently(work)
    except FencedError:
        return None


def _planned(workspace: Workspace, feature_id: str) -> list[str]:
    row = workspace.records.feature(feature_id)
    try:
        ready = plan_of(workspace, row)
    except OpenQuestionsError as error:
        wait_for_answers(workspace, row, error.plan)
        return []
    ids = freeze(workspace, row, ready)
    return [row.id for row in workspace.records.tickets(feature_id) if row.id in ids and row.state not in ENDS]


def await_dependencies(ticket_id: str) -> str:
    """Wait until every dependency has landed; one that ends otherwise blocks the ticket."""
    return _guarded(_after_dependencies, ticket_id)


def _after_dependencies(workspace: Workspace, ticket_id: str) -> str:
    records = workspace.records
    row = records.ticket(ticket_id)
    while row.record.depends_on:
        states = {other: records.ticket(other) for other in row.record.depends_on}
        for other, dependency in states.items():
            if dependency.state in ENDS and dependency.state is not State.LANDED:
                records.move(ticket_id, State.BLOCKED, f"waits for {other}, which was {dependency.state}")
                return "ended"
        if all(dependency.state is State.LANDED for dependency in states.values()):
            break
        time.sleep(POLL_S)
    return "again"


def attempt(ticket_id: str) -> str:
    """Make one attempt when its time has come and there is a place for it."""
    if _guarded(_wait_for_turn, ticket_id) == "ended":
        return "ended"
    with Room.current.places:
        return _guarded(_attempted, ticket_id)


def _attempted(workspace: Workspace, ticket_id: str) -> str:
    if shift := Room.current.shift:
        state = workspace.records.ticket(ticket_id).state
        riding = state in RIDING
        if state in ENDS or (shift.closing.is_set() and not riding):
            return "ended"
        try:
            shift.bring(ticket_id, base=not riding)
        except WaitingError as error:
            workspace.records.move(ticket_id, State.BLOCKED, str(error))
            return "ended"
    return run_attempt(workspace, ticket_id)


def _wait_for_turn(workspace: Workspace, ticket_id: str) -> str:
    """Sit out a quota or an overload without taking a place: the others go on meanwhile."""
    row = workspace.records.ticket(ticket_id)
    ahead = course(workspace.policy, row.record.role, workspace.records.attempts(ticket_id)[row.forgiven :])
    if row.state is not State.READY or ahead.not_before <= time.time():
        return "again"
    until = datetime.fromtimestamp(ahead.not_before, UTC).isoformat(timespec="seconds")
    workspace.records.move(ticket_id, State.READY, f"{row.reason.partition(' (goes on at ')[0]} (goes on at {until})")
    workspace.records.note("ticket.waits", row.about, {"agent": ahead.agent, "until": until})
    while (left := ahead.not_before - time.time()) > 0:
        time.sleep(min(left, WAIT_S))
        if workspace.records.ticket(ticket_id).state is not State.READY:  # a person let go of it
            return "ended"
        if Room.current.shift and Room.current.shift.closing.is_set():  # another clone sits out the rest
            return "ended"
    return "again"


def land(ticket_id: str) -> str:
    """Ride the train: wait until the ticket has landed, is sent back, or is held."""
    return _guarded(lambda _, ticket: Room.current.station.board(ticket), ticket_id)


def _guarded(stage: Callable[[Workspace, str], str], ticket_id: str) -> str:
    """Turn what goes wrong into the end of the ticket: the other tickets go on."""
    shift = Room.current.shift
    try:
        with turn(shift, f"ticket:{ticket_id}"):
            step = patiently(lambda: _tried(stage, ticket_id))
    except FencedError:
        step = "ended"  # here: another clone has taken it over
    keep(Room.current.workspace, Room.current.workspace.records.ticket(ticket_id).feature)
    if shift and step in {"ended", "landed"}:
        shift.done(f"ticket:{ticket_id}")
    return step


def _tried(stage: Callable[[Workspace, str], str], ticket_id: str) -> str:
    workspace = Room.current.workspace
    step = tried(workspace.state, ticket_id, lambda: patiently(lambda: stage(workspace, ticket_id)))
    if isinstance(step, Trouble):
        kind = "could not be judged: " if step.exit == InconclusiveError.exit_code else ""
        _fail(workspace, ticket_id, f"{kind}{step.said}")
        step = "ended"
    return step


def _fail(workspace: Workspace, ticket_id: str, reason: str) -> None:
    try:
        workspace.records.move(ticket_id, State.FAILED, reason)
    except InputError:  # it had landed already; what went wrong came afterwards
        workspace.records.note("ticket.trouble", workspace.records.ticket(ticket_id).about, {"reason": reason})


def added(feature_id: str, started: list[str]) -> list[str]:
    """List the tickets that the lead added while the others ran, once those have ended."""
    patiently(lambda: _elsewhere(feature_id, started))
    return _led(feature_id, lambda: added_since(Room.current.workspace, feature_id, started)) or []


def _elsewhere(feature_id: str, tickets: list[str]) -> None:
    """At a shared queue, wait until all of these have ended, wherever they are worked on."""
    shift, records = Room.current.shift, Room.current.workspace.records
    while shift and shift.holds(f"feature:{feature_id}") and not shift.closing.is_set():
        if all(state in ENDS for state in records.states_of(tickets).values()):
            return
        time.sleep(SHARED_POLL_S)


def remember(feature_id: str) -> None:
    shift = Room.current.shift
    if shift and (shift.closing.is_set() or not shift.holds(f"feature:{feature_id}")):
        return shift.done(f"feature:{feature_id}")
    _led(feature_id, lambda: _remember(Room.current.workspace, feature_id))
    return shift.done(f"feature:{feature_id}") if shift else None


def _remember(workspace: Workspace, feature_id: str) -> None:
    if Room.current.shift:
        with suppress(WaitingError):  # what landed has landed; a person hears of it when the next ticket wants to begin
            follow(workspace)
    conclude(workspace, feature_id)
