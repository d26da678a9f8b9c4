"""The gate report: one JSON document is the truth, text and Markdown are views of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gates.runner import overall

if TYPE_CHECKING:
    from collections.abc import Callable

    from gates.protocol import Case
    from gates.runner import Judged

SCHEMA = 1
SHOWN = 20
"""Findings of one gate that a person is shown."""
MARKS = {"pass": "ok", "fail": "NO", "inconclusive": "??"}
Report = dict[str, Any]


def build(case: Case, results: tuple[Judged, ...]) -> Report:
    return {
        "schema": SCHEMA,
        "ticket": case.ticket.id if case.ticket else None,
        "attempt": case.attempt,
        "pass": case.stage,
        "base": case.change.base,
        "tree": case.change.tree,
        "verdict": overall(results).value,
        "gates": [_gate(result) for result in results],
        "changes": [
            {"path": c.path, "kind": c.kind, "added": c.added, "deleted": c.deleted} for c in case.change.changes
        ],
        "environment": case.workshop.environment_record,
        "policy_sha256": case.policy.sha256,
        "ticket_sha256": case.ticket.sha256 if case.ticket else None,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _gate(result: Judged) -> dict[str, Any]:
    verdict = result.verdict
    return {
        "name": result.name,
        "verdict": verdict.answer.value,
        "reason": verdict.reason,
        "findings": [asdict(finding) for finding in verdict.findings],
        "receipts": [asdict(receipt) for receipt in verdict.receipts],
        "cached": result.cached,
        "seconds": round(result.seconds, 3),
    }


def sha256(report: Report) -> str:
    return hashlib.sha256(render_json(report).encode()).hexdigest()


def render_json(report: Report) -> str:
    return json.dumps(report, indent=2, sort_keys=True)


def _headline(report: Report) -> str:
    what = f"{report['ticket']} attempt {report['attempt']}" if report["ticket"] else "the current tree"
    said = {"pass": "every gate passed", "fail": "refused", "inconclusive": "could not be judged"}[report["verdict"]]
    return f"{what}, {report['pass']} pass: {said}"


def render_text(report: Report) -> str:
    """Verdict first, then each gate with what was found, where, the limit and the actual figure."""
    lines = [
        _headline(report),
        f"  base {report['base'][:12]}  tree {report['tree'][:12]}  sandbox {report['environment']['sandbox']}",
    ]
    for gate in report["gates"]:
        cached = " (known)" if gate["cached"] else f" {gate['seconds']:.1f}s"
        lines.append(f"  {MARKS[gate['verdict']]}  {gate['name']:<13}{_first_line(gate['reason'])}{cached}")
        if gate["verdict"] != "pass":
            lines += [f"        {_first_line(finding_line(finding))}" for finding in gate["findings"][:SHOWN]]
            lines += _left_out(gate, "        ")
            lines += [f"        log: {receipt['log']}" for receipt in gate["receipts"] if receipt["exit"] != 0]
    return "\n".join([*lines, "", *_next_steps(report)])


def render_markdown(report: Report) -> str:
    lines = [f"# {_headline(report)}", "", f"base `{report['base']}`, tree `{report['tree']}`", ""]
    lines += ["| gate | verdict | reason |", "|---|---|---|"]
    lines += [f"| {gate['name']} | {gate['verdict']} | {_cell(gate['reason'])} |" for gate in report["gates"]]
    for gate in report["gates"]:
        if gate["verdict"] != "pass" and gate["findings"]:
            shown = [f"- {_first_line(finding_line(finding))}" for finding in gate["findings"][:SHOWN]]
            lines += ["", f"## {gate['name']}", "", *shown, *_left_out(gate, "- ")]
    lines += ["", "## Changes", "", "| path | kind | + | - |", "|---|---|---|---|"]
    lines += [f"| {_cell(c['path'])} | {c['kind']} | {c['added']} | {c['deleted']} |" for c in report["changes"]]
    return "\n".join([*lines, "", *_next_steps(report)])


def _left_out(gate: dict[str, Any], lead: str) -> list[str]:
    more = len(gate["findings"]) - SHOWN
    return [f"{lead}and {more} more (--format json has them all)"] if more > 0 else []


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""


def _cell(text: str) -> str:
    return _first_line(text).replace("|", "\\|")


def finding_line(finding: dict[str, Any]) -> str:
    """Say one finding in one line: where, what, which rule, the limit and the actual figure."""
    place = f"{finding['path']}:{finding['line']}: " if finding["path"] and finding["line"] else ""
    figures = (
        f" [limit {finding['limit']}, actual {finding['actual']}]" if finding["limit"] and finding["actual"] else ""
    )
    return f"{place}{finding['message']} ({finding['rule']}){figures}"


def _next_steps(report: Report) -> list[str]:
    ticket = report["ticket"]
    if report["verdict"] == "pass" or not ticket:
        return []
    return [f"next: orchestrate tickets show {ticket}", f"      orchestrate tickets retry {ticket}"]


FORMATS: dict[str, Callable[[Report], str]] = {"text": render_text, "md": render_markdown, "json": render_json}
