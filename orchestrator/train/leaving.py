"""When a change leaves the train without having landed: sent back with the evidence, held for a person, or not judged at all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.feedback import conflict_text, evidence_of, signature
from orchestrator.granting import after_refusal
from tickets.states import State

if TYPE_CHECKING:
    from orchestrator.train.cars import Car, Clash
    from orchestrator.workspace import Workspace

KNOWN_RED = "known-red"


def refused(workspace: Workspace, car: Car, report: dict[str, Any], why: str) -> None:
    """Send a guilty change back with the findings, or hold it where only a permission is missing."""
    said = (car.attempt.outcome or {}).get("report")
    if hold := after_refusal(workspace, car.row, report, said):
        workspace.records.move(car.id, hold.state, hold.reason, verdict="fail")
        return
    attempt = replace(car.attempt, outcome={**(car.attempt.outcome or {}), "signature": signature(report)})
    _send_back(workspace, replace(car, attempt=attempt), state="refused", evidence=f"{evidence_of(report)}\n\n({why})")


def conflicting(workspace: Workspace, car: Car, clash: Clash) -> None:
    """Send a change back that cannot be merged onto the target, with both sides."""
    base = (car.attempt.changes or {}).get("base", car.attempt.base)
    told = conflict_text(workspace, car.row, clash.conflict, base=base, head=clash.onto)
    _send_back(workspace, car, state="conflict", evidence=told)


def unjudged(workspace: Workspace, car: Car, reason: str) -> None:
    """End a ticket that could not be judged: nobody is blamed, a person looks."""
    said = f"could not be judged on the merged tree: {reason}"
    workspace.records.move(car.id, State.FAILED, said, verdict="inconclusive")


def held(workspace: Workspace, car: Car, reason: str) -> None:
    workspace.records.move(car.id, State.BLOCKED, reason)


def _send_back(workspace: Workspace, car: Car, *, state: str, evidence: str) -> None:
    outcome = {**(car.attempt.outcome or {}), "evidence": evidence}
    workspace.records.set_attempt(car.attempt, state, outcome=outcome)
    workspace.records.move(car.id, State.READY, evidence.splitlines()[0], verdict="fail")


def red_before(report: dict[str, Any]) -> str:
    """Say what fails on the target alone, where nothing else stands in the way of the change; empty where it is not so."""
    findings = [
        finding
        for gate in report["gates"]
        if gate["verdict"] == "fail"
        for finding in gate["findings"]
        if not finding["granted"]
    ]
    needs = [finding.get("need") or {} for finding in findings]
    if not findings or any(need.get("kind") != KNOWN_RED for need in needs):
        return ""
    return str(findings[0]["message"])
