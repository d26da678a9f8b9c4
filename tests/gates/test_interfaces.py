from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gates.builtin.interfaces import GATE
from gates.protocol import Call

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gates.conftest import Judge, MakeAttempt, MakeCase

SHARED = {"scope": {"shared_interfaces": ["**/protocol.py"]}}
BASE = {"hub/protocol.py": "class Model:\n    pass\n"}


def test_live_and_afterwards_the_answer_is_the_same(make_case: MakeCase, judge: Judge) -> None:
    change = {"hub/protocol.py": "class Model:\n    x = 1\n"}
    executor = make_case(BASE, change, ticket={}, policy=SHARED)
    lead = make_case(BASE, change, ticket={"role": "lead"}, policy=SHARED)
    assert executor.ticket
    assert lead.ticket
    write = Call(kind="write", path="hub/protocol.py")
    assert "only the lead" in (GATE.permits(write, executor.ticket, executor.policy) or "")
    assert GATE.permits(Call(kind="read", path="hub/protocol.py"), executor.ticket, executor.policy) is None
    assert GATE.permits(Call(kind="write", path="hub/x.py"), executor.ticket, executor.policy) is None
    judge.refused(GATE, executor, "interfaces.shared")
    assert GATE.permits(write, lead.ticket, lead.policy) is None
    judge.allowed(GATE, lead)


def test_what_a_person_permits_is_bound_to_the_new_content(make_case: MakeCase, judge: Judge) -> None:
    needs = []
    for text in ("x = 1\n", "x = 2\n", None):
        verdict = judge.refused(
            GATE, make_case(BASE, {"hub/protocol.py": text}, ticket={}, policy=SHARED), "interfaces.shared"
        )
        needs.append(verdict.findings[0].need)
    assert {need.subject for need in needs if need} == {"hub/protocol.py"}
    assert len({need.bound for need in needs if need}) == 3
    assert needs[2]
    assert needs[2].bound == "deleted"


def test_a_changed_mode_is_a_change(make_attempt: MakeAttempt, judge: Judge) -> None:
    def act(tree: Path) -> None:
        (tree / "hub" / "protocol.py").chmod(0o755)

    case = make_attempt({**BASE, "orchestrate.toml": ""}, act)
    shared = case.policy.scope.model_copy(update={"shared_interfaces": ("hub/**",)})
    policy = case.policy.model_copy(update={"scope": shared})
    (finding,) = judge.refused(GATE, replace(case, policy=policy), "interfaces.shared").findings
    assert "another mode" in finding.message


def test_the_rule_names_the_globs_and_says_nothing_without_any(make_case: MakeCase) -> None:
    case = make_case(BASE, {}, ticket={}, policy=SHARED)
    assert case.ticket
    assert "`**/protocol.py`" in GATE.rule(case.ticket, case.policy)
    assert GATE.rule(case.ticket, make_case({}, {}).policy) == ""
