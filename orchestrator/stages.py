"""The stages behind the pipeline's steps: each works on records, can be repeated, and ends its ticket rather than raising."""

from __future__ import annotations

import threading
import time
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.attempt import run_attempt
from orchestrator.debrief import conclude
from orchestrator.landing import land_ticket
from orchestrator.lead.followups import added_since
from orchestrator.lead.freezing import freeze, plan_of, wait_for_answers
from orchestrator.lead.progress import keep
from orchestrator.lead.rules import OpenQuestionsError
from orchestrator.recovery import course
from tickets.errors import InputError, SignalboxError
from tickets.states import ENDS, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.workspace import Workspace

POLL_S = 0.02
WAIT_S = 1.0


class Room:
    """What the stages of this process work on; there is one runner for each repository."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.places = threading.Semaphore(workspace.policy.dispatch.parallel)

    current: Room


def plan(feature_id: str) -> list[str]:
    """Plan the feature, unless it came with a plan; an impossible request ends it."""
    workspace = Room.current.workspace
    row = workspace.records.feature(feature_id)
    workspace.records.set_feature(feature_id, "running")
    try:
        ready = plan_of(workspace, row)
    except OpenQuestionsError as error:
        wait_for_answers(workspace, row, error.plan)
        return []
    except SignalboxError as error:
        outcome = {"message": str(error), "exit": error.exit_code}
        workspace.records.set_feature(feature_id, "invalid", outcome=outcome)
        keep(workspace, feature_id)
        return []
    ids = freeze(workspace, row, ready)
    return [row.id for row in workspace.records.tickets(feature_id) if row.id in ids and row.state not in ENDS]


def await_dependencies(ticket_id: str) -> str:
    """Wait until every dependency has landed; one that ends otherwise blocks the ticket."""
    records = Room.current.workspace.records
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
    _wait_for_turn(Room.current.workspace, ticket_id)
    with Room.current.places:
        return _guarded(run_attempt, ticket_id)


def _wait_for_turn(workspace: Workspace, ticket_id: str) -> None:
    """Sit out a quota or an overload without taking a place: the others go on meanwhile."""
    row = workspace.records.ticket(ticket_id)
    ahead = course(workspace.policy, row.record.role, workspace.records.attempts(ticket_id)[row.forgiven :])
    if row.state is not State.READY or ahead.not_before <= time.time():
        return
    until = datetime.fromtimestamp(ahead.not_before, UTC).isoformat(timespec="seconds")
    workspace.records.move(ticket_id, State.READY, f"{row.reason.partition(' (goes on at ')[0]} (goes on at {until})")
    while (left := ahead.not_before - time.time()) > 0:
        time.sleep(min(left, WAIT_S))


def land(ticket_id: str) -> str:
    return _guarded(land_ticket, ticket_id)


def _guarded(stage: Callable[[Workspace, str], str], ticket_id: str) -> str:
    """Turn what goes wrong into the end of the ticket: the other tickets go on."""
    workspace = Room.current.workspace
    try:
        return stage(workspace, ticket_id)
    except (SignalboxError, OSError) as error:
        reason = f"{type(error).__name__}: {error}" if isinstance(error, OSError) else str(error)
        kind = "could not be judged: " if getattr(error, "exit_code", 4) == 4 else ""  # noqa: PLR2004 - the exit code for inconclusive
        _fail(workspace, ticket_id, f"{kind}{reason}")
    except Exception as error:  # noqa: BLE001 - a process edge: a defect of ours ends one ticket, with a saved report
        file = workspace.state / "defects" / f"{ticket_id}-{int(time.time())}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(traceback.format_exc(), encoding="utf-8")
        _fail(workspace, ticket_id, f"a defect of Signalbox: {type(error).__name__}: {error} (see {file})")
    finally:
        keep(workspace, workspace.records.ticket(ticket_id).feature)
    return "ended"


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
