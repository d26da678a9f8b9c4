from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gates import reports
from gates.catalogue import catalogue
from gates.runner import Judged, judge
from gates.verdict import Finding, GateReceipt, Verdict, inconclusive, judged, passed

if TYPE_CHECKING:
    from tests.gates.conftest import MakeCase

FINDING = Finding(
    rule="size.file-lines",
    message="src/a.py is too long | far too long",
    path="src/a.py",
    line=7,
    limit="200",
    actual="345",
)
RECEIPT = GateReceipt(command="ruff check .", exit=1, seconds=0.2, output_sha256="ab", log="/logs/001.log")
KEYS = {
    "": "schema ticket attempt pass base tree verdict gates changes environment policy_sha256 ticket_sha256 created_at",
    "gates": "name verdict reason findings receipts cached seconds",
    "findings": "path line rule message limit actual",
    "receipts": "command exit seconds output_sha256 log",
    "changes": "path kind added deleted",
    "environment": "python platform sandbox lock_sha256",
}


def results(*verdicts: Verdict) -> tuple[Judged, ...]:
    return tuple(
        Judged(name=f"gate{at}", verdict=verdict, cached=False, seconds=0.1) for at, verdict in enumerate(verdicts)
    )


RED = results(passed("fine"), judged([FINDING], otherwise="", receipts=[RECEIPT]))


@pytest.fixture
def build(make_case: MakeCase) -> Any:
    def one(judgements: tuple[Judged, ...], ticket: dict[str, Any] | None = None) -> dict[str, Any]:
        case = make_case({"src/a.py": "a = 1\n"}, {"src/a.py": "a = 2\n"}, ticket=ticket, attempt=2)
        return reports.build(case, judgements)

    return one


def test_json_has_exactly_the_keys_of_the_contract(build: Any) -> None:
    report = json.loads(reports.render_json(build(RED, {})))
    found = {
        "": report,
        "gates": report["gates"][1],
        "findings": report["gates"][1]["findings"][0],
        "receipts": report["gates"][1]["receipts"][0],
        "changes": report["changes"][0],
        "environment": report["environment"],
    }
    assert {name: set(part) for name, part in found.items()} == {name: set(keys.split()) for name, keys in KEYS.items()}


def test_json_binds_the_verdict_to_what_was_judged(build: Any) -> None:
    report = build(RED, {})
    assert (report["schema"], report["ticket"], report["attempt"], report["pass"]) == (1, "T-0001", 2, "worktree")
    assert (report["verdict"], len(report["base"]), len(report["tree"])) == ("fail", 40, 40)
    assert report["changes"] == [{"path": "src/a.py", "kind": "modified", "added": 1, "deleted": 1}]


def test_its_hash_is_that_of_its_text(build: Any) -> None:
    report = build(RED)
    assert reports.sha256(report) == reports.sha256(json.loads(reports.render_json(report)))


@pytest.mark.parametrize("name", ["text", "md"])
def test_people_are_told_where_the_limit_and_the_actual_figure(build: Any, name: str) -> None:
    shown = reports.FORMATS[name](build(RED, {}))
    for word in (
        "src/a.py:7",
        "limit 200",
        "actual 345",
        "size.file-lines",
        "refused",
        "orchestrate tickets retry T-0001",
    ):
        assert word in shown, word


def test_text_names_the_log_of_what_failed(build: Any) -> None:
    assert "log: /logs/001.log" in reports.render_text(build(RED))


def test_a_table_survives_a_bar_in_a_reason(build: Any) -> None:
    row = next(line for line in reports.render_markdown(build(RED)).splitlines() if line.startswith("| gate1"))
    assert row.replace("\\|", "").count("|") == 4


@pytest.mark.parametrize(
    ("verdicts", "headline"),
    [
        ([passed("fine")], "every gate passed"),
        ([inconclusive("who knows")], "could not be judged"),
        ([], "every gate passed"),
    ],
)
def test_the_headline_says_the_verdict(build: Any, verdicts: list[Verdict], headline: str) -> None:
    report = build(results(*verdicts))
    assert headline in reports.render_text(report).splitlines()[0]
    assert headline in reports.render_markdown(report).splitlines()[0]


def test_the_whole_catalogue_judges_a_case_and_is_reported(make_case: MakeCase) -> None:
    case = make_case({"a.md": "a\n"}, {"a.md": "b\n"}, ticket={}, policy={"tests": {"run": []}})
    judgements = judge(case, catalogue())
    report = reports.build(case, judgements)
    assert [(gate["name"], gate["reason"]) for gate in report["gates"] if gate["verdict"] != "pass"] == []
    assert report["gates"][-1]["name"] == "report"
    assert all(gate["reason"] for gate in report["gates"])
