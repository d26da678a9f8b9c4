"""`grants`, `approve`, `deny`: what waits for a person, and the answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from memory.grants import Answer, GrantRow
from orchestrator.commands.output import say, table
from orchestrator.granting import person
from orchestrator.workspace import Workspace
from tickets.errors import InputError
from tickets.states import State

if TYPE_CHECKING:
    from pathlib import Path

DAYS = 7.0
LONGEST_DAYS = 90.0


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the command line says about one request."""

    approved: bool
    reason: str
    days: float = DAYS
    later: bool = False
    """Record it only; the ticket goes on with the next run."""


def show_all(repo: Path, *, everything: bool, json: bool) -> int:
    workspace = Workspace.open(repo)
    rows = workspace.grants.of() if workspace.database.exists else []
    shown = [row for row in rows if everything or row.state == "waiting"]
    say([_as_json(row) for row in shown], lambda: _text(shown), as_json=json)
    return 0


def _as_json(row: GrantRow) -> dict[str, str]:
    return {**asdict(row), "state": _state(row)}


def _state(row: GrantRow) -> str:
    return "expired" if row.state == "approved" and not row.stands else row.state


def _text(rows: list[GrantRow]) -> str:
    if not rows:
        return "nothing waits for a person"
    lines = [table([(row.id, row.ticket, row.kind, row.subject, _told(row)) for row in rows])]
    if waiting := [row for row in rows if row.state == "waiting"]:
        lines += [
            "",
            f"next: orchestrate approve {waiting[0].id} --reason WHY",
            f"      orchestrate deny {waiting[0].id} --reason WHY",
        ]
    return "\n".join(lines)


def _told(row: GrantRow) -> str:
    if row.state == "waiting":
        return f"waits: {row.why}"
    until = f" until {row.expires_at[:16]}" if row.stands else ""
    return f"{_state(row)}{until} by {row.person}: {row.reason}"


def decide(repo: Path, grant: str, decision: Decision, *, json: bool) -> int:
    from orchestrator.commands.features import see_through

    workspace = Workspace.open(repo)
    if not decision.reason.strip():
        raise InputError("say why: --reason WHY stays in the log, in the report and in the landing's note")
    if not 0 < decision.days <= LONGEST_DAYS:
        raise InputError(f"--days is a time up to {LONGEST_DAYS:g} days, not {decision.days:g}")
    workspace.prepare()
    row = workspace.grants.get(grant)
    ticket = workspace.records.ticket(row.ticket)
    if ticket.state in {State.LANDED, State.ABANDONED}:
        raise InputError(f"{row.ticket} is {ticket.state}; nothing of it waits for {grant} any more")
    answer = Answer(
        approved=decision.approved,
        person=person(workspace),
        reason=" ".join(decision.reason.split()),
        days=decision.days,
    )
    decided = workspace.grants.decide(grant, answer, ticket.about)
    if decision.later or not _wake(workspace, decided) or not ticket.feature:
        say(_as_json(decided), lambda: f"{decided.id} is {decided.state}; {_next(workspace, decided)}", as_json=json)
        return 0
    return see_through(workspace, ticket.feature, json=json)


def _wake(workspace: Workspace, decided: GrantRow) -> bool:
    """Send the ticket on its way once nothing of it is undecided; the stages find out what the answers mean."""
    ticket = workspace.records.ticket(decided.ticket)
    if ticket.state is not State.BLOCKED or any(row.state == "waiting" for row in workspace.grants.of(ticket.id)):
        return False
    from orchestrator.commands.features import wake_blocked

    workspace.records.move(ticket.id, State.READY, f"{decided.id} was {decided.state}")
    wake_blocked(workspace, ticket.feature)
    if workspace.records.feature(ticket.feature).state == "ended":
        workspace.records.reopen(ticket.feature)
    return True


def _next(workspace: Workspace, decided: GrantRow) -> str:
    others = [row.id for row in workspace.grants.of(decided.ticket) if row.state == "waiting"]
    if others:
        return f"{decided.ticket} still waits for {', '.join(others)}"
    feature = workspace.records.ticket(decided.ticket).feature
    return f"{decided.ticket} goes on with the next run: orchestrate resume {feature}"
