"""Commands that only look: `status`, `report`, `log`."""

from __future__ import annotations

import json as jsonlib
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from memory.records import FeatureRow, TicketRow, as_json, waiting_for
from orchestrator.commands.output import say, table
from orchestrator.money.books import of_day, of_feature, of_ticket
from orchestrator.workspace import Workspace
from tickets.errors import InputError
from tickets.states import State

if TYPE_CHECKING:
    from pathlib import Path

PASSES = ("worktree", "integrated")


def _looked_at(repo: Path) -> Workspace:
    """Open a repository that something was already done in; looking never writes."""
    workspace = Workspace.open(repo)
    if not workspace.database.exists:
        raise InputError('nothing was asked for here yet; begin with: orchestrate feature "..."')
    return workspace


def status(repo: Path, which: str | None, *, watch: bool, json: bool) -> int:
    workspace = Workspace.open(repo)
    if not workspace.database.exists:
        say(
            {"features": []},
            lambda: 'nothing was asked for here yet; begin with: orchestrate feature "..."',
            as_json=json,
        )
        return 0
    shown = ""
    while True:
        text, data = _status(workspace, which)
        if text != shown:
            say(data, lambda: text, as_json=json)  # noqa: B023 - said at once, in this very turn of the loop
            shown = text
        if not watch:
            return 0
        time.sleep(0.3)


def _status(workspace: Workspace, which: str | None) -> tuple[str, Any]:
    if which and which.startswith("T-"):
        row = workspace.records.ticket(which)
        return _ticket_text(workspace, row), _ticket_json(workspace, row)
    features = [workspace.records.feature(which)] if which else workspace.records.features()
    if not features:
        return "no feature was asked for yet", {"features": []}
    parts = [_feature_text(workspace, row) for row in features[-20:]]
    data = [_feature_json(workspace, row) for row in features]
    today = of_day(workspace)
    if today.total.runs:
        parts.append(f"today (UTC): {today}")
    return "\n\n".join(parts), {"features": data, "day": today.to_json()}


def _feature_json(workspace: Workspace, row: FeatureRow) -> dict[str, Any]:
    tickets = [_ticket_json(workspace, ticket) for ticket in workspace.records.tickets(row.id)]
    return {**as_json(row), "tickets": tickets, "spend": of_feature(workspace, row.id).to_json()}


def _ticket_json(workspace: Workspace, row: TicketRow) -> dict[str, Any]:
    spend = of_ticket(workspace, row).to_json()
    return {**as_json(row), "spend_usd": spend["usd"], "spend": spend}


def _feature_text(workspace: Workspace, feature: FeatureRow) -> str:
    rows = workspace.records.tickets(feature.id)
    count = Counter(row.state.value for row in rows)
    waiting = waiting_for(rows)
    said = ", ".join(f"{number} {state}" for state, number in count.items()) or "no tickets yet"
    spent = of_feature(workspace, feature.id)
    head = f"{feature.id} {_feature_state(feature)}: {feature.request}\n  {said}; {spent}"
    lines = table([(f"  {row.id}", row.state.value, row.record.title, _waits(row, waiting[row.id])) for row in rows])
    return f"{head}\n{lines}" if lines else head


def _feature_state(feature: FeatureRow) -> str:
    return str(feature.outcome["outcome"]) if feature.state == "ended" and feature.outcome else feature.state


def _waits(row: TicketRow, waits: list[str]) -> str:
    if row.state is State.READY and waits:
        return f"waits for {', '.join(waits)}"
    return "" if row.state is State.LANDED else row.reason


def _ticket_text(workspace: Workspace, row: TicketRow) -> str:
    attempts = workspace.records.attempts(row.id)
    lines = [f"{row.id} {row.state}: {row.record.title}"]
    lines += [f"  {row.reason}"] if row.reason else []
    for attempt in attempts:
        why = ((attempt.outcome or {}).get("evidence") or "").splitlines()
        lines.append(f"  attempt {attempt.number}: {attempt.state}" + (f" - {why[0]}" if why else ""))
    lines.append(f"  {of_ticket(workspace, row)}; next: orchestrate report {row.id}")
    return "\n".join(lines)


def report(repo: Path, ticket: str, *, form: str, attempt: int | None, stage: str | None) -> int:
    from gates.reports import FORMATS

    if form not in FORMATS:
        raise InputError(f"--format is one of {', '.join(FORMATS)}, not {form!r}")
    if stage is not None and stage not in PASSES:
        raise InputError(f"--pass is one of {', '.join(PASSES)}, not {stage!r}")
    workspace = _looked_at(repo)
    row = workspace.records.ticket(ticket)
    history = workspace.records.reports(ticket)
    fitting = [r for r in history if attempt in {None, r["attempt"]} and stage in {None, r["pass"]}]
    if not fitting:
        why = f" ({row.state}{': ' + row.reason if row.reason else ''})"
        raise InputError(f"{ticket} has no such report yet{why}")
    say(None, lambda: FORMATS[form](fitting[-1], history), as_json=False)
    return 0


def log(repo: Path, *, verify: bool, feature: str, json: bool) -> int:
    from memory.events import read
    from memory.events import verify as verify_chain

    workspace = _looked_at(repo)
    if verify:
        chain = verify_chain(workspace.database)
        data = {
            "events": chain.events,
            "intact": chain.broken_at is None,
            "broken_at": chain.broken_at,
            "reason": chain.reason,
        }
        text = f"{chain.events} events, the chain is intact" if chain.broken_at is None else f"BROKEN: {chain.reason}"
        say(data, lambda: text, as_json=json)
        return 0 if chain.broken_at is None else 1
    events = [event.to_json() for event in read(workspace.database, feature=feature)]
    say(events, lambda: "\n".join(_event_line(event) for event in events) or "no event yet", as_json=json)
    return 0


def _event_line(event: dict[str, Any]) -> str:
    about = " ".join(
        part for part in (event["feature"], event["ticket"], f"#{event['attempt']}" if event["attempt"] else "") if part
    )
    return f"{event['seq']:>5} {event['at']} {event['kind']:<20} {about:<18} {jsonlib.dumps(event['data'], sort_keys=True)[:200]}"
