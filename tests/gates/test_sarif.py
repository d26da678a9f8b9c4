from __future__ import annotations

import json
from typing import Any

import pytest

from gates.declared.sarif import Result, read
from gates.testing.junit import UnusableReportError

PLACE = {"physicalLocation": {"artifactLocation": {"uri": "src/a%20b.py"}, "region": {"startLine": 7}}}


def report(*results: dict[str, Any], **run: Any) -> bytes:
    return json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {}}, "results": results, **run}]}).encode()


def wrong(**more: Any) -> dict[str, Any]:
    return {"ruleId": "R1", "level": "error", "message": {"text": "no  good"}, "locations": [PLACE], **more}


def test_a_result_is_told_with_rule_place_and_message() -> None:
    told = Result(rule="R1", level="error", message="no good", path="src/a b.py", line=7)
    assert read(report(wrong())) == (told,)


@pytest.mark.parametrize(
    "result",
    [
        wrong(level="note"),
        wrong(level="none"),
        wrong(kind="pass"),
        wrong(suppressions=[{"kind": "inSource"}]),
        wrong(suppressions=[{"kind": "external", "status": "accepted"}]),
    ],
)
def test_what_accuses_nobody_is_left_out(result: dict[str, Any]) -> None:
    assert read(report(result)) == ()


def test_a_suppression_that_somebody_disputes_does_not_count() -> None:
    assert read(report(wrong(suppressions=[{"kind": "inSource", "status": "rejected"}])))


def test_the_level_is_the_rules_where_the_result_names_none() -> None:
    rules = [{"id": "R0"}, {"id": "R1", "defaultConfiguration": {"level": "error"}}]
    plain = {"message": {"text": "x"}}
    tool = {"tool": {"driver": {"rules": rules}}}
    told = read(report({**plain, "ruleId": "R1"}, {**plain, "ruleIndex": 1}, {**plain, "ruleIndex": 0}, plain, **tool))
    assert [(one.rule, one.level) for one in told] == [
        ("R1", "error"),
        ("R1", "error"),
        ("R0", "warning"),
        ("", "warning"),
    ]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not SARIF"),
        (b"{}", "lists no run"),
        (b'{"runs": {}}', "not SARIF"),
        (b'{"runs": [7]}', "not SARIF"),
        (b'{"runs": [{"results": [[]]}]}', "not SARIF"),
        (report({"message": "text"}), "not SARIF"),
        (report(wrong(level=3)), "not SARIF"),
        (report(invocations=[{"executionSuccessful": False}]), "did not run to its end"),
    ],
)
def test_what_is_no_complete_report_proves_nothing(data: bytes, why: str) -> None:
    with pytest.raises(UnusableReportError, match=why):
        read(data)
