"""`status`: where everything is, what it waits for, what it has spent; with `--watch` a page that follows the merge train."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memory.records import FeatureRow, TicketRow, as_json, waiting_for
from orchestrator.commands.output import say, table
from orchestrator.money.books import of_day, of_feature, of_ticket
from orchestrator.telling.cursors import troubles
from orchestrator.workspace import Workspace
from tickets.states import State

if TYPE_CHECKING:
    from pathlib import Path

ENDED_SHOWN = 10
"""Ended features of which there is a line."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asked for."""

    which: str | None
    """A feature or a ticket."""
    watch: bool
    everything: bool


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    """The features that are shown, oldest first."""

    left_out: int
    lines: list[FeatureRow]
    full: list[FeatureRow]


def status(repo: Path, wanted: Wanted, *, json: bool) -> int:
    workspace = Workspace.open(repo)
    if not workspace.database.exists and not (wanted.watch and not json):
        nothing = 'nothing was asked for here yet; begin with: orchestrate feature "..."'
        say({"features": []}, lambda: nothing, as_json=json)
        return 0
    if wanted.watch:
        from orchestrator.telling.watch import watch

        return watch(workspace, json=json)
    if wanted.which and wanted.which.startswith("T-"):
        row = workspace.records.ticket(wanted.which)
        say(_ticket_json(workspace, row), lambda: _ticket_text(workspace, row), as_json=json)
        return 0
    chosen = _choose(workspace, wanted)
    data = _overview_json(workspace, chosen) if json else None  # of a thousand tickets it takes longer than the text
    say(data, lambda: _overview_text(workspace, chosen), as_json=json)
    return 0


def _choose(workspace: Workspace, wanted: Wanted) -> _Chosen:
    """Open features and the newest one are shown in full, the last ended ones as a line, all others are counted."""
    records = workspace.records
    if wanted.which:
        return _Chosen(left_out=0, lines=[], full=[records.feature(wanted.which)])
    if wanted.everything:
        return _Chosen(left_out=0, lines=[], full=records.features())
    ended, number = records.ended_features(ENDED_SHOWN)
    open_ = records.open_features()
    full = open_ or ended[-1:]
    lines = [row for row in ended if row not in full]
    return _Chosen(left_out=number - len(ended), lines=lines, full=full)


def _overview_text(workspace: Workspace, chosen: _Chosen) -> str:
    if not chosen.full:
        return "no feature was asked for yet"
    from orchestrator.telling.board import in_brief

    today = of_day(workspace)
    lines = [_line(workspace, row) for row in chosen.lines]
    lines[:0] = [f"{chosen.left_out} more that ended (orchestrate status --all)"] if chosen.left_out else []
    parts = ["\n".join(lines)] if lines else []
    parts += [_feature_text(workspace, row) for row in chosen.full]
    parts += [train] if (train := in_brief(workspace)) else []
    parts += [f"not told: {one['hook']}: {one['reason']} (since {one['at']})" for one in troubles(workspace.state)]
    parts += [f"today (UTC): {today}"] if today.total.runs else []
    return "\n\n".join(parts)


def _overview_json(workspace: Workspace, chosen: _Chosen) -> dict[str, Any]:
    if not chosen.full:
        return {"features": []}
    features = [_feature_json(workspace, row) for row in sorted((*chosen.lines, *chosen.full), key=_number)]
    day = of_day(workspace).to_json()
    return {"features": features, "left_out": chosen.left_out, "day": day, "hooks": troubles(workspace.state)}


def _number(row: FeatureRow) -> int:
    return int(row.id[2:])


def _feature_json(workspace: Workspace, row: FeatureRow) -> dict[str, Any]:
    tickets = [_ticket_json(workspace, ticket) for ticket in workspace.records.tickets(row.id)]
    return {**as_json(row), "tickets": tickets, "spend": of_feature(workspace, row.id).to_json()}


def _ticket_json(workspace: Workspace, row: TicketRow) -> dict[str, Any]:
    spend = of_ticket(workspace, row).to_json()
    return {**as_json(row), "spend_usd": spend["usd"], "spend": spend}


def _counted(count: dict[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in count.items()) or "no tickets yet"


def _line(workspace: Workspace, feature: FeatureRow) -> str:
    count = _counted(workspace.records.states(feature.id))
    return f"{feature.id} {feature_state(feature)}: {feature.request} ({count}; {of_feature(workspace, feature.id)})"


def _feature_text(workspace: Workspace, feature: FeatureRow) -> str:
    rows = workspace.records.tickets(feature.id)
    count = _counted(Counter(row.state.value for row in rows))
    waiting = waiting_for(rows)
    head = f"{feature.id} {feature_state(feature)}: {feature.request}\n  {count}; {of_feature(workspace, feature.id)}"
    lines = table([(f"  {row.id}", row.state.value, row.record.title, _waits(row, waiting[row.id])) for row in rows])
    return f"{head}\n{lines}" if lines else head


def feature_state(feature: FeatureRow) -> str:
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
