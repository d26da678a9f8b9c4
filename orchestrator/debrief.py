"""What a feature came to: its outcome for scripts, and its entry in the project's memory, both from receipts."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory.events import About
from memory.pages import Entry, write
from orchestrator.lead.progress import keep
from orchestrator.money.books import spend_usd
from tickets.states import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memory.records import FeatureRow, TicketRow
    from orchestrator.workspace import Workspace

INCONCLUSIVE = "could not be judged"


def conclude(workspace: Workspace, feature_id: str) -> None:
    """End the feature: outcome, memory entry. Repeating it replaces the entry by the same one."""
    feature = workspace.records.feature(feature_id)
    if feature.state in {"invalid", "waiting"}:
        return
    outcome = outcome_of(workspace, feature)
    entry = entry_of(workspace, feature, outcome)
    try:
        outcome["memory"] = str(write(workspace.root, workspace.policy.project.name, entry))
    except OSError as error:  # what landed has landed
        workspace.records.note("memory.trouble", About(feature=feature_id), {"reason": str(error)})
    workspace.records.set_feature(feature_id, "ended", outcome=outcome)
    keep(workspace, feature_id)


def outcome_of(workspace: Workspace, feature: FeatureRow) -> dict[str, Any]:
    """Give the document of `feature --json`."""
    rows = workspace.records.tickets(feature.id)
    began = datetime.fromisoformat(feature.created_at)
    ended = datetime.fromisoformat(feature.ended_at) if feature.ended_at else datetime.now(UTC)
    return {
        "feature": feature.id,
        "request": feature.request,
        "outcome": _word(feature, rows),
        "tickets": [_ticket(workspace, row) for row in rows],
        "target": {
            "branch": feature.target,
            "before": feature.before,
            "after": workspace.repository.commit(f"refs/heads/{feature.target}"),
        },
        "spend_usd": spend_usd(workspace, feature=feature.id),
        "seconds": round((ended - began).total_seconds(), 3),
    }


def _word(feature: FeatureRow, rows: list[TicketRow]) -> str:
    states = Counter(row.state for row in rows)
    if feature.state not in {"ended", "running"} and not rows:
        return "planned"
    if states[State.LANDED] == len(rows):
        return "landed"
    own_trouble = [row for row in rows if row.state is not State.LANDED and not row.reason.startswith("waits for T-")]
    if own_trouble and all(row.state is State.BLOCKED for row in own_trouble):
        return "waiting"
    return "partial" if states[State.LANDED] else "refused"


def _ticket(workspace: Workspace, row: TicketRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "title": row.record.title,
        "state": row.state.value,
        "reason": row.reason,
        "attempts": len(workspace.records.attempts(row.id)),
        "base": row.base,
        "head": row.head,
        "landed": row.landed,
        "verdict": row.verdict,
        "worktree": row.worktree,
        "spend_usd": spend_usd(workspace, ticket=row.id),
    }


def exit_code(outcome: dict[str, Any]) -> int:
    """Give the exit code of a feature: what a gate or an agent refused outweighs what waits or could not be judged."""
    open_tickets = [ticket for ticket in outcome["tickets"] if ticket["state"] != "landed"]
    own = [ticket for ticket in open_tickets if not ticket["reason"].startswith("waits for T-")]
    if not open_tickets:
        return 0
    if all(ticket["state"] == "blocked" for ticket in own):
        return 3
    judged = [
        ticket for ticket in own if not ticket["reason"].startswith(INCONCLUSIVE) and ticket["state"] != "blocked"
    ]
    return 1 if judged else 4


# the entry for people


def entry_of(workspace: Workspace, feature: FeatureRow, outcome: dict[str, Any]) -> Entry:
    rows = workspace.records.tickets(feature.id)
    figures = [line for row in rows for line in _figures(workspace, row)]
    landed = [row for row in rows if row.state is State.LANDED]
    return Entry(
        feature=feature.id,
        title=feature.request,
        date=feature.created_at[:10],
        grade="E1" if any("decision " in line for line in figures) else "E2" if figures else "E3",
        result=(*(_result(workspace, row) for row in rows), *figures),
        decision=_decision(outcome, len(landed), len(rows)),
        learnings=tuple(_learnings(workspace, rows)),
        next=tuple(f"{row.id}: {row.reason}" for row in rows if row.state is not State.LANDED),
    )


def _result(workspace: Workspace, row: TicketRow) -> str:
    attempts = workspace.records.attempts(row.id)
    tried = f"{len(attempts)} attempt{'s' * (len(attempts) != 1)}"
    if row.state is State.LANDED:
        return f"{row.id} {row.record.title}: landed as {(row.landed or '')[:12]} after {tried}; {_measured(workspace, row)}"
    return f"{row.id} {row.record.title}: {row.state} after {tried}"


def _measured(workspace: Workspace, row: TicketRow) -> str:
    reports = [report for report in workspace.records.reports(row.id) if report.get("pass") == "integrated"]
    gates = reports[-1]["gates"] if reports else []
    said = [gate["reason"] for gate in gates if gate["name"] == "tests"]
    return f"{len(gates)} gates passed{f' ({said[0]})' if said else ''}"


def _figures(workspace: Workspace, row: TicketRow) -> Iterable[str]:
    """Take figures from the last line of JSON that an acceptance command printed: measured, not claimed."""
    reports = workspace.records.reports(row.id)
    gates = [gate for report in reports[-1:] for gate in report["gates"] if gate["name"] in {"acceptance", "smoke"}]
    for receipt in (receipt for gate in gates for receipt in gate["receipts"]):
        if data := _last_json(Path(receipt["log"])):
            shown = {**({"decision": data["decision"]} if "decision" in data else {}), **data["figures"]}
            yield f"`{receipt['command']}`: " + ", ".join(f"{name} {_short(value)}" for name, value in shown.items())


def _last_json(log: Path) -> dict[str, Any] | None:
    lines = log.read_text(errors="replace").strip().splitlines() if log.is_file() else []
    for line in reversed(lines):
        if line.startswith("{"):
            try:
                data = json.loads(line)
            except json.JSONDecodeError:
                return None
            return data if isinstance(data, dict) and isinstance(data.get("figures"), dict) else None
    return None


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _decision(outcome: dict[str, Any], landed: int, asked: int) -> str:
    if outcome["outcome"] == "landed":
        return f"kept: all {asked} tickets are on {outcome['target']['branch']}"
    return f"{outcome['outcome']}: {landed} of {asked} tickets are on {outcome['target']['branch']}"


def _learnings(workspace: Workspace, rows: list[TicketRow]) -> Iterable[str]:
    for row in rows:
        for attempt in workspace.records.attempts(row.id):
            # a pause for the model's service is no lesson of the project
            if attempt.state != "interrupted" and (evidence := (attempt.outcome or {}).get("evidence")):
                first = evidence.splitlines()[0].lstrip("# ")
                yield f"{row.id} attempt {attempt.number} was {attempt.state}: {first}"
