from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gates.builtin.checks import GATE

if TYPE_CHECKING:
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
