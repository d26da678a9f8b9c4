from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gates import reports
from gates.catalogue import catalogue
from gates.runner import Judged, judge
from gates.verdict import Finding, GateReceipt, Verdict, inconclusive, judged, passed
from tickets.grants import Need

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gates.conftest import MakeAttempt, MakeCase

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
    "": "schema ticket attempt pass base tree verdict gates changes environment policy_sha256 ticket_sha256 created_at title diff",
    "gates": "name verdict reason findings receipts cached seconds rule",
    "findings": "path line rule message limit actual need granted",
    "receipts": "command exit seconds output_sha256 log",
    "changes": "path kind added deleted",
    "diff": "path old_path hunks note",
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


def test_json_has_the_keys_of_the_contract_and_those_that_views_need(build: Any) -> None:
    report = json.loads(reports.render_json(build(RED, {})))
    found = {
        "": report,
        "gates": report["gates"][1],
        "findings": report["gates"][1]["findings"][0],
        "receipts": report["gates"][1]["receipts"][0],
        "changes": report["changes"][0],
        "diff": report["diff"][0],
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
    shown = reports.FORMATS[name](build(RED, {}), [])
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
    assert [gate["name"] for gate in report["gates"]] == list(catalogue())
    assert all(gate["reason"] for gate in report["gates"])


# what a person may permit

NEED = Need(kind="size", subject="src/a.py", bound="345")
GRANTABLE = replace(FINDING, need=NEED)


@pytest.mark.parametrize("name", ["text", "md"])
def test_when_everything_found_could_be_permitted_the_first_step_is_to_look_at_the_requests(
    build: Any, name: str
) -> None:
    shown = reports.FORMATS[name](build(results(judged([GRANTABLE], otherwise="")), {}), [])
    assert shown.index("orchestrate grants") < shown.index("orchestrate tickets retry T-0001")
    assert "a person could permit this (size: src/a.py)" in shown


def test_when_only_some_of_it_could_be_permitted_nobody_is_sent_to_permit_it(build: Any) -> None:
    shown = reports.render_text(build(results(judged([GRANTABLE, FINDING], otherwise="")), {}))
    assert "orchestrate approve" not in shown


def test_what_was_permitted_is_named_with_its_grant(build: Any) -> None:
    verdict = replace(passed("granted: G-0001 by Ada"), findings=(replace(GRANTABLE, granted="G-0001"),))
    report = build(results(verdict), {})
    assert "permitted by G-0001" in reports.render_text(report)
    report["grants"] = [{"id": "G-0001", "person": "Ada", "reason": "it is split next week"}]
    assert "permitted by G-0001 (Ada: it is split next week)" in reports.render_text(report)


def test_what_could_not_be_judged_sends_a_person_to_the_doctor_first(build: Any) -> None:
    shown = reports.render_text(build(results(inconclusive("no pytest here")), {}))
    assert "next: orchestrate doctor" in shown


def test_attempts_are_compared_where_there_are_several(build: Any) -> None:
    first, second = build(RED, {}), build(results(passed("fine")), {})
    for name in ("text", "md"):
        assert "said no" in reports.FORMATS[name](second, [first, second])
        assert "gate1" in reports.FORMATS[name](second, [first, second])
        assert "gate1" not in reports.FORMATS[name](second, [second])


# what an agent wrote is shown, never obeyed

HOSTILE = "a\x1b[31mred\x07 \u202eevil\u2069 \udcff </script><script>alert(1)</script> ![x](http://evil.example/p) @everyone \x00"


def hostile() -> tuple[Judged, ...]:
    finding = Finding(rule="x.y", message=HOSTILE, path="src/\x1b]0;a.py", line=1, limit=HOSTILE, actual=HOSTILE)
    return results(judged([finding], otherwise=""), inconclusive(HOSTILE))


@pytest.mark.parametrize("name", ["text", "md", "sarif", "junit", "html"])
def test_nothing_in_a_view_steers_a_terminal_or_turns_text(build: Any, name: str) -> None:
    shown = reports.FORMATS[name](build(hostile(), {}), [])
    assert "red" in shown
    assert not [c for c in shown if unicodedata.category(c) in {"Cc", "Cf", "Cs"} and c not in "\n\t"]
    shown.encode()


def test_markdown_shows_markup_letter_by_letter(build: Any) -> None:
    shown = reports.render_markdown(build(hostile(), {}))
    assert not re.search(r"(?<!\\)<|(?<!\\)!?\[x\]|@everyone", shown)


# the change itself


def patches(case: Any) -> dict[str, dict[str, str]]:
    return {patch["path"]: patch for patch in reports.build(case, ())["diff"]}


def test_the_change_is_in_the_report_file_by_file(make_case: MakeCase) -> None:
    odd = 'a\ndiff --git "x.txt'
    base: dict[str, str | bytes | None] = {
        odd: "1\n",
        "moved.txt": "same\n" * 20,
        "bytes.bin": b"\x00\x01",
        "gone.txt": "x\n",
    }
    change: dict[str, str | bytes | None] = {
        odd: "2\n",
        "moved.txt": None,
        "new.txt": "same\n" * 20 + "more\n",
        "bytes.bin": b"\x00\x02",
        "gone.txt": None,
    }
    found = patches(make_case(base, change))
    assert found[odd]["hunks"] == "@@ -1 +1 @@\n-1\n+2\n"
    assert (found["new.txt"]["old_path"], "+more" in found["new.txt"]["hunks"]) == ("moved.txt", True)
    assert (found["bytes.bin"]["hunks"], found["bytes.bin"]["note"]) == ("", "not text")
    assert "-x" in found["gone.txt"]["hunks"]


def test_a_file_that_became_a_link_shows_what_went_and_what_came(make_attempt: MakeAttempt) -> None:
    def act(tree: Path) -> None:
        (tree / "a.txt").unlink()
        (tree / "a.txt").symlink_to("b.txt")
        (tree / "z.txt").write_text("new\n")

    found = patches(make_attempt({"a.txt": "old\n", "b.txt": "b\n", "z.txt": "z\n"}, act))
    assert ("-old" in found["a.txt"]["hunks"], "+b.txt" in found["a.txt"]["hunks"]) == (True, True)
    assert "+new" in found["z.txt"]["hunks"]


@pytest.mark.parametrize(
    ("text", "policy", "note"),
    [
        ("x\n" * 2_001, {}, "2001 changed lines are too many"),
        ("y" * 600_000, {}, "the file is too large"),
        ("x\n", {"limits": {"generated": ["*.txt"]}}, "generated"),
    ],
)
def test_what_is_too_much_to_read_is_only_named(make_case: MakeCase, text: str, policy: Any, note: str) -> None:
    found = patches(make_case({}, {"a.txt": text}, policy=policy))
    assert found["a.txt"]["hunks"] == ""
    assert note in found["a.txt"]["note"]


def test_all_files_together_stay_within_a_bound(make_case: MakeCase) -> None:
    found = patches(make_case({}, {f"{at}.txt": f"{at}" * 90_000 for at in range(5)}))
    assert sum(len(patch["hunks"]) for patch in found.values()) <= 200_000
    assert [patch["note"] for patch in found.values()].count("the change is too large to be shown whole") == 3


def test_a_secret_is_not_shown_to_everyone_who_reads_the_report(make_case: MakeCase) -> None:
    token, odd = "ghp_" + "aB3dE6gH9k" * 4, "q8Zr!kP2"
    case = make_case({"a.py": "a = 1\n"}, {"a.py": f"a = 1\nt = '{token}'\np = '{odd}'\n"}, ticket={})
    named = judged([Finding(rule="secrets.found", message="a secret", path="a.py", line=3)], otherwise="")
    report = reports.build(case, (Judged(name="secrets", verdict=named, cached=False, seconds=0.0),))
    for name, render in reports.FORMATS.items():
        assert token not in render(report, []), name
        assert odd not in render(report, []), name


def test_each_gate_brings_its_rule_as_the_agent_was_told_it(make_case: MakeCase) -> None:
    case = make_case({"a.md": "a\n"}, {"a.md": "b\n"}, ticket={"scope": {"write": ["a.md"]}})
    report = reports.build(case, judge(case, {"scope": catalogue()["scope"]}))
    assert "you may change `a.md`" in report["gates"][0]["rule"]


def test_a_report_of_an_older_version_is_still_shown(build: Any) -> None:
    report = build(RED, {})
    for key in ("title", "diff"):
        del report[key]
    for gate in report["gates"]:
        del gate["rule"]
        gate["findings"] = [{k: v for k, v in f.items() if k not in {"need", "granted"}} for f in gate["findings"]]
    for name, render in reports.FORMATS.items():
        assert "size.file-lines" in render(report, [report]), name
