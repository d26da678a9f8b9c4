"""How every view of a report speaks: made harmless first, then the verdict, what was found, and what to type next."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Report = dict[str, Any]
SHOWN = 20
"""Findings of one gate that a person is shown where they cannot be folded."""
SAID = {"pass": "every gate passed", "fail": "refused", "inconclusive": "could not be judged"}
_LINES = {"hunks", "rule", "message", "reason", "command"}
"""Strings that may have several lines; in all others a line break is as suspicious as any control character."""
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, and with them every escape sequence of a terminal
    "\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # text that hides or turns text
    "\ud800-\udfff\ufffe\uffff\U000e0000-\U000e007f]"  # what no encoding or no XML can carry
)


def clean(text: str, *, lines: bool = True) -> str:
    """Spell out every character that a terminal, a browser or a reader would obey instead of show."""
    kept = text if lines else text.replace("\n", "\\n").replace("\t", "\\t")
    return _UNSEEN.sub(_spelled, kept)


def _spelled(found: re.Match[str]) -> str:
    point = ord(found[0])
    if 0xDC80 <= point <= 0xDCFF:  # noqa: PLR2004 - how Python carries a byte of a name that is no UTF-8
        point -= 0xDC00
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}"  # noqa: PLR2004 - two digits hold a byte


def cleaned(value: Any, *, lines: bool = False) -> Any:
    """Make every string of a report harmless, whoever wrote it."""
    if isinstance(value, str):
        return clean(value, lines=lines)
    if isinstance(value, dict):
        return {name: cleaned(item, lines=name in _LINES) for name, item in value.items()}
    return [cleaned(item, lines=lines) for item in value] if isinstance(value, list) else value


def presentable(report: Report) -> Report:
    """Give the report as views read it: every string harmless, grants with person and reason, and no key missing."""
    made: Report = {"title": "", "diff": [], "grants": [], **cleaned(report)}  # older reports have fewer keys
    names = {grant["id"]: f"{grant['id']} ({grant['person']}: {grant['reason']})" for grant in made["grants"]}
    made["gates"] = [
        {"rule": "", **gate, "findings": [_finding(one, names) for one in gate["findings"]]} for gate in made["gates"]
    ]
    return made


def _finding(finding: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    grant = finding.get("granted", "")
    return {"need": None, **finding, "granted": names.get(grant, grant)}


def headline(report: Report) -> str:
    what = f"{report['ticket']} attempt {report['attempt']}" if report["ticket"] else "the current tree"
    return f"{what}, {report['pass']} pass: {SAID[report['verdict']]}"


def first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""


def finding_line(finding: dict[str, Any]) -> str:
    """Say one finding in one line: where, what, which rule, the limit and the actual figure."""
    place = f"{finding['path']}:{finding['line']}: " if finding["path"] and finding["line"] else ""
    figures = (
        f" [limit {finding['limit']}, actual {finding['actual']}]" if finding["limit"] and finding["actual"] else ""
    )
    return f"{place}{finding['message']} ({finding['rule']}){figures}"


def permission(finding: dict[str, Any]) -> str:
    """Say who permitted it, or that a person could; empty where nobody can."""
    if finding["granted"]:
        return f"permitted by {finding['granted']}"
    need = finding["need"]
    return f"a person could permit this ({need['kind']}: {first_line(need['subject'])})" if need else ""


def blocking(report: Report) -> list[dict[str, Any]]:
    """Gates that do not let the change through, those that accuse it before those that could not judge."""
    gates = [gate for gate in report["gates"] if gate["verdict"] != "pass"]
    return sorted(gates, key=lambda gate: str(gate["verdict"]))


def still_open(gate: dict[str, Any]) -> list[dict[str, Any]]:
    """Findings of the gate that no grant has lifted."""
    return [finding for finding in gate["findings"] if not finding["granted"]]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A command to type, and what it is good for."""

    command: str
    why: str


def next_steps(report: Report) -> tuple[Step, ...]:
    """Give what to type next, the cheapest first; nothing where every gate passed. The report is a presentable one."""
    return () if report["verdict"] == "pass" else tuple(_steps(report))


def _steps(report: Report) -> Iterator[Step]:
    ticket, gates = report["ticket"], blocking(report)
    undecided = [gate["name"] for gate in gates if gate["verdict"] == "inconclusive"]
    if undecided:
        yield Step(
            command="orchestrate doctor", why=f"says whether anything is missing here that {_names(undecided)} needs"
        )
    if not ticket:
        yield Step(command="orchestrate gate", why="judges the tree again, once it is mended")
        return
    permits = permits_of(report)
    if all(permittable(gate) for gate in gates):
        which = "the only finding" if len(permits) == 1 else f"all {len(permits)} findings"
        yield Step(command="orchestrate grants", why=f"lists what was asked of a person, who could permit {which}")
        yield Step(command="orchestrate approve ID --reason WHY", why="permits it, once, for exactly this content")
    yield Step(command=f"orchestrate tickets show {ticket}", why="shows what was asked, and the limits it was given")
    yield Step(command=f"orchestrate tickets retry {ticket}", why="makes another attempt, told what was found here")


def permits_of(report: Report) -> list[dict[str, Any]]:
    """Findings that block and that a person could permit."""
    return [finding for gate in blocking(report) for finding in still_open(gate) if finding["need"]]


def permittable(gate: dict[str, Any]) -> bool:
    """Say whether a person could permit all that the gate still holds against the change."""
    left = still_open(gate)
    return bool(left) and all(finding["need"] for finding in left)


def _names(names: list[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
