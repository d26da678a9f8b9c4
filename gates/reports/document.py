"""The gate report: one JSON document is the truth, everything else is a view of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gates.builtin.secrets import variables_of
from gates.catalogue import catalogue
from gates.masking import known_secrets, mask
from gates.reports.diff import patches
from gates.runner import overall

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gates.protocol import Case
    from gates.reports.words import Report
    from gates.runner import Judged

SCHEMA = 1


def build(case: Case, results: tuple[Judged, ...]) -> Report:
    rules = _rules(case)
    known = known_secrets(variables_of(case.policy))
    return {
        "schema": SCHEMA,
        "ticket": case.ticket.id if case.ticket else None,
        "title": case.ticket.title if case.ticket else "",
        "attempt": case.attempt,
        "pass": case.stage,
        "base": case.change.base,
        "tree": case.change.tree,
        "verdict": overall(results).value,
        "gates": [_masked(_gate(result, rules.get(result.name, "")), known) for result in results],
        "changes": [
            {"path": c.path, "kind": c.kind, "added": c.added, "deleted": c.deleted} for c in case.change.changes
        ],
        "diff": patches(case, secret=_secret_lines(results)),
        "environment": case.workshop.environment_record,
        "policy_sha256": case.policy.sha256,
        "ticket_sha256": case.ticket.sha256 if case.ticket else None,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _gate(result: Judged, rule: str) -> dict[str, Any]:
    verdict = result.verdict
    return {
        "name": result.name,
        "verdict": verdict.answer.value,
        "reason": verdict.reason,
        "rule": rule,
        "findings": [asdict(finding) for finding in verdict.findings],
        "receipts": [asdict(receipt) for receipt in verdict.receipts],
        "cached": result.cached,
        "seconds": round(result.seconds, 3),
    }


def _masked(value: Any, known: Iterable[str]) -> Any:
    """Show no secret, whatever a command printed; what a grant is bound to stays as it is."""
    if isinstance(value, str):
        return mask(value, known)
    if isinstance(value, list):
        return [_masked(item, known) for item in value]
    if isinstance(value, dict):
        return {name: item if name == "need" else _masked(item, known) for name, item in value.items()}
    return value


def _rules(case: Case) -> dict[str, str]:
    """Give each gate's rule as the agent was told it, with the ticket's own values."""
    if case.ticket is None:
        return {}
    return {name: gate.rule(case.ticket, case.policy).strip() for name, gate in catalogue().items()}


def _secret_lines(results: tuple[Judged, ...]) -> frozenset[tuple[str, int]]:
    """Lines that the gate `secrets` named: a report is read by more people than the change is."""
    return frozenset(
        (finding.path, finding.line)
        for result in results
        if result.name == "secrets"
        for finding in result.verdict.findings
    )


def sha256(report: Report) -> str:
    return hashlib.sha256(render_json(report).encode()).hexdigest()


def render_json(report: Report) -> str:
    return json.dumps(report, indent=2, sort_keys=True)
