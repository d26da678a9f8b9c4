"""Asks every gate about one case. All of them run: the report names everything that is wrong at once."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gates.protocol import key
from gates.verdict import Answer, Verdict, inconclusive, worst
from tickets.errors import CancelledError
from tickets.grants import blanket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gates.protocol import Case, Gate
    from gates.verdict import Finding
    from tickets.grants import Grant


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What one gate said about one case."""

    name: str
    verdict: Verdict
    cached: bool
    seconds: float


def judge(
    case: Case,
    gates: Mapping[str, Gate],
    *,
    tell: Callable[[str], None] = lambda _name: None,
    whole: Case | None = None,
) -> tuple[Judged, ...]:
    """Ask the gates in their order; `tell` hears the name of each before it is asked.

    `whole` is what gates on the tree are asked, where the change is judged together with others on one tree.
    """
    results: list[Judged] = []
    for gate in gates.values():
        tell(gate.name)
        receipts = tuple((receipt.command, receipt.exit) for result in results for receipt in result.verdict.receipts)
        asked = whole if whole and gate.judges == "tree" else case
        results.append(_ask(gate, replace(asked, known_receipts=receipts)))
        if gate.judges == "tree" and results[-1].verdict.answer is Answer.FAIL:
            case.workshop.failing()
    return tuple(results)


def overall(results: tuple[Judged, ...]) -> Answer:
    return worst(result.verdict.answer for result in results)


def _ask(gate: Gate, case: Case) -> Judged:
    started = time.monotonic()
    identity = key(gate, case)
    if known := case.store.get(identity):
        verdict = lifted(Verdict.from_json(known), case)
        return Judged(name=gate.name, verdict=verdict, cached=True, seconds=time.monotonic() - started)
    try:
        verdict = gate.verify(case)
    except CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 - a process edge: a gate that crashes has not judged, whoever wrote it
        verdict = inconclusive(f"the gate itself broke: {type(error).__name__}: {error}")
    case.workshop.cancelled.check()  # a gate may have taken the end of its command for an answer
    if verdict.answer is not Answer.INCONCLUSIVE:
        case.store.put(identity, verdict.to_json())
    return Judged(name=gate.name, verdict=lifted(verdict, case), cached=False, seconds=time.monotonic() - started)


def lifted(verdict: Verdict, case: Case) -> Verdict:
    """Let findings that a person permitted block no more; they stay in the report, with the grant that lifted them."""
    if not case.grants or not case.ticket or verdict.answer is not Answer.FAIL:
        return verdict
    known = {grant.identity: grant for grant in case.grants if grant.in_force()}
    findings = tuple(_marked(finding, known, case.ticket.sha256) for finding in verdict.findings)
    used = sorted({finding.granted for finding in findings if finding.granted})
    if not used:
        return verdict
    left = [finding for finding in findings if not finding.granted]
    if left:
        return replace(verdict, findings=findings)
    people = ", ".join(f"{known_by.id} by {known_by.person}" for known_by in case.grants if known_by.id in used)
    return replace(verdict, answer=Answer.PASS, reason=f"granted: {people} ({verdict.reason})", findings=findings)


def _marked(finding: Finding, known: Mapping[str, Grant], ticket: str) -> Finding:
    needs = (finding.need, blanket(finding.need.kind)) if finding.need else ()
    grant = next((known[one] for one in (need.identity(ticket) for need in needs) if one in known), None)
    return replace(finding, granted=grant.id) if grant else finding
