"""The stages behind the pipeline's steps: each works on records, can be repeated, and ends its ticket rather than raising."""

from __future__ import annotations

import threading
import time
import traceback
from typing import TYPE_CHECKING

from orchestrator.attempt import run_attempt
from orchestrator.debrief import conclude
from orchestrator.landing import land_ticket
from orchestrator.planning import make_plan
from tickets.errors import InputError, SignalboxError
from tickets.plan import Plan
from tickets.states import ENDS, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.workspace import Workspace

POLL_S = 0.02


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
        given = row.plan or row.options.get("plan")
        ready = Plan.model_validate(given) if given else make_plan(workspace, row.request, row.before)
    except SignalboxError as error:
        outcome = {"message": str(error), "exit": error.exit_code}
        workspace.records.set_feature(feature_id, "invalid", outcome=outcome)
        return []
    ids = workspace.records.set_plan(feature_id, ready)
    write_ticket_files(workspace, feature_id)
    return [row.id for row in workspace.records.tickets(feature_id) if row.id in ids and row.state not in ENDS]


def write_ticket_files(workspace: Workspace, feature_id: str) -> None:
    from tickets.files import render

    folder = workspace.state / "tickets"
    folder.mkdir(parents=True, exist_ok=True)
    for row in workspace.records.tickets(feature_id):
        (folder / f"{row.record.id}{row.record.slug[len(row.id) :]}.md").write_text(
            render(row.record), encoding="utf-8"
        )


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
    """Make one attempt when there is a place for it."""
    with Room.current.places:
        return _guarded(run_attempt, ticket_id)


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
    return "ended"


def _fail(workspace: Workspace, ticket_id: str, reason: str) -> None:
    try:
        workspace.records.move(ticket_id, State.FAILED, reason)
    except InputError:  # it had landed already; what went wrong came afterwards
        workspace.records.note("ticket.trouble", workspace.records.ticket(ticket_id).about, {"reason": reason})


def remember(feature_id: str) -> None:
    conclude(Room.current.workspace, feature_id)
