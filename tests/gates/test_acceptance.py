from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gates.builtin.acceptance import GATE

if TYPE_CHECKING:
    from tests.gates.conftest import Judge, MakeCase

BASE = {"pack/__init__.py": "x = 1\n"}
CHANGE = {"pack/__init__.py": "x = 2\n"}


def accepted(*runs: Any, timeout_s: float = 20) -> dict[str, Any]:
    return {"acceptance": [{"run": run, "timeout_s": timeout_s} for run in runs]}


@pytest.mark.parametrize(
    ("ticket", "count"),
    [
        (accepted("false"), 1),
        (accepted(["python", "-c", "import pack; assert pack.x == 3"]), 1),
        (accepted("python -c 'import pack; assert pack.x == 1'"), 1),
        (accepted("test -e made.txt"), 1),
        (accepted("false", "true", "exit 4"), 2),
        (accepted("no-such-program"), 1),
        (accepted("echo fine | grep bad"), 1),
    ],
    ids=["red", "argv", "the change is what runs", "not there", "all run", "unknown to the shell", "pipe"],
)
def test_refused(make_case: MakeCase, judge: Judge, ticket: dict[str, Any], count: int) -> None:
    verdict = judge.refused(GATE, make_case(BASE, CHANGE, ticket=ticket), *["acceptance.failed"] * count)
    assert len(verdict.receipts) == len(ticket["acceptance"])


@pytest.mark.parametrize(
    "ticket",
    [
        accepted("true"),
        accepted(["python", "-c", "import pack; assert pack.x == 2"]),
        accepted("true && test -d pack", "echo hi"),
    ],
    ids=["green", "the change is what runs", "two"],
)
def test_allowed(make_case: MakeCase, judge: Judge, ticket: dict[str, Any]) -> None:
    verdict = judge.allowed(GATE, make_case(BASE, CHANGE, ticket=ticket))
    assert all(receipt.exit == 0 and receipt.output_sha256 and receipt.log for receipt in verdict.receipts)


@pytest.mark.parametrize("ticket", [None, {"acceptance": ()}], ids=["no ticket", "no command"])
def test_not_applicable(make_case: MakeCase, judge: Judge, ticket: dict[str, Any] | None) -> None:
    assert judge.allowed(GATE, make_case(BASE, CHANGE, ticket=ticket)).reason.startswith("not applicable")


@pytest.mark.parametrize(
    ("ticket", "why"),
    [(accepted("sleep 60", timeout_s=0.3), "still running"), (accepted(["no-such-program"]), "was not found")],
    ids=["time-out", "missing program"],
)
def test_inconclusive(make_case: MakeCase, judge: Judge, ticket: dict[str, Any], why: str) -> None:
    judge.undecided(GATE, make_case(BASE, CHANGE, ticket=ticket), why)


def test_each_command_finds_a_clean_tree(make_case: MakeCase, judge: Judge) -> None:
    judge.allowed(
        GATE,
        make_case(
            BASE,
            CHANGE,
            ticket=accepted("touch left; rm pack/__init__.py", "test ! -e left && test -e pack/__init__.py"),
        ),
    )
