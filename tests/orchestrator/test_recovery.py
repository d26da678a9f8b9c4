"""What follows from how runs ended, as a table of histories."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agents.causes import HANDLING, Cause
from memory.records import AttemptRow
from orchestrator.feedback import Told, for_next, in_a_row, signature, tried
from orchestrator.recovery import MOST_TROUBLE, course
from tickets.policy import read_policy

POLICY = read_policy(
    """
version = 1
[planning]
lead = "first"
[agents.first]
kind = "claude"
fallback = "second"
[agents.second]
kind = "codex"
[agents.alone]
kind = "codex"
[roles]
fixer = "alone"
"""
)


def attempts(*ends: tuple[str, Cause] | tuple[str, Cause, dict[str, Any]]) -> list[AttemptRow]:
    return [
        AttemptRow(
            ticket="T-0001",
            number=number,
            base="b",
            start="b",
            state="refused" if end[1] is Cause.DONE else "failed" if HANDLING[end[1]].counts else "interrupted",
            outcome={"agent": end[0], "cause": end[1], "reason": "why", "ended_at": 1000.0, **dict(*end[2:])},
            changes=None,
        )
        for number, end in enumerate(ends, 1)
    ]


def test_every_cause_says_what_follows() -> None:
    assert set(HANDLING) == set(Cause)


def test_a_first_attempt_is_the_roles_agents() -> None:
    assert course(POLICY, "executor", []).agent == "first"
    assert course(POLICY, "fixer", []).agent == "alone"


@pytest.mark.parametrize("cause", [Cause.SIGN_IN, Cause.MISSING, Cause.REFUSED, Cause.MODEL])
def test_what_no_second_try_mends_goes_to_the_next_agent_at_once(cause: Cause) -> None:
    assert course(POLICY, "executor", attempts(("first", cause))).agent == "second"
    ahead = course(POLICY, "fixer", attempts(("alone", cause)))
    assert "why (no other agent takes over: [agents.alone] names no fallback)" in ahead.trouble


def test_the_last_agent_in_the_row_ends_the_ticket() -> None:
    ahead = course(POLICY, "executor", attempts(("first", Cause.SIGN_IN), ("second", Cause.SIGN_IN)))
    assert "[agents.second] names no fallback" in ahead.trouble


def test_a_quota_is_waited_for_until_the_time_that_the_client_named() -> None:
    ahead = course(POLICY, "executor", attempts(("first", Cause.QUOTA, {"again_at": 4000.0})))
    assert (ahead.agent, ahead.not_before, ahead.trouble) == ("first", 4000.0, "")


def test_a_time_far_away_is_not_believed() -> None:
    ahead = course(POLICY, "executor", attempts(("first", Cause.QUOTA, {"again_at": 1e12})))
    assert ahead.not_before == 1000.0 + 6 * 3600


def test_pauses_double_and_then_another_agent_takes_over() -> None:
    once = course(POLICY, "executor", attempts(("first", Cause.RATE)))
    twice = course(POLICY, "executor", attempts(*[("first", Cause.RATE)] * 2))
    assert (once.not_before, twice.not_before) == (1010.0, 1020.0)
    often = attempts(*[("first", Cause.RATE)] * (HANDLING[Cause.RATE].tries + 1))
    assert course(POLICY, "executor", often).agent == "second"


def test_trouble_that_passed_is_forgotten() -> None:
    history = attempts(*[("first", Cause.CRASH)] * 2, ("first", Cause.DONE), *[("first", Cause.CRASH)] * 2)
    assert course(POLICY, "executor", history) == course(POLICY, "executor", [])


def test_an_agent_that_fails_in_turns_for_this_and_that_does_not_go_on_for_ever() -> None:
    turns = [("first", Cause.CRASH), ("first", Cause.PROTOCOL)] * MOST_TROUBLE
    assert course(POLICY, "executor", attempts(*turns[:MOST_TROUBLE])).agent == "first"
    assert course(POLICY, "executor", attempts(*turns[: MOST_TROUBLE + 1])).agent == "second"


@pytest.mark.parametrize("named", [999.0, -5.0, float("nan")])
def test_a_time_that_is_over_does_not_hurry_us(named: float) -> None:
    assert course(POLICY, "executor", attempts(("first", Cause.QUOTA, {"again_at": named}))).not_before == 1300.0


def test_a_client_that_crashes_on_and_on_is_replaced() -> None:
    assert course(POLICY, "executor", attempts(*[("first", Cause.CRASH)] * 3)).agent == "second"


@pytest.mark.parametrize("cause", [Cause.UNGATED, Cause.BUDGET])
def test_what_must_not_go_on_ends_the_ticket_even_where_another_agent_is_named(cause: Cause) -> None:
    assert course(POLICY, "executor", attempts(("first", cause))).trouble == "why"


# the same failure again


def report(*findings: tuple[str, str, str, int]) -> dict[str, Any]:
    gates = [
        {
            "name": gate,
            "verdict": "fail",
            "reason": f"{line} things",
            "findings": [{"rule": rule, "path": path, "line": line, "granted": None}],
        }
        for gate, rule, path, line in findings
    ]
    return {"gates": [*gates, {"name": "vcs", "verdict": "pass", "reason": "", "findings": []}]}


def test_a_failure_is_the_same_where_the_same_rules_refuse_the_same_files() -> None:
    one = signature(report(("size", "size.lines", "a.py", 10), ("tests", "tests.red", "t.py", 2)))
    moved = signature(report(("tests", "tests.red", "t.py", 90), ("size", "size.lines", "a.py", 11)))
    other = signature(report(("size", "size.lines", "b.py", 10), ("tests", "tests.red", "t.py", 2)))
    assert one == moved != other


def signed(*signatures: str) -> list[AttemptRow]:
    said = {"evidence": "### size: too long", "report": "## Summary\n\nTried this.\n"}
    return attempts(*(("first", Cause.DONE, {"signature": name, **said}) for name in signatures))


def test_the_second_time_asks_for_another_approach_and_only_then() -> None:
    assert for_next(signed("a")) == Told(evidence="### size: too long")
    assert for_next(signed("a", "a")) == Told(evidence="### size: too long", tried="1: Tried this.\n2: Tried this.")
    assert for_next(signed("a", "b")) == Told(evidence="### size: too long")
    assert [in_a_row(signed(*names)) for names in ("a", "aa", "aba", "baaa")] == [1, 2, 1, 3]


def test_a_pause_between_two_failures_does_not_hide_that_they_are_the_same() -> None:
    history = signed("a", "a")
    (pause,) = attempts(("first", Cause.RATE, {"evidence": "go on"}))
    counted = [attempt for attempt in [history[0], pause, history[1]] if attempt.counts]
    assert in_a_row(counted) == 2


PAUSE = ("first", Cause.RATE, {"evidence": "go on"})
REFUSED = ("first", Cause.DONE, {"evidence": "### size: too long"})


@pytest.mark.parametrize("between", [[PAUSE], [PAUSE, PAUSE]])
def test_findings_that_nobody_was_told_of_are_not_lost_over_a_pause(between: list[Any]) -> None:
    assert for_next(attempts(REFUSED, *between)).evidence == "go on\n\n### size: too long"


def test_findings_are_not_lost_where_the_next_attempt_was_killed() -> None:
    killed = replace(attempts(REFUSED, REFUSED)[1], state="interrupted", outcome=None)
    assert for_next([*attempts(REFUSED), killed]).evidence == "### size: too long"


def test_findings_that_were_mended_are_not_told_again() -> None:
    passed = replace(attempts(REFUSED, REFUSED)[1], state="passed", outcome={"agent": "first", "cause": "done"})
    assert for_next([*attempts(REFUSED), passed]) == Told()


def test_what_was_tried_is_told_by_the_agents_own_summaries() -> None:
    assert tried(signed("a", "a")) == ["1: Tried this.", "2: Tried this."]
