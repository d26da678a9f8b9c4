from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gates.builtin.report import GATE

if TYPE_CHECKING:
    from tests.gates.conftest import Judge, MakeCase

BASE = {"src/a.py": "a = 1\n" * 9, "src/b.py": "b = 1\n", "src/[id].ts": "x\n"}
CHANGE: dict[str, str | None] = {"src/a.py": "a = 2\n", "src/b.py": None, "Makefile": "all:\n"}
FILES = "- `src/a.py`: now two, and used by `src/other.py` as before\n- src/b.py (deleted)\n* [ ] Makefile\n"
REPORT = f"""\
# Report
## Summary
Done.
## Files Changed
{FILES}
## Verification
- `python -m pytest -q` PASS
## Risks / Edge Cases
none
## Out-of-Scope Issues Found
none
Confidence: high
"""


def edited(old: str, new: str) -> str:
    assert old in REPORT
    return REPORT.replace(old, new)


RED: tuple[tuple[str, int | None], ...] = (
    ("/x/bin/python -m pytest -q -p no:cacheprovider --rootdir=. --junitxml=/s/j.xml", 1),
)


@pytest.mark.parametrize(
    ("report", "rules", "said"),
    [
        (None, ["missing"], "the agent left no report"),
        ("  \n", ["missing"], "the agent left no report"),
        (edited("## Summary\nDone.\n", ""), ["section"], "`## Summary` of the report is missing"),
        (edited("## Summary\nDone.\n", "## Summary\n<!-- what you did -->\n"), ["section"], "is empty"),
        (
            edited("## Summary\nDone.", "```\n## Summary\nDone.\n```"),
            ["section"],
            "`## Summary` of the report is missing",
        ),
        ("All done, every section considered.", ["section"] * 5 + ["field"], "is missing"),
        (edited("Confidence: high", "Confidence:"), ["field"], "no value for `Confidence`"),
        (edited("Confidence: high", "I have great confidence: high"), ["field"], "no value for `Confidence`"),
        (edited("* [ ] Makefile\n", ""), ["not-named"], "Makefile was added"),
        (edited("- src/b.py (deleted)\n", "- src/b.py.orig\n"), ["not-changed", "not-named"], "src/b.py was deleted"),
        (edited("* [ ] Makefile", "* Makefile\n* src/c.py"), ["not-changed"], "src/c.py, which was not changed"),
        (edited("* [ ] Makefile", "* Makefile\n* src/[id].ts"), ["not-changed"], "src/[id].ts"),
        (
            edited(FILES, "| file | what |\n|---|---|\n| src/a.py | x |\n| src/b.py | x |\n| x | `d.py` |\nMakefile"),
            ["not-changed"],
            "d.py",
        ),
    ],
)
def test_refused(make_case: MakeCase, judge: Judge, report: str | None, rules: list[str], said: str) -> None:
    case = make_case(BASE, CHANGE, ticket={"report_fields": ["Confidence"]}, report=report, attempt=1)
    verdict = judge.refused(GATE, case, *(f"report.{rule}" for rule in rules))
    assert said in " ".join(finding.message for finding in verdict.findings)


@pytest.mark.parametrize(
    "report",
    [
        REPORT,
        edited("Confidence: high", "- **Confidence:** high"),
        edited("Confidence: high", "## Confidence\nhigh"),
        edited("## Summary", "## SUMMARY:"),
        edited("Done.", "Done.\n```sh\n## not a heading\n```"),
        edited(FILES, "| file | what |\n|---|---|\n| M | `src/a.py` |\n| D | src/b.py |\n| A | Makefile |"),
        edited(FILES, "1. modified: ./src/a.py, src/b.py and Makefile, e.g. for v1.2"),
        edited(FILES, "- [src/a.py](src/a.py): x\n- D src/b.py\n- **Makefile** is new"),
    ],
)
def test_allowed(make_case: MakeCase, judge: Judge, report: str) -> None:
    judge.allowed(GATE, make_case(BASE, CHANGE, ticket={"report_fields": ["Confidence"]}, report=report, attempt=1))


@pytest.mark.parametrize(
    "line",
    [
        "- `python -m pytest -q` PASS",
        "- `pytest -q`: exit 0, 12 passed",
        "- pytest -q: passed",
        "| `pytest -q` | ✅ |",
        "| pytest -q | PASS |",
        "- `pytest -q` -> ok, 0 failed",
    ],
)
def test_a_claim_that_the_harness_measured_otherwise_is_refused(make_case: MakeCase, judge: Judge, line: str) -> None:
    report = edited("- `python -m pytest -q` PASS", line)
    verdict = judge.refused(
        GATE, make_case(BASE, CHANGE, ticket={}, report=report, known_receipts=RED), "report.contradicted"
    )
    assert line in verdict.reason
    assert verdict.findings[0].actual == "exit code 1"


@pytest.mark.parametrize(
    ("line", "receipts"),
    [
        ("- `pytest -q` FAILED, as before", RED),
        ("- `pytest -q` does not pass here", RED),
        ("- `pytest -q tests/test_a.py` PASS", RED),
        ("- `pytest -q` PASS", (("python -m pytest -q", 0),)),
        ("- `pytest -q` PASS", (("pytest -q", None),)),
        ("- `pytest -q` PASS", (("pytest -q", 1), ("pytest -q tests/test_a.py::test_flaky", 0))),
    ],
    ids=["honest", "honest in words", "another command", "measured green", "not measured", "flaky"],
)
def test_a_claim_that_nothing_contradicts_is_allowed(
    make_case: MakeCase, judge: Judge, line: str, receipts: Any
) -> None:
    report = edited("- `python -m pytest -q` PASS", line)
    judge.allowed(GATE, make_case(BASE, CHANGE, ticket={}, report=report, known_receipts=receipts))


def test_unverified_claims_are_listed(make_case: MakeCase, judge: Judge) -> None:
    report = edited("- `python -m pytest -q` PASS", "- `make demo` passed\n- `true` passed")
    verdict = judge.allowed(GATE, make_case(BASE, CHANGE, ticket={}, report=report, known_receipts=(("true", 0),)))
    assert verdict.reason.endswith("claimed but not measured: `make demo`")


@pytest.mark.parametrize(("ticket", "report"), [(None, REPORT), ({}, None)], ids=["no ticket", "no agent"])
def test_not_applicable(make_case: MakeCase, judge: Judge, ticket: dict[str, Any] | None, report: str | None) -> None:
    assert judge.allowed(GATE, make_case(BASE, CHANGE, ticket=ticket, report=report)).reason.startswith(
        "not applicable"
    )
