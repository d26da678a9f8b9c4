"""The report for a terminal: verdict first, then each gate, then what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gates.reports.history import tries
from gates.reports.words import (
    SHOWN,
    Report,
    finding_line,
    first_line,
    headline,
    next_steps,
    permission,
    presentable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MARKS = {"pass": "ok", "fail": "NO", "inconclusive": "??"}


def render_text(report: Report, history: Sequence[Report] = ()) -> str:
    """Verdict first, then each gate with what was found, where, the limit and the actual figure."""
    report = presentable(report)
    lines = [headline(report)]
    lines += [f"  {report['title']}"] if report["title"] else []
    lines.append(
        f"  base {report['base'][:12]}  tree {report['tree'][:12]}  sandbox {report['environment']['sandbox']}"
    )
    for gate in report["gates"]:
        lines += _gate(gate)
    return "\n".join([*lines, *_attempts(history), "", *_steps(report)])


def _gate(gate: dict[str, Any]) -> Iterator[str]:
    cached = " (known)" if gate["cached"] else f" {gate['seconds']:.1f}s"
    yield f"  {MARKS[gate['verdict']]}  {gate['name']:<16}{first_line(gate['reason'])}{cached}"
    granted = [finding for finding in gate["findings"] if finding["granted"]]
    shown = granted if gate["verdict"] == "pass" else gate["findings"]
    for finding in shown[:SHOWN]:
        yield f"        {first_line(finding_line(finding))}"
        if said := permission(finding):
            yield f"          {said}"
    if len(shown) > SHOWN:
        yield f"        and {len(shown) - SHOWN} more (--format json has them all)"
    if gate["verdict"] != "pass":
        yield from (f"        log: {receipt['log']}" for receipt in gate["receipts"] if receipt["exit"] != 0)


def _attempts(history: Sequence[Report]) -> list[str]:
    if len(history) < 2:  # noqa: PLR2004 - one report has nothing to be compared with
        return []
    rows = [f"  {row.attempt:>7}  {row.stage:<10}  {row.verdict:<12}  {row.refused or '-'}" for row in tries(history)]
    return ["", f"  {'attempt':>7}  {'pass':<10}  {'verdict':<12}  said no", *rows]


def _steps(report: Report) -> list[str]:
    steps = next_steps(report)
    width = max((len(step.command) for step in steps), default=0)
    leads = ["next: ", *["      "] * len(steps)]
    return [f"{lead}{step.command:<{width}}  {step.why}" for lead, step in zip(leads, steps, strict=False)]
