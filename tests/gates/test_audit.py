"""Deeper behaviour of the gate `audit`; its plain cases are shipped ones."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gates.audits import MOST_BYTES, MOST_FINDINGS
from gates.builtin.audit import GATE
from gates.protocol import Audit

if TYPE_CHECKING:
    from gates.protocol import Case
    from tests.gates.conftest import Judge, MakeCase

BASE = {"a.py": "a = 1\n", "b.py": "b = 1\n"}
READER = {"agents": {"r": {"kind": "command", "command": ("r",)}}, "roles": {"auditor": "r"}}
FINDING = {"path": "a.py", "line": 1, "quote": "a = 2", "severity": "blocker", "claim": "wrong", "why": "so"}
NOTHING = json.dumps({"findings": [], "missed": []})


def answered(case: Case, findings: str, review: str = NOTHING, **more: Any) -> Case:
    audit = Audit(tree=more.pop("tree", case.change.tree), agent="r", findings=findings, review=review, **more)
    return replace(case, audit=audit, attempt=1)


def found(*findings: object) -> str:
    return json.dumps({"findings": findings})


@pytest.mark.parametrize(
    ("findings", "why"),
    [
        ("", "its first phase is empty"),
        ("[]", "has not the form"),
        ("{}", "required"),
        (found({**FINDING, "line": "1"}), "integer"),
        (found({**FINDING, "line": -1}), "greater than or equal"),
        (found({**FINDING, "path": "a\0"}), "matches"),
        (found({**FINDING, "certain": True}), "no such key"),
        (found(*[FINDING] * (MOST_FINDINGS + 1)), f"at most {MOST_FINDINGS}"),
        (found() + " " * MOST_BYTES, "is longer than 256 KiB"),
        ('{"findings": [], "findings": []}', "each key once"),
    ],
)
def test_an_answer_of_another_form_proves_nothing(make_case: MakeCase, judge: Judge, findings: str, why: str) -> None:
    judge.undecided(GATE, answered(make_case(BASE, {"a.py": "a = 2\n"}, policy=READER), findings), why)


def test_an_answer_in_a_fence_is_an_answer(make_case: MakeCase, judge: Judge) -> None:
    case = make_case(BASE, {"a.py": "a = 2\n"}, policy=READER)
    judge.allowed(GATE, answered(case, f"```json\n{found()}\n```\n", f"```\n{NOTHING}\n```"))


def test_trouble_with_the_auditor_is_no_verdict(make_case: MakeCase, judge: Judge) -> None:
    case = answered(make_case(BASE, {"a.py": "a = 2\n"}, policy=READER), "", trouble="it was still running")
    judge.undecided(GATE, case, "the audit could not be made: it was still running")


def test_an_audit_holds_on_another_tree_with_the_same_files(make_case: MakeCase, judge: Judge) -> None:
    seen = make_case(BASE, {"a.py": "a = 2\n"}, policy=READER).change.tree
    merged = make_case({"b.py": "b = 3\n", "a.py": "a = 1\n"}, {"a.py": "a = 2\n"}, policy=READER)
    assert seen != merged.change.tree
    judge.allowed(GATE, answered(merged, found(), tree=seen))
    other = make_case({"a.py": "a = 1\n"}, {"a.py": "a = 5\n"}, policy=READER)
    judge.undecided(GATE, answered(other, found(), tree=seen), "was shown another tree")


def test_of_several_places_the_nearest_is_named(make_case: MakeCase, judge: Judge) -> None:
    case = make_case(BASE, {"a.py": "a = 2\n" + "x = 0\n" * 8 + "    a = 2\n"}, policy=READER)
    review = json.dumps({"findings": [{"index": 0, "verdict": "confirmed", "because": "yes"}], "missed": []})
    verdict = judge.refused(GATE, answered(case, found({**FINDING, "line": 9}), review), "audit.blocker")
    assert (verdict.findings[0].line, verdict.findings[0].actual) == (10, "a = 2")


def test_dropped_and_refuted_findings_are_counted(make_case: MakeCase, judge: Judge) -> None:
    case = make_case(BASE, {"a.py": "a = 2\n"}, policy=READER)
    said = found({**FINDING, "quote": "x"}, {**FINDING, "quote": "y"}, FINDING, {**FINDING, "severity": "minor"})
    verdicts = ["confirmed", "confirmed", "refuted", "confirmed"]
    checked = [{"index": at, "verdict": verdict, "because": ""} for at, verdict in enumerate(verdicts)]
    verdict = judge.allowed(GATE, answered(case, said, json.dumps({"findings": checked, "missed": []})))
    assert verdict.reason == (
        "the auditor r found nothing that must be mended; minor: a.py:1: wrong; 1 finding did not stand up to the second look; "
        "2 findings of the auditor quote lines that do not exist and were dropped"
    )


def test_always_without_an_auditor_is_no_verdict(make_case: MakeCase, judge: Judge) -> None:
    case = make_case(BASE, {"a.py": "a = 2\n"}, policy={"audit": {"when": "always"}}, attempt=1)
    judge.undecided(GATE, case, "no auditor is named under [roles]")


def test_the_brief_says_when_the_diff_is_read(make_case: MakeCase) -> None:
    case = make_case({}, {}, policy=READER, ticket={})
    assert case.ticket is not None
    assert GATE.rule(case.ticket, case.policy).startswith("From 3 changed files on, your diff is read by an auditor")
    assert GATE.rule(case.ticket, make_case({}, {}).policy) == ""
