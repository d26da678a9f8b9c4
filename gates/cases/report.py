"""Cases of the gate `report`."""

from __future__ import annotations

from gates.example import Example

BASE = {"src/a.py": "a = 1\n", "src/b.py": "b = 1\n"}
CHANGE = {"src/a.py": "a = 2\n"}
GOOD = """## Summary
Two now.
## Files Changed
- `src/a.py`: now two
## Verification
- `python -m pytest -q` PASS
## Risks / Edge Cases
none
## Out-of-Scope Issues Found
none
"""
FIELD = {"report_fields": ["Confidence"]}


def told(name: str, report: str | None, *expects: str, **more: object) -> Example:
    return Example(name=name, base=BASE, change=CHANGE, report=report, attempt=1, expects=expects, **more)  # type: ignore[arg-type]


CASES = (
    told("no report", None, "report.missing"),
    told("an empty report", "  \n", "report.missing"),
    told("a section left out", GOOD.replace("## Summary\nTwo now.\n", ""), "report.section"),
    told("a section left empty", GOOD.replace("Two now.\n", ""), "report.section"),
    told("a changed file that is not named", GOOD.replace("- `src/a.py`: now two", "none"), "report.not-named"),
    told(
        "a file that was not changed",
        GOOD.replace("now two\n", "now two\n- src/b.py\n"),
        "report.not-changed",
    ),
    told("a field left out", GOOD, "report.field", ticket=FIELD),
    told(
        "a claim that the harness measured otherwise",
        GOOD,
        "report.contradicted",
        receipts=(("python -m pytest -q", 1),),
    ),
    told("a whole report", GOOD),
    told("a claim that was measured", GOOD, receipts=(("python -m pytest -q", 0),)),
    told("a field as a line", GOOD + "Confidence: high\n", ticket=FIELD),
    Example(name="nobody at work", base=BASE, change=CHANGE),
)
