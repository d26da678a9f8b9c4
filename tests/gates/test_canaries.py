"""The harness's own tests among those of a tree: they run whatever the command selects, and nobody sees them afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gates.builtin.tests import GATE
from gates.cases.tests import BASE, FORGED, PYTEST
from gates.testing import suite

if TYPE_CHECKING:
    from tests.gates.conftest import Judge, MakeCase

FREE = tuple(word for at, word in enumerate(PYTEST) if "no:xdist" not in PYTEST[at : at + 2])
COMMANDS = {
    "stops at the first failure": (*PYTEST, "-x"),
    "selects by name": (*PYTEST, "-k", "two"),
    "selects by mark": (*PYTEST, "-m", "not slow"),
    "names its files": (*PYTEST, "test_a.py"),
    "takes no unknown marks and no warnings": (*PYTEST, "--strict-markers", "-W", "error"),
    "imports in another way": (*PYTEST, "--import-mode=importlib"),
    "runs in two processes": (*FREE, "-n", "2"),
}


QUICK = "stops at the first failure"
EACH = [pytest.param(name, marks=[] if name == QUICK else pytest.mark.long) for name in COMMANDS]


@pytest.mark.parametrize("name", EACH)
def test_every_kind_of_command_has_them_and_none_shows_them(make_case: MakeCase, judge: Judge, name: str) -> None:
    policy = {"tests": {"run": COMMANDS[name], "timeout_s": 60}}
    case = make_case(BASE, {"x.md": "x"}, policy=policy)
    verdict = judge.allowed(GATE, case)
    assert verdict.reason == "1 passed; all 1 tests of the base ran"
    assert [receipt.exit for receipt in verdict.receipts] == [0]
    assert list(suite.of_change(case).states) == ["test_a.py::test_two"]


@pytest.mark.parametrize("name", [QUICK, pytest.param("runs in two processes", marks=pytest.mark.long)])
def test_a_forged_run_is_refused_under_every_command(make_case: MakeCase, judge: Judge, name: str) -> None:
    change = {"calc.py": f"{FORGED}def two():\n    return 3\n"}
    case = make_case(BASE, change, policy={"tests": {"run": COMMANDS[name], "timeout_s": 60}})
    judge.refused(GATE, case, "tests.canary")


FLOOR = "import pytest\n\n\n@pytest.hookimpl(hookwrapper=True)\ndef pytest_runtestloop(session):\n    yield\n    assert session.testsfailed == 0\n    session.testsfailed += 1\n"


def test_a_floor_that_fails_a_green_run_still_does(make_case: MakeCase, judge: Judge) -> None:
    case = make_case({**BASE, "conftest.py": FLOOR}, {"x": "x"}, policy={"tests": {"run": PYTEST, "timeout_s": 60}})
    judge.undecided(GATE, case, "names no test that failed")
