from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gates import runner
from gates.protocol import Gate, key
from gates.verdict import Answer, Finding, GateReceipt, Verdict, inconclusive, judged, passed
from tickets.policy import Policy

if TYPE_CHECKING:
    from gates.protocol import Case
    from tests.gates.conftest import DictStore, MakeCase

FINDING = Finding(rule="x.y", message="no", path="a.py", line=3, limit="1", actual="2")


class Counted:
    """A gate that answers as told and counts how often it was asked."""

    def __init__(self, answer: Verdict | Exception) -> None:
        self.answer, self.asked = answer, 0

    def __call__(self, _case: Case) -> Verdict:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def gate(self, name: str = "counted", **more: Any) -> dict[str, Gate]:
        fields = {"name": name, "judges": "change", "rule": lambda _ticket, _policy: "", "verify": self}
        return {name: Gate(**{**fields, **more})}


PASSED, FAILED, UNCLEAR = passed("fine"), judged([FINDING], otherwise=""), inconclusive("who knows")


@pytest.fixture
def case(make_case: MakeCase) -> Case:
    return make_case({"a.py": "a = 1\n"}, {"a.py": "a = 2\n"}, ticket={})


@pytest.mark.parametrize("answer", [PASSED, FAILED], ids=["pass", "fail"])
def test_the_same_question_is_not_asked_twice(case: Case, answer: Verdict) -> None:
    gate = Counted(answer)
    (first,), (second,) = runner.judge(case, gate.gate()), runner.judge(case, gate.gate())
    assert (gate.asked, first.cached, second.cached) == (1, False, True)
    assert first.verdict == second.verdict == answer


def test_inconclusive_is_never_kept(case: Case, store: DictStore) -> None:
    gate = Counted(UNCLEAR)
    runner.judge(case, gate.gate())
    (again,) = runner.judge(case, gate.gate())
    assert (gate.asked, again.cached, store.rows) == (2, False, {})


@pytest.mark.parametrize(
    "error", [ValueError("odd"), KeyError("x"), OSError(28, "No space left"), RecursionError("deep")], ids=repr
)
def test_a_gate_that_breaks_has_not_judged(case: Case, store: DictStore, error: Exception) -> None:
    (result,) = runner.judge(case, Counted(error).gate())
    assert result.verdict.answer is Answer.INCONCLUSIVE
    assert type(error).__name__ in result.verdict.reason
    assert store.rows == {}


def test_all_gates_are_asked_whatever_one_says(case: Case) -> None:
    told: list[str] = []
    gates = {**Counted(FAILED).gate("one"), **Counted(OSError("x")).gate("two"), **Counted(PASSED).gate("three")}
    results = runner.judge(case, gates, tell=told.append)
    assert [result.name for result in results] == told == ["one", "two", "three"]
    assert runner.overall(results) is Answer.FAIL


@pytest.mark.parametrize(
    ("answers", "whole"),
    [
        ([PASSED, PASSED], "pass"),
        ([PASSED, UNCLEAR], "inconclusive"),
        ([UNCLEAR, FAILED, PASSED], "fail"),
        ([], "pass"),
    ],
)
def test_the_worst_answer_is_the_answer(case: Case, answers: list[Verdict], whole: str) -> None:
    gates = {name: gate for at, answer in enumerate(answers) for name, gate in Counted(answer).gate(f"g{at}").items()}
    assert runner.overall(runner.judge(case, gates)).value == whole


@pytest.mark.parametrize("judges", ["change", "tree"])
@pytest.mark.parametrize(
    "other",
    [
        lambda _case, make: make({}, {"a.py": "a = 3\n"}, ticket={}),
        lambda _case, make: make({"b.py": "b = 1\n"}, {"a.py": "a = 2\n"}, ticket={}),
        lambda case, _make: replace(case, ticket=case.ticket.model_copy(update={"title": "Another"})),
        lambda case, _make: replace(case, ticket=None),
        lambda case, _make: replace(case, policy=Policy(version=1, checks=({"name": "c", "run": ["true"]},))),
    ],
    ids=["another change", "another base", "another ticket", "no ticket", "another policy"],
)
def test_another_question_is_asked_anew(case: Case, make_case: MakeCase, judges: str, other: Any) -> None:
    gate = Counted(PASSED)
    runner.judge(case, gate.gate(judges=judges))
    (result,) = runner.judge(other(case, make_case), gate.gate(judges=judges))
    assert (gate.asked, result.cached) == (2, False)


@pytest.mark.parametrize("change", [{"report": "done"}, {"evidence": ("moved",)}], ids=["report", "evidence"])
def test_a_gate_on_the_change_is_asked_anew_when_its_evidence_differs(case: Case, change: dict[str, Any]) -> None:
    (gate,) = Counted(PASSED).gate().values()
    assert key(gate, case) != key(gate, replace(case, **change))


def test_another_version_of_a_gate_is_asked_anew(case: Case) -> None:
    gate = Counted(PASSED)
    runner.judge(case, gate.gate())
    runner.judge(case, gate.gate(version="2"))
    assert gate.asked == 2


def test_later_gates_see_what_earlier_ones_measured(case: Case) -> None:
    seen: list[tuple[tuple[str, int | None], ...]] = []

    def look(case: Case) -> Verdict:
        seen.append(case.known_receipts)
        return PASSED

    receipt = GateReceipt(command="true", exit=0, seconds=0.1, output_sha256="", log="")
    runner.judge(case, {**Counted(passed("ran", receipt)).gate("one"), **Counted(PASSED).gate("two", verify=look)})
    assert seen == [(("true", 0),)]


def test_a_verdict_survives_its_way_through_the_store() -> None:
    assert Verdict.from_json(FAILED.to_json()) == FAILED
