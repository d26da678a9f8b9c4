"""When a ticket waits for a person: what is asked, and what an answer changes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from gates.builtin.cost import asked_beforehand
from gates.claims import sections
from gates.verdict import finding_from_json
from memory.grants import Answer
from tickets.grants import BLANKETS, KINDS, Kind, blanket, limit_need
from tickets.states import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gates.verdict import Finding
    from memory.grants import GrantRow
    from memory.records import TicketRow
    from orchestrator.workspace import Workspace

SECTION = "Grant Requests"
UNMENDABLE = frozenset({"spend", "known-red"})
"""No agent can do anything about these: a person is asked at once."""
BEFOREHAND = "cost.asks"
"""The one rule that `feature --yes` accepts in advance: spending below the tier that wants a reason."""
BEFOREHAND_DAYS = 1.0


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Where a ticket stays, and why."""

    state: State
    reason: str


def before_work(workspace: Workspace, row: TicketRow) -> Hold | None:
    """Ask for what the ticket itself says it needs; say why it cannot start, or None."""
    widened = workspace.policy_at(workspace.head()).limits.widened_by(row.record.limits)
    kinds = [kind for kind in get_args(Kind) if kind in row.record.requires and kind in BLANKETS]
    needs = {blanket(kind): f"the ticket asks for the grant {kind}" for kind in kinds}
    needs |= {limit_need(name, value): f"the ticket widens {name} to {value}" for name, value in widened.items()}
    spending = _spending(workspace, row)
    rows = workspace.grants.ask(row, (*needs.items(), *((one.need, one.message) for one in spending if one.need)))
    rows = [_beforehand(workspace, row, one, _rules(spending)) for one in rows]
    if hopeless := [one.message for one in spending if one.need is None]:
        return Hold(state=State.REJECTED, reason=hopeless[0])
    if denied := [one for one in rows if one.state == "denied"]:
        return Hold(state=State.REJECTED, reason=_refusals(denied))
    return _waiting(rows)


def after_refusal(workspace: Workspace, row: TicketRow, report: dict[str, Any], said: str | None) -> Hold | None:
    """Ask a person where nothing but a permission is missing; None where the agent has to mend something."""
    if report["verdict"] != "fail":
        return None
    findings = [one for gate in report["gates"] if gate["verdict"] == "fail" for one in _blocking(gate)]
    needs = {one.need: one for one in findings if one.need}
    wanted = _requested(said or "") | UNMENDABLE | frozenset(row.record.requires)
    if not needs or any(one.need is None or one.need.kind not in wanted for one in findings):
        return None
    rows = workspace.grants.ask(row, ((need, one.message) for need, one in needs.items()))
    rows = [_beforehand(workspace, row, one, _rules(needs.values())) for one in rows]
    return None if any(one.state == "denied" for one in rows) else _waiting(rows)


def _spending(workspace: Workspace, row: TicketRow) -> list[Finding]:
    """Say what of the ticket's paid compute a person has to agree to, before anybody works on it; raise where it has no price."""
    policy = workspace.policy_at(workspace.head())
    text = workspace.repository.read(workspace.head(), policy.cost.rates)
    return asked_beforehand(row.record, policy, None if text is None else text.decode(errors="replace"))


def _rules(findings: Iterable[Finding]) -> dict[str, str]:
    return {one.need.subject: one.rule for one in findings if one.need}


def _blocking(gate: dict[str, Any]) -> Iterator[Finding]:
    found = [finding_from_json(finding) for finding in gate["findings"]]
    yield from (one for one in found if not one.granted)


def _requested(said: str) -> frozenset[str]:
    """List the kinds of grant that an agent's report asks for."""
    text = sections(said).get(SECTION.lower(), "")
    return frozenset(re.findall(r"^\s*[-*]\s*`?([a-z-]+)`?\s*:", text, re.MULTILINE)) & frozenset(KINDS)


def _beforehand(workspace: Workspace, row: TicketRow, asked: GrantRow, rules: Mapping[str, str]) -> GrantRow:
    """Accept what the person accepted when the feature was asked for."""
    accepted = workspace.records.feature(row.feature).options.get("yes") if row.feature else False
    if asked.state != "waiting" or not accepted or rules.get(asked.subject) != BEFOREHAND:
        return asked
    answer = Answer(approved=True, person=person(workspace), reason="accepted with --yes", days=BEFOREHAND_DAYS)
    return workspace.grants.decide(asked.id, answer, row.about)


def _waiting(rows: list[GrantRow]) -> Hold | None:
    waiting = [one for one in rows if one.state == "waiting"]
    if not waiting:
        return None
    names = ", ".join(f"{one.id} ({one.kind}: {one.subject})" for one in waiting)
    reason = f"waits for a person: {names}; next: orchestrate approve {waiting[0].id} --reason WHY"
    return Hold(state=State.BLOCKED, reason=reason)


def hint(workspace: Workspace, row: TicketRow, report: dict[str, Any]) -> str:
    """Tell the agent what a person refused, and how to ask where what it did could be permitted."""
    lines = (
        [_refusals(denied)] if (denied := [one for one in workspace.grants.of(row.id) if one.state == "denied"]) else []
    )
    kinds = {one.need.kind for gate in report["gates"] for one in _blocking(gate) if one.need}
    if kinds:
        lines.append(
            f"Where it cannot be done otherwise, ask a person in your report under `## {SECTION}`, "
            f"one line each: `- kind: why` (kinds that would help here: {', '.join(sorted(kinds))})."
        )
    return "\n".join(lines)


def _refusals(denied: list[GrantRow]) -> str:
    return "; ".join(f"{one.id} ({one.kind}: {one.subject}) was denied by {one.person}: {one.reason}" for one in denied)


def person(workspace: Workspace) -> str:
    """Name the person at the keyboard as git does."""
    identity = workspace.repository.identity()
    return f"{identity.name} <{identity.email}>"
