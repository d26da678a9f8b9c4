from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gates.builtin.checks import GATE
from gates.runner import lifted
from tickets.grants import Grant

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gates.conftest import Judge, MakeCase

BASE = {"a.py": "x = 1\n", "state": "good\n", "gate.sh": "grep good state\n"}


def checks(*runs: list[str], timeout_s: float = 20) -> dict[str, Any]:
    return {"checks": [{"name": f"c{at}", "run": run, "timeout_s": timeout_s} for at, run in enumerate(runs)]}


GREP, TRUE = ["sh", "gate.sh"], ["true"]


@pytest.mark.parametrize(
    ("change", "policy", "rules"),
    [
        ({"state": "bad\n"}, checks(GREP), ["checks.c0"]),
        ({"state": None}, checks(GREP), ["checks.c0"]),
        ({"a.py": "x = = 1\n"}, checks(["python", "-m", "py_compile", "a.py"]), ["checks.c0"]),
        ({"state": "bad\n"}, checks(GREP, TRUE, GREP), ["checks.c0", "checks.c2"]),
        ({"state": "bad\n"}, checks(GREP, ["no-such-tool"]), ["checks.c0"]),
        ({"a.py": "x = 2\n"}, checks(["sh", "-c", "kill -SEGV $$"]), ["checks.c0"]),
    ],
    ids=["red", "its input deleted", "a tool", "every check runs", "red beside one that cannot run", "a crash"],
)
def test_refused(
    make_case: MakeCase, judge: Judge, change: dict[str, Any], policy: dict[str, Any], rules: list[str]
) -> None:
    verdict = judge.refused(GATE, make_case(BASE, change, policy=policy), *rules)
    assert len(verdict.receipts) == len(policy["checks"])


@pytest.mark.parametrize(
    ("change", "policy"),
    [({"a.py": "x = 2\n"}, checks(GREP)), ({"state": "good as well\n"}, checks(GREP, TRUE)), ({}, checks(TRUE))],
    ids=["green", "two", "nothing changed"],
)
def test_allowed(make_case: MakeCase, judge: Judge, change: dict[str, Any], policy: dict[str, Any]) -> None:
    verdict = judge.allowed(GATE, make_case(BASE, change, policy=policy))
    assert all(receipt.exit == 0 for receipt in verdict.receipts)


def test_one_that_is_red_on_the_base_as_well_still_blocks_and_says_so(make_case: MakeCase, judge: Judge) -> None:
    case = make_case({**BASE, "state": "bad\n"}, {"a.py": "x = 2\n"}, policy=checks(GREP))
    verdict = judge.refused(GATE, case, "checks.c0")
    assert "also fails on the base: not this ticket's doing" in verdict.reason
    assert len(verdict.receipts) == 1


def test_a_base_that_is_known_to_be_clean_is_not_asked_again(make_case: MakeCase, judge: Judge) -> None:
    policy = checks(GREP)
    unknown = make_case(BASE, {"state": "bad\n"}, policy=policy)
    judge.refused(GATE, unknown, "checks.c0")
    judge.allowed(GATE, make_case({**BASE, "state": "bad\n"}, {"state": "good\n"}, policy=policy))
    known = make_case(BASE, {"state": "worse\n"}, policy=policy)
    judge.refused(GATE, known, "checks.c0")
    assert [len(list(one.workshop.logs.glob("*-sh.log"))) for one in (unknown, known)] == [2, 1]


def test_a_base_that_is_being_judged_beside_is_waited_for(make_case: MakeCase, judge: Judge) -> None:
    policy = checks(GREP)
    case = make_case(BASE, {"state": "bad\n"}, policy=policy)
    base = case.repository.tree(case.change.base)
    asked: list[str] = []

    def beside(tree: str) -> bool:
        asked.append(tree)
        if len(asked) == 2:  # the other one ends meanwhile, and says that all is well
            judge.allowed(GATE, make_case({**BASE, "state": "worse\n"}, dict(BASE), policy=policy))
        return True

    case.workshop.judged_beside = beside
    judge.refused(GATE, case, "checks.c0")
    assert asked == [base, base]
    assert len(list(case.workshop.logs.glob("*-sh.log"))) == 1


def test_a_base_whose_judge_ends_without_an_answer_is_run(make_case: MakeCase, judge: Judge) -> None:
    case = make_case(BASE, {"state": "bad\n"}, policy=checks(GREP))
    answers = [True, True, False]
    failing: list[str] = []
    case.workshop.judged_beside = lambda _tree: answers.pop(0)
    case.workshop.failing = lambda: failing.append("once it failed")
    judge.refused(GATE, case, "checks.c0")
    assert (answers, failing) == ([], ["once it failed"])
    assert len(list(case.workshop.logs.glob("*-sh.log"))) == 2


def test_the_output_is_told(make_case: MakeCase, judge: Judge) -> None:
    case = make_case(BASE, {"a.py": "x = 2\n"}, policy=checks(["sh", "-c", "echo line 7 is bad; exit 3"]))
    verdict = judge.refused(GATE, case, "checks.c0")
    assert "line 7 is bad" in verdict.reason
    assert (verdict.findings[0].limit, verdict.findings[0].actual) == ("exit code 0", "3")


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (checks(["sleep", "60"], timeout_s=0.3), "still running"),
        (checks(["no-such-tool"]), "was not found"),
        (checks(["sh", "-c", "kill -9 $$"]), "killed"),
    ],
    ids=["time-out", "missing program", "killed"],
)
def test_what_could_not_run_accuses_nobody(make_case: MakeCase, judge: Judge, policy: dict[str, Any], why: str) -> None:
    judge.undecided(GATE, make_case(BASE, {"a.py": "x = 2\n"}, policy=policy), why)


def test_without_checks_it_does_not_apply(make_case: MakeCase, judge: Judge) -> None:
    assert judge.allowed(GATE, make_case(BASE, {})).reason.startswith("not applicable")


def test_a_check_that_rewrites_the_tree_does_not_reach_the_next(make_case: MakeCase, judge: Judge) -> None:
    spoil = ["sh", "-c", "echo bad > state; echo x > left"]
    judge.allowed(
        GATE, make_case(BASE, {"a.py": "x = 2\n"}, policy=checks(spoil, GREP, ["sh", "-c", "! test -e left"]))
    )


# what a check tells beyond its exit code

PATTERN = r"^(?P<path>[^:]+):(?P<line>\d+):(?P<message>.*)$"
FINDS = ["sh", "-c", "grep -nH bad *.txt sub/*.txt && exit 1; exit 0"]
TEXTS = {"a.txt": "bad\n", "sub/b.txt": "fine\n"}


def one(*run: str, **more: Any) -> dict[str, Any]:
    return {"checks": [{"name": "own", "run": list(run), "timeout_s": 20, **more}]}


def matching(*run: str, **more: Any) -> dict[str, Any]:
    return one(*(run or FINDS), parser="regex", pattern=PATTERN, **more)


def test_what_stands_on_the_base_is_told_last_and_can_be_permitted(make_case: MakeCase, judge: Judge) -> None:
    case = make_case(TEXTS, {"a.txt": "fine\nbad\n", "sub/b.txt": "bad\n"}, policy=matching())
    new, old = judge.refused(GATE, case, "checks.own", "checks.own").findings
    assert (new.path, new.line, new.need) == ("sub/b.txt", 1, None)
    assert (old.path, old.line) == ("a.txt", 2)
    assert "also on the base: not this ticket's doing" in old.message
    assert old.need is not None
    assert (old.need.kind, old.need.bound) == ("known-red", case.repository.tree(case.change.base))


def test_a_second_copy_of_what_is_old_is_new(make_case: MakeCase, judge: Judge) -> None:
    case = make_case(TEXTS, {"a.txt": "bad\nbad\n"}, policy=matching())
    assert [bool(one.need) for one in judge.refused(GATE, case, *["checks.own"] * 2).findings] == [False, True]


def test_what_is_old_stays_old_in_a_renamed_file(make_case: MakeCase, judge: Judge) -> None:
    text = "bad\n" + "fine\n" * 9
    case = make_case({**TEXTS, "a.txt": text}, {"a.txt": None, "c.txt": text}, policy=matching())
    assert judge.refused(GATE, case, "checks.own").findings[0].need


def test_old_findings_do_not_explain_another_exit_code(make_case: MakeCase, judge: Judge) -> None:
    script = "grep -nH bad a.txt; exit $(cat code)"
    case = make_case({**TEXTS, "code": "1"}, {"code": "3"}, policy=matching("sh", "-c", script))
    crash, old = judge.refused(GATE, case, "checks.own", "checks.own").findings
    assert (crash.actual, crash.need) == ("3", None)
    assert old.need


def test_a_permitted_known_red_passes_and_nothing_else_slips_through(make_case: MakeCase, judge: Judge) -> None:
    policy = matching()
    case = make_case(TEXTS, {"sub/b.txt": "fine as well\n"}, policy=policy, ticket={})
    verdict = judge.refused(GATE, case, "checks.own")
    need = verdict.findings[0].need
    assert need is not None
    assert case.ticket is not None
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    identity = need.identity(case.ticket.sha256)
    grant = Grant(
        id="G-0001",
        identity=identity,
        kind=need.kind,
        subject=need.subject,
        person="Ada",
        reason="known",
        expires_at=later,
    )
    assert lifted(verdict, replace(case, grants=(grant,))).answer.value == "pass"
    unclear = {"name": "gone", "run": ["no-such-tool"]}
    both = make_case({}, {}, policy={"checks": [*policy["checks"], unclear]}, ticket={})
    both = replace(both, change=case.change, grants=(grant,))
    judge.undecided(GATE, both, "was not found")
    assert lifted(GATE.verify(both), both).answer.value == "inconclusive"


def test_paths_are_spelled_from_the_root_whatever_the_working_folder(make_case: MakeCase, judge: Judge) -> None:
    run = ("sh", "-c", "grep -nH bad b.txt && exit 1; exit 0")
    case = make_case(TEXTS, {"sub/b.txt": "bad\n"}, policy=matching(*run, cwd="sub"))
    assert judge.refused(GATE, case, "checks.own").findings[0].path == "sub/b.txt"


def test_a_working_folder_that_is_a_link_out_of_the_tree_is_none(
    make_case: MakeCase, judge: Judge, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (root / "out").symlink_to(tmp_path / "outside")
    judge.undecided(GATE, make_case(TEXTS, {"a.txt": "x\n"}, policy=one("ls", cwd="out")), "is not in this tree")


def test_a_report_behind_a_link_out_of_the_tree_is_neither_read_nor_removed(
    make_case: MakeCase, judge: Judge, root: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "r.sarif").write_text(json.dumps({"runs": [{"results": []}]}))
    (root / "out").symlink_to(outside)
    policy = one("ls", parser="sarif", report="out/r.sarif")
    judge.undecided(GATE, make_case(TEXTS, {"a.txt": "x\n"}, policy=policy), "exit code 0, but it wrote no report")
    assert (outside / "r.sarif").is_file()


def test_a_pattern_that_takes_for_ever_is_given_up(
    make_case: MakeCase, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gates.declared.check_reports.MATCH_S", 1.0)
    policy = one("cat", "a.txt", parser="regex", pattern=r"^(?P<message>(a|a)*)$")
    judge.undecided(
        GATE, make_case(TEXTS, {"a.txt": f"{'a' * 60}!\n"}, policy=policy), "could not be matched within 1 s"
    )


def test_a_flood_of_findings_is_listed_in_part(make_case: MakeCase, judge: Judge) -> None:
    case = make_case(TEXTS, {"sub/b.txt": "bad\n" * 150}, policy=matching())
    findings = judge.refused(GATE, case, *["checks.own"] * 101).findings
    assert findings[-1].message == "check own: 51 more findings"


def test_an_advisory_check_is_told_and_blocks_nothing(make_case: MakeCase, judge: Judge) -> None:
    case = make_case(TEXTS, {"sub/b.txt": "bad\n"}, policy=matching(required=False))
    verdict = judge.allowed(GATE, case)
    assert "advisory, blocks nothing: sub/b.txt:1: check own: bad (and 1 more)" in verdict.reason
    assert [receipt.exit for receipt in verdict.receipts] == [1]
    assert verdict.findings == ()


def test_the_brief_tells_what_will_run(make_case: MakeCase) -> None:
    case = make_case({}, {}, policy=matching("ls", cwd="sub", required=False), ticket={})
    assert case.ticket is not None
    assert "- own: `ls` in `sub` within 20 s (advisory" in GATE.rule(case.ticket, case.policy)
