"""The report as Markdown, for a pull request or a chat: what an agent wrote is text there, never markup."""

from __future__ import annotations

import re
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

_MARKUP = re.compile(r"[\\`*\[\]<>|~#&@]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_ENTITIES = {"&": "&amp;", "@": "&#64;"}
"""A reference to a character could be one to `<`, and a name after `@` would be told about every report."""


def render_markdown(report: Report, history: Sequence[Report] = ()) -> str:
    report = presentable(report)
    lines = [f"# {headline(report)}", ""]
    lines += [plain(report["title"]), ""] if report["title"] else []
    lines += [f"- `{step.command}` {step.why}" for step in next_steps(report)]
    lines += ["", f"base `{report['base']}`, tree `{report['tree']}`", ""]
    lines += ["| gate | verdict | reason |", "|---|---|---|"]
    lines += [f"| {plain(gate['name'])} | {gate['verdict']} | {plain(gate['reason'])} |" for gate in report["gates"]]
    for gate in report["gates"]:
        lines += _findings(gate)
    lines += ["", "## Changes", "", "| path | kind | + | - |", "|---|---|---|---|"]
    lines += [f"| {plain(c['path'])} | {c['kind']} | {c['added']} | {c['deleted']} |" for c in report["changes"]]
    return "\n".join([*lines, *_attempts(history)])


def plain(text: str) -> str:
    """Give the first line of a text so that Markdown shows it letter by letter, in a table too."""
    return _MARKUP.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), first_line(text))


def _findings(gate: dict[str, Any]) -> Iterator[str]:
    shown = [f for f in gate["findings"] if gate["verdict"] != "pass" or f["granted"]]
    if not shown:
        return
    yield from ("", f"## {plain(gate['name'])}", "")
    for finding in shown[:SHOWN]:
        said = permission(finding)
        yield f"- {plain(finding_line(finding))}" + (f"; {plain(said)}" if said else "")
    if len(shown) > SHOWN:
        yield f"- and {len(shown) - SHOWN} more (--format json has them all)"


def _attempts(history: Sequence[Report]) -> list[str]:
    if len(history) < 2:  # noqa: PLR2004 - one report has nothing to be compared with
        return []
    head = [
        "",
        "## Attempts",
        "",
        "| attempt | pass | verdict | said no | files | + | - |",
        "|---|---|---|---|---|---|---|",
    ]
    return [
        *head,
        *(
            f"| {row.attempt} | {row.stage} | {row.verdict} | {plain(row.refused)} | {row.files} | {row.added} | {row.deleted} |"
            for row in tries(history)
        ),
    ]
