"""What goes back to an agent after a refusal: findings first, the same failure recognised, another approach asked for in time."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from agents.assembling import fenced
from gates import reports
from gates.claims import sections
from memory.pages import add_dead_end
from tickets.errors import InputError
from worktrees.conflicts import hunks, meanwhile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memory.records import AttemptRow, TicketRow
    from orchestrator.workspace import Workspace
    from worktrees.conflicts import Meanwhile
    from worktrees.merge import Conflict

SAME_FAILURES = 3
"""The same failure so often in a row ends a ticket; one less asks for another approach."""
ANEW = "Nothing of it was kept: your tree starts anew, without any change."
WHOLE_FILES = "(the files as a whole: one side deleted, renamed or replaced what the other changed)"
GO_ON = "You were stopped before you had ended: {why}. Your tree is as you left it. Go on from there, and end with your report."


def evidence_of(report: dict[str, Any]) -> str:
    """Write the findings of a report for the agent that has to mend them: findings first, output below."""
    lines = []
    for gate in report["gates"]:
        if gate["verdict"] == "pass":
            continue
        lines.append(f"### {gate['name']}: {gate['reason']}")
        lines += [f"- {reports.finding_line(finding)}" for finding in _blocking(gate)[: reports.SHOWN]]
    return "\n".join(lines)


def signature(report: dict[str, Any]) -> str:
    """Name a failure by what refused it and where, without figures and lines, which move."""
    refused = [gate for gate in report["gates"] if gate["verdict"] != "pass"]
    found = {
        (gate["name"], one["rule"], one["path"] or "")
        for gate in refused
        for one in _blocking(gate) or [_nothing(gate)]
    }
    return hashlib.sha256(json.dumps(sorted(found)).encode()).hexdigest()


def _blocking(gate: dict[str, Any]) -> list[dict[str, Any]]:
    return [finding for finding in gate["findings"] if not finding["granted"]]


def _nothing(gate: dict[str, Any]) -> dict[str, Any]:
    return {"rule": gate["reason"], "path": ""}


def in_a_row(attempts: Sequence[AttemptRow]) -> int:
    """Count how often, at the end, the same failure came."""
    signatures = [(attempt.outcome or {}).get("signature") for attempt in reversed(attempts)]
    if not signatures or not signatures[0]:
        return 0
    return sum(1 for _ in takewhile(lambda one: one == signatures[0], signatures))


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the next attempt is told of the ones before."""

    evidence: str = ""
    tried: str = ""
    """What led to the same failure twice, where another approach is to be asked for."""


def for_next(attempts: Sequence[AttemptRow]) -> Told:
    """Tell what stands: why the last attempt ended, and the findings from before where that was no verdict on them."""
    evidence = "\n\n".join(_standing(attempts))
    counted = [attempt for attempt in attempts if attempt.counts]
    stubborn = in_a_row(counted) >= SAME_FAILURES - 1
    return Told(evidence=evidence, tried="\n".join(tried(counted)) if stubborn and evidence else "")


def _standing(attempts: Sequence[AttemptRow]) -> list[str]:
    since = takewhile(lambda one: one.state != "passed", reversed(attempts))
    told = [(one.counts, str(one.outcome["evidence"])) for one in since if one.outcome and one.outcome.get("evidence")]
    verdict = next((text for counts, text in told if counts), "")
    return list(dict.fromkeys(filter(None, (*(text for _, text in told[:1]), verdict))))


def tried(attempts: Sequence[AttemptRow]) -> list[str]:
    """Say in a line for each attempt what its agent did, by its own words."""
    return [f"{attempt.number}: {_summary(attempt)}" for attempt in attempts]


def _summary(attempt: AttemptRow) -> str:
    try:
        said = sections(str((attempt.outcome or {}).get("report") or "")).get("summary", "")
    except InputError:
        said = ""
    return " ".join(said.split())[:200] or "no summary was given"


def remember_dead_end(workspace: Workspace, row: TicketRow, attempts: Sequence[AttemptRow], failure: str) -> None:
    """Keep what did not work, so that the next plan knows it."""
    text = f"{row.id} {row.record.title}: {failure}; tried {'; '.join(tried(attempts))}"
    workspace.records.note("memory.dead-end", row.about, {"text": text})
    add_dead_end(workspace.root, workspace.policy.project.name, text)


# a merge that does not go by itself


def conflict_text(workspace: Workspace, row: TicketRow, conflict: Conflict, *, base: str, head: str) -> str:
    """Tell an agent what both sides want, and only the lines that are in conflict."""
    landed = meanwhile(workspace.repository, base=base, head=head, paths=conflict.paths)
    found = hunks(workspace.repository, conflict)
    theirs = [f"- {_intent(workspace, one)}" for one in landed] or ["- (nothing that can be named)"]
    return "\n".join(
        [
            f"conflict with the target at {head[:12]} in {', '.join(conflict.paths)}: {conflict.message}",
            "",
            "What landed meanwhile on these files, which has to stay:",
            *theirs,
            f"What your ticket wants: {row.record.objective}",
            "",
            "Your tree now starts from the new target, without your change. Make it there so that both intents hold. In conflict were:",
            "",
            fenced(found) if found else WHOLE_FILES,
        ]
    )


def _intent(workspace: Workspace, landed: Meanwhile) -> str:
    if not landed.ticket:
        return f"{landed.commit[:12]} {landed.title}"
    try:
        record = workspace.records.ticket(landed.ticket).record
    except InputError:  # of another clone, whose records are not ours
        return f"{landed.ticket}: {landed.title}"
    return f"{record.id} {record.title}: {record.objective}"
