"""The stages behind the pipeline's steps: each works on records, can be repeated, and ends its ticket rather than raising."""

from __future__ import annotations

import threading
import time
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from orchestrator.attempt import run_attempt
from orchestrator.debrief import conclude
from orchestrator.landing import land_ticket
from orchestrator.lead.followups import added_since
from orchestrator.lead.freezing import freeze, plan_of, wait_for_answers
from orchestrator.lead.progress import keep
from orchestrator.lead.rules import OpenQuestionsError
from orchestrator.recovery import course
from tickets.errors import InconclusiveError, InputError, SignalboxError
from tickets.states import ENDS, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.workspace import Workspace

POLL_S = 0.02
WAIT_S = 1.0
DEFECT = 70
T = TypeVar("T")


class Room:
    """What the stages of this process work on; there is one runner for each repository."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.places = threading.Semaphore(workspace.policy.dispatch.parallel)

    current: Room


def plan(feature_id: str) -> list[str]:
    """Plan the feature, unless it came with a plan; an impossible request ends it."""
    workspace = Room.current.workspace
    workspace.records.set_feature(feature_id, "running")
    found = _tried(workspace, feature_id, lambda: _planned(workspace, feature_id))
    if not isinstance(found, _Trouble):
        return found
    workspace.records.set_feature(feature_id, "invalid", outcome={"message": found.said, "exit": found.exit})
    keep(workspace, feature_id)
    return []


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
        return _guarded(run_attempt, ticket_id)


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
    return "again"


def land(ticket_id: str) -> str:
    return _guarded(land_ticket, ticket_id)


def _guarded(stage: Callable[[Workspace, str], str], ticket_id: str) -> str:
    """Turn what goes wrong into the end of the ticket: the other tickets go on."""
    workspace = Room.current.workspace
    step = _tried(workspace, ticket_id, lambda: stage(workspace, ticket_id))
    if isinstance(step, _Trouble):
        kind = "could not be judged: " if step.exit == InconclusiveError.exit_code else ""
        _fail(workspace, ticket_id, f"{kind}{step.said}")
        step = "ended"
    keep(workspace, workspace.records.ticket(ticket_id).feature)
    return step


@dataclass(frozen=True, kw_only=True)
class _Trouble:
    """What went wrong in a stage."""

    said: str
    exit: int


def _tried(workspace: Workspace, about: str, work: Callable[[], T]) -> T | _Trouble:
    """Let nothing out: the engine would take an error for the end of the run, and whoever waits for it would wait for ever."""
    try:
        return work()
    except SignalboxError as error:
        return _Trouble(said=str(error), exit=error.exit_code)
    except OSError as error:
        return _Trouble(said=f"{type(error).__name__}: {error}", exit=InconclusiveError.exit_code)
    except Exception as error:  # noqa: BLE001 - a process edge: a defect of ours ends one ticket or feature, with a saved report
        file = workspace.state / "defects" / f"{about}-{int(time.time())}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(traceback.format_exc(), encoding="utf-8")
        return _Trouble(said=f"a defect of Signalbox: {type(error).__name__}: {error} (see {file})", exit=DEFECT)


def _fail(workspace: Workspace, ticket_id: str, reason: str) -> None:
    try:
        workspace.records.move(ticket_id, State.FAILED, reason)
    except InputError:  # it had landed already; what went wrong came afterwards
        workspace.records.note("ticket.trouble", workspace.records.ticket(ticket_id).about, {"reason": reason})


def added(feature_id: str, started: list[str]) -> list[str]:
    """List the tickets that the lead added while the others ran."""
    return added_since(Room.current.workspace, feature_id, started)


def remember(feature_id: str) -> None:
    conclude(Room.current.workspace, feature_id)
