from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gates.builtin.tamper import GATE
from gates.cases.tamper import ADD, BASE, TESTS
from gates.protocol import Call
from tickets.policy import Policy

if TYPE_CHECKING:
    from tests.gates.conftest import Judge, MakeCase


def test_a_person_can_permit_each_weakened_test_for_exactly_this_text(make_case: MakeCase, judge: Judge) -> None:
    weaker = {"tests/test_calc.py": TESTS.replace(ADD, "")}
    first = judge.refused(GATE, make_case(BASE, weaker, ticket={}), "tamper.weakened").findings[0]
    assert first.need
    assert (first.need.kind, first.line) == ("tests", 6)
    again = judge.refused(
        GATE, make_case(BASE, {"tests/test_calc.py": weaker["tests/test_calc.py"] + "\n"}, ticket={}), "tamper.weakened"
    )
    assert again.findings[0].need != first.need


def test_files_that_are_no_python_any_more_are_another_gates_finding(make_case: MakeCase, judge: Judge) -> None:
    judge.allowed(GATE, make_case(BASE, {"tests/test_calc.py": "def (:\n", "src/calc.py": "def (:\n"}, ticket={}))


@pytest.mark.parametrize(
    ("path", "answer"), [("tests/conftest.py", "refused"), (".github/x.yml", "refused"), ("src/calc.py", "free")]
)
def test_the_live_answer_is_that_of_the_verification(make_case: MakeCase, path: str, answer: str) -> None:
    ticket = make_case(BASE, {"x": "x"}, ticket={}).ticket
    assert ticket
    assert ("free" if GATE.permits(Call(kind="write", path=path), ticket, Policy()) is None else "refused") == answer
