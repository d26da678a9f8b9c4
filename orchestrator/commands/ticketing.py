"""`tickets ...`: ticket files by hand."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from memory.records import TicketRow, as_json
from orchestrator.commands.output import say, table
from orchestrator.workspace import Workspace
from tickets.errors import InputError
from tickets.files import read as read_ticket
from tickets.files import render
from tickets.model import Command, Scope, Ticket
from tickets.states import State

if TYPE_CHECKING:
    from pathlib import Path


def show_all(repo: Path, *, json: bool) -> int:
    workspace = Workspace.open(repo)
    rows = workspace.records.tickets() if workspace.database.exists else []
    text = table(
        [
            (row.id, row.feature, row.state.value, row.record.title, "" if row.state is State.LANDED else row.reason)
            for row in rows
        ]
    )
    say([as_json(row) for row in rows], lambda: text or "no ticket yet", as_json=json)
    return 0


def show(repo: Path, ticket: str, *, json: bool) -> int:
    workspace = Workspace.open(repo)
    row = workspace.records.ticket(ticket)
    attempts = workspace.records.attempts(ticket)
    data = {**as_json(row), "attempts": [as_json(attempt) for attempt in attempts]}
    say(data, lambda: f"{render(row.record)}\n---\n{row.state} (revision {row.revision}) {row.reason}", as_json=json)
    return 0


def new(repo: Path, title: str, *, json: bool) -> int:
    workspace = Workspace.open(repo)
    workspace.prepare()
    draft = Ticket(
        id="T-0000",
        title=title,
        objective="Say in one sentence what is true when this is done.",
        non_goals=("what this ticket does not do",),
        scope=Scope(new=("path/of/a/new/file",)),
        acceptance=(Command(run=("python", "-m", "pytest", "path/of/a/test"), timeout_s=300),),
        context="What the executor has to know.",
    )
    folder = workspace.state / "tickets"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"new-{draft.slug.removeprefix('t-0000-')}.md"
    if file.exists():
        raise InputError(f"{file} exists already; fill it in, or remove it")
    file.write_text(render(draft), encoding="utf-8")
    say({"file": str(file)}, lambda: f"{file}\nnext: edit it, then orchestrate feature --plan {file}", as_json=json)
    return 0


def lint_file(repo: Path, file: Path, *, json: bool) -> int:
    from orchestrator.planning import read_plan_file

    workspace = Workspace.open(repo)
    base = workspace.head()
    plan = read_plan_file(workspace, file, base)
    data = {"file": str(file), "tickets": [draft.key for draft in plan.tickets], "notes": list(plan.notes)}
    say(data, lambda: "\n".join([f"{file}: nothing is wrong", *plan.notes]), as_json=json)
    return 0


def retry(repo: Path, ticket: str, *, json: bool) -> int:
    from orchestrator.commands.features import see_through, wake_blocked

    workspace = Workspace.open(repo)
    workspace.prepare()
    row = workspace.records.ticket(ticket)
    if row.state not in {State.REJECTED, State.FAILED, State.BLOCKED, State.ABANDONED}:
        raise InputError(f"{ticket} is {row.state}; only a ticket that ended without landing can be sent again")
    _take_edits(workspace, row)
    workspace.records.send_again(ticket)
    wake_blocked(workspace, row.feature)
    if workspace.records.feature(row.feature).state == "ended":
        workspace.records.reopen(row.feature)
    return see_through(workspace, row.feature, json=json)


def ticket_file(workspace: Workspace, row: TicketRow) -> Path:
    return workspace.state / "tickets" / f"{row.id}{row.record.slug[len(row.id) :]}.md"


def _take_edits(workspace: Workspace, row: TicketRow) -> None:
    """Make an edited ticket file the ticket's next revision."""
    file = ticket_file(workspace, row)
    if file.is_file():
        edited = read_ticket(file.read_text(encoding="utf-8"), os.path.relpath(file, workspace.root))
        if (edited.id, edited.feature) != (row.id, row.feature):
            raise InputError(
                f"{file} names {edited.id} of {edited.feature or 'no feature'}, not {row.id} of {row.feature}"
            )
        workspace.records.revise(edited)


def abandon(repo: Path, ticket: str, *, json: bool) -> int:
    from orchestrator.keeping import end

    workspace = Workspace.open(repo)
    workspace.records.move(ticket, State.ABANDONED, "by a person")
    end(workspace, ticket)
    say(
        as_json(workspace.records.ticket(ticket)),
        lambda: f"{ticket} is abandoned; its attempts stay archived",
        as_json=json,
    )
    return 0
