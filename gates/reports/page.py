"""The report as one HTML page that needs nothing but itself: no script, no font, no request."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from gates.reports.annotated import files
from gates.reports.history import both_passes, tries
from gates.reports.words import (
    SAID,
    SHOWN,
    Report,
    blocking,
    first_line,
    next_steps,
    permission,
    permits_of,
    permittable,
    presentable,
    still_open,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Environment

VERDICTS = {"pass": "passed", "fail": "refused", "inconclusive": "not judged"}
HEADINGS = {"pass": "passed every gate", "fail": "was refused", "inconclusive": "could not be judged"}
SIGNS = {"added": "+", "deleted": "-", "same": " "}
MARKS = {"pass": "\N{CHECK MARK}", "fail": "\N{MULTIPLICATION X}", "inconclusive": "?", "-": "-"}
_WORDS = {"verdicts": VERDICTS, "headings": HEADINGS, "marks": MARKS, "signs": SIGNS}


def render_html(report: Report, history: Sequence[Report] = ()) -> str:
    """Write the page in ASCII with character references, so that no console or server can garble it."""
    shown = presentable(report)
    text = _templates().get_template("report.html.j2").render(**_view(report, shown, history))
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("gates", "reports"),
        undefined=StrictUndefined,  # an undefined name is a defect of ours, not an empty place in a report
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    made.filters |= {"first_line": first_line, "permission": permission, "open": still_open}
    return made


def _view(report: Report, shown: Report, history: Sequence[Report]) -> dict[str, Any]:
    changed = files(shown)
    passes = both_passes(report, history)
    return {
        "report": shown,
        "said": SAID[report["verdict"]],
        "subject": shown["ticket"] or "The current tree",
        "blocking": blocking(shown),
        "calm": [gate for gate in shown["gates"] if gate["verdict"] == "pass"],
        "steps": next_steps(shown),
        "permits": permits_of(shown),
        "unpermitted": [gate["name"] for gate in blocking(shown) if not permittable(gate)],
        "granted": [finding for gate in shown["gates"] for finding in gate["findings"] if finding["granted"]],
        "files": changed,
        "anchors": {(file.path, row.new) for file in changed for row in file.rows if row.notes},
        "places": {file.path: at for at, file in enumerate(changed, 1)},
        "unlanded": _unlanded(shown, {file.path for file in changed}),
        "compared": [row for row in passes if not row.calm],
        "calm_in_both": sum(row.calm for row in passes),
        "tries": list(tries(history or [report], report)),
        "receipts": [receipt for gate in shown["gates"] for receipt in gate["receipts"]],
        "limit": SHOWN,
        **_WORDS,
    }


def _unlanded(report: Report, landing: set[str]) -> list[dict[str, Any]]:
    """What the attempt wrote besides the change: it does not land, and is kept as evidence."""
    return [change for change in report["changes"] if change["path"] not in landing]
