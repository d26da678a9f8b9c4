from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gates.builtin.smoke import GATE

if TYPE_CHECKING:
    from tests.gates.conftest import Judge, MakeCase

BASE = {"a.py": "x = 1\n", "old/m.json": "{}\n"}


def smoke(run: Any, *produces: str, timeout_s: float = 20) -> dict[str, Any]:
    return {"smoke": {"run": run, "produces": produces, "timeout_s": timeout_s}}


MAKE = "mkdir -p out && echo 1 > out/m.json"


@pytest.mark.parametrize(
    ("ticket", "rules"),
    [
        (smoke("exit 3", "out/m.json"), ["smoke.failed"]),
        (smoke(f"{MAKE}; exit 1", "out/m.json"), ["smoke.failed"]),
        (smoke("true", "out/m.json"), ["smoke.not-produced"]),
        (smoke("mkdir out; : > out/m.json", "out/*.json"), ["smoke.not-produced"]),
        (smoke("mkdir out; ln -s ../a.py out/m.json", "out/*.json"), ["smoke.not-produced"]),
        (smoke("mkdir -p out/m.json", "out/m.json"), ["smoke.not-produced"]),
        (smoke(MAKE, "out/m.json", "out/n.json", "x/**"), ["smoke.not-produced"] * 2),
        (smoke(f"{MAKE}; echo 2 > old/m.json", "old/m.json"), ["smoke.there-before"]),
        (smoke("sleep 60", timeout_s=0.3), ["smoke.too-slow"]),
    ],
    ids=["red", "red but produced", "nothing", "empty", "symlink", "folder", "one of three", "old file", "too slow"],
)
def test_refused(make_case: MakeCase, judge: Judge, ticket: dict[str, Any], rules: list[str]) -> None:
    judge.refused(GATE, make_case(BASE, {"a.py": "x = 2\n"}, ticket=ticket), *rules)


def test_the_bound_is_named(make_case: MakeCase, judge: Judge) -> None:
    found = judge.refused(
        GATE, make_case(BASE, {}, ticket=smoke("sleep 60", timeout_s=0.3)), "smoke.too-slow"
    ).findings[0]
    assert (found.limit, found.actual[:13]) == ("0.3 s", "stopped after")


@pytest.mark.parametrize(
    "ticket",
    [
        smoke(MAKE, "out/m.json"),
        smoke(["python", "-c", "open('deep.bin', 'wb').write(b'x')"], "**/*.bin"),
        smoke("true"),
    ],
    ids=["produced", "by a glob", "nothing promised"],
)
def test_allowed(make_case: MakeCase, judge: Judge, ticket: dict[str, Any]) -> None:
    judge.allowed(GATE, make_case(BASE, {"a.py": "x = 2\n"}, ticket=ticket))


def test_it_can_be_repeated_because_the_tree_comes_back_clean(make_case: MakeCase, judge: Judge) -> None:
    case = make_case(BASE, {"a.py": "x = 2\n"}, ticket=smoke(MAKE, "out/m.json"))
    judge.allowed(GATE, case)
    judge.allowed(GATE, case)


@pytest.mark.parametrize("ticket", [None, {}], ids=["no ticket", "no smoke"])
def test_not_applicable(make_case: MakeCase, judge: Judge, ticket: dict[str, Any] | None) -> None:
    assert judge.allowed(GATE, make_case(BASE, {}, ticket=ticket)).reason.startswith("not applicable")


def test_a_missing_program_accuses_nobody(make_case: MakeCase, judge: Judge) -> None:
    judge.undecided(GATE, make_case(BASE, {}, ticket=smoke(["no-such-program"])), "was not found")
