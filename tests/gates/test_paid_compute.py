from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gates.builtin.paid_compute import GATE
from gates.protocol import Call
from tickets.policy import Policy

if TYPE_CHECKING:
    from tests.gates.conftest import Judge, MakeCase

GOOD = """import modal

app = modal.App("train")


@app.function(retries=2, timeout=60)
def train(rate):
    return rate
"""


def test_stopping_a_job_is_what_a_person_can_permit_and_a_habit_is_not(make_case: MakeCase, judge: Judge) -> None:
    change = {"job.py": f"{GOOD}\n\ndef end(rates):\n    app.stop()\n    return list(train.map(rates))\n"}
    verdict = judge.refused(GATE, make_case({"job.py": GOOD}, change), "paid-compute.stop", "paid-compute.map")
    needs = {finding.rule: finding.need for finding in verdict.findings}
    assert needs["paid-compute.map"] is None
    stop = needs["paid-compute.stop"]
    assert stop is not None
    assert (stop.kind, stop.subject) == ("stop-job", "job.py: app.stop")


def test_a_finding_names_its_line(make_case: MakeCase, judge: Judge) -> None:
    change = {"job.py": f"# one\n# two\n{GOOD}\n\nlist(train.map([1]))\n"}
    (finding,) = judge.refused(GATE, make_case({"job.py": GOOD}, change), "paid-compute.map").findings
    assert finding.line == change["job.py"].count("\n")


def test_a_second_bad_habit_beside_an_old_one_is_found(make_case: MakeCase, judge: Judge) -> None:
    old = f"{GOOD}\n\ndef first(rates):\n    return list(train.map(rates))\n"
    new = f"{old}\n\ndef second(rates):\n    return list(train.map(rates))\n"
    judge.refused(GATE, make_case({"job.py": old}, {"job.py": new}), "paid-compute.map")


def test_names_assigned_in_circles_end(make_case: MakeCase, judge: Judge) -> None:
    circles = "a = b = c = train\na = b\nb = c\nc = a\na = a.with_options()\nopts = {'x': a}\na = opts\n"
    change = {"job.py": f"{GOOD}\n\n{circles}print(a.spawn, opts)\n"}
    judge.allowed(GATE, make_case({"job.py": GOOD}, change))


def test_a_very_deep_expression_is_read_to_its_end(make_case: MakeCase, judge: Judge) -> None:
    deep = " + ".join(["1"] * 900)
    judge.refused(GATE, make_case({}, {"job.py": f"{GOOD}\n\nx = {deep}\nlist(train.map([x]))\n"}), "paid-compute.map")


@pytest.mark.parametrize(
    "command", ["modal app stop ap-1", "cd x && uvx modal container stop ta-1", "python -m modal app --env x stop y"]
)
def test_commands_that_stop_a_job_are_refused_live(make_case: MakeCase, command: str) -> None:
    ticket = make_case({}, {}, ticket={}).ticket
    assert ticket is not None
    assert "a person" in (GATE.permits(Call(kind="run", command=command), ticket, Policy()) or "")


@pytest.mark.parametrize("command", ["modal app list", "modal run x.py", "nonmodal app stop", "modal app logs stop"])
def test_other_commands_are_free(make_case: MakeCase, command: str) -> None:
    ticket = make_case({}, {}, ticket={}).ticket
    assert ticket is not None
    assert GATE.permits(Call(kind="run", command=command), ticket, Policy()) is None


def test_without_modal_it_does_not_apply(make_case: MakeCase, judge: Judge) -> None:
    case = make_case({}, {"a.py": "print(1)\n"})
    assert judge.allowed(GATE, case).reason.startswith("not applicable: ")


def test_the_rule_follows_the_policy(make_case: MakeCase) -> None:
    ticket = make_case({}, {}, ticket={}).ticket
    assert ticket is not None
    assert "`.spawn`" in GATE.rule(ticket, Policy())
    assert "`.spawn`" not in GATE.rule(ticket, Policy.model_validate({"paid_compute": {"fan_out": "any"}}))
