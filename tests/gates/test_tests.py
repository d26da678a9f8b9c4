from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gates.builtin.tests import GATE, NOTHING_COLLECTED
from gates.cases.tests import PYTEST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.gates.conftest import DictStore, Judge, MakeCase

POLICY = {"tests": {"run": PYTEST, "timeout_s": 60}}
TESTS = """\
import pytest

def test_one():
    assert True

@pytest.mark.parametrize("x", ["a::b", "c"])
def test_each(x):
    assert x

class TestGroup:
    def test_two(self):
        assert 1 + 1 == 2
"""
MORE = "def test_three():\n    assert True\n"
BASE = {"tests/test_a.py": TESTS, "tests/test_b.py": MORE, "code.py": "x = 1\n"}
SKIP = "@pytest.mark.skip(reason='later')\ndef test_one"
XFAIL = "@pytest.mark.xfail(strict=False)\ndef test_one"


def with_tests(old: str, new: str) -> dict[str, str | None]:
    assert old in TESTS
    return {"tests/test_a.py": TESTS.replace(old, new)}


def selecting(*entries: str, floor: int = 0) -> dict[str, Any]:
    return {"tests": {"select": entries, "floor": floor}}


def some_at_once(names: Iterable[str], *quick: str) -> list[Any]:
    """The shipped cases of the gate play the others, each in its own way."""
    return [pytest.param(name, marks=[] if name in quick else pytest.mark.long) for name in names]


def running(*words: str, **more: Any) -> dict[str, Any]:
    return {"tests": {"run": words, **more}}


REFUSED: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "a test removed": (with_tests("def test_one():\n    assert True\n", ""), ["removed"], "tests/test_a.py::test_one ran"),
    "a test renamed": (with_tests("test_one", "test_won"), ["removed"], "tests/test_a.py::test_one ran"),
    "a method removed": (with_tests("test_two", "two"), ["removed"], "tests/test_a.py::TestGroup::test_two ran"),
    "a parameter removed": (with_tests('"a::b", ', ""), ["removed"], "tests/test_a.py::test_each[a::b] ran"),
    "a file removed": ({"tests/test_b.py": None}, ["removed"], "tests/test_b.py::test_three ran"),
    "a file renamed out of sight": ({"tests/test_b.py": None, "tests/b.txt": MORE}, ["removed"], "tests/test_b.py::test_three ran"),
    "a module skipped": ({"tests/test_b.py": "import pytest\npytest.skip('no', allow_module_level=True)\n" + MORE}, ["removed"], "test_three"),
    "deselected": ({"pytest.ini": "[pytest]\naddopts = -k 'not three'\n"}, ["removed"], "tests/test_b.py::test_three ran"),
    "everything removed": ({"tests/test_a.py": None, "tests/test_b.py": None}, ["removed"] * 5, "removed, renamed"),
    "newly skipped": (with_tests("def test_one", SKIP), ["newly-skipped"], "test_one is skipped now (later); at the base it passed"),
    "newly xfailed": (with_tests("def test_one():\n    assert True", f"{XFAIL}():\n    assert False"), ["newly-xfailed"], "at the base it passed"),
    "failing": (with_tests("1 + 1 == 2", "1 + 1 == 3"), ["failed"], "tests/test_a.py::TestGroup::test_two failed: assert (1 + 1) == 3"),
    "a fixture that fails": ({"tests/test_c.py": "def test_new(nothing):\n    pass\n"}, ["failed"], "error"),
    "not collected": ({"tests/test_b.py": "import no_such_module\n" + MORE}, ["collection"], "No module named 'no_such_module'"),
    "no Python": ({"tests/test_b.py": "def test_three(:\n"}, ["collection"], "tests/test_b.py could not be collected"),
}  # fmt: skip


@pytest.mark.parametrize("name", some_at_once(REFUSED, "a test removed", "newly skipped", "failing", "not collected"))
def test_refused(make_case: MakeCase, judge: Judge, name: str) -> None:
    change, rules, said = REFUSED[name]
    verdict = judge.refused(GATE, make_case(BASE, change, policy=POLICY), *(f"tests.{rule}" for rule in rules))
    assert said in " ".join(finding.message for finding in verdict.findings)
    assert all(finding.path for finding in verdict.findings)


ALLOWED: dict[str, dict[str, Any]] = {
    "a test added": {"tests/test_c.py": "def test_new():\n    assert True\n"},
    "a test rewritten": with_tests("assert True", "assert 1"),
    "a whole file renamed": {"tests/test_b.py": None, "tests/deep/test_z.py": MORE},
    "a new test that is skipped": {"tests/test_c.py": "import pytest\n@pytest.mark.skip\ndef test_new():\n    pass\n"},
    "no test touched": {"code.py": "x = 2\n"},
}


@pytest.mark.parametrize("name", some_at_once(ALLOWED, "a test added"))
def test_allowed(make_case: MakeCase, judge: Judge, name: str) -> None:
    verdict = judge.allowed(GATE, make_case(BASE, ALLOWED[name], policy=POLICY))
    assert "all 5 tests of the base ran" in verdict.reason


def test_what_was_skipped_and_xfailed_before_may_stay_so(make_case: MakeCase, judge: Judge) -> None:
    base = {
        "test_a.py": f"import pytest\n{SKIP}(): pass\n{XFAIL.replace('one', 'two')}(): assert 0\ndef test_ok(): pass\n"
    }
    judge.allowed(GATE, make_case(base, {"code.py": "x = 1\n"}, policy=POLICY))


@pytest.mark.long
def test_a_failure_is_found_with_its_place(make_case: MakeCase, judge: Judge) -> None:
    found = judge.refused(GATE, make_case(BASE, with_tests("1 + 1 == 2", "0"), policy=POLICY), "tests.failed").findings[
        0
    ]
    assert (found.path, found.line, found.actual) == ("tests/test_a.py", 12, "failed")


def test_a_failure_of_the_base_is_named_as_such_and_blocks(make_case: MakeCase, judge: Judge) -> None:
    base = {**BASE, "tests/test_b.py": "def test_three():\n    assert 0\n"}
    verdict = judge.refused(GATE, make_case(base, {"code.py": "x = 2\n"}, policy=POLICY), "tests.failed")
    assert "fails on the base as well" in verdict.reason


def test_a_repository_without_tests_may_get_its_first(make_case: MakeCase, judge: Judge) -> None:
    policy = running(*PYTEST, "tests")
    verdict = judge.allowed(GATE, make_case({"code.py": "x = 1\n"}, {"tests/test_b.py": MORE}, policy=policy))
    assert "1 passed; all 0 tests" in verdict.reason


FLAKY = "import pathlib\ndef test_shy():\n    seen = pathlib.Path.home() / 'seen'\n    if not seen.exists():\n        seen.touch()\n        assert 0\n"


def test_a_test_that_passes_when_run_again_is_named_flaky(make_case: MakeCase, judge: Judge) -> None:
    verdict = judge.allowed(GATE, make_case(BASE, {"tests/test_c.py": FLAKY}, policy=POLICY))
    said = "flaky: failed once, passed when run again: tests/test_c.py::test_shy"
    assert said in verdict.reason
    assert [(finding.rule, finding.message) for finding in verdict.findings] == [("tests.flaky", said)]
    assert [receipt.exit for receipt in verdict.receipts] == [1, 0]


@pytest.mark.parametrize(
    ("ticket", "rules"),
    [
        pytest.param(selecting("tests/test_c.py"), ["tests.select"], marks=pytest.mark.long),
        pytest.param(selecting("tests/test_a.py::test_none"), ["tests.select"], marks=pytest.mark.long),
        (selecting("tests/test_a.py::test_on"), ["tests.select"]),
        pytest.param(selecting("tests/test_a.py", floor=5), ["tests.floor"], marks=pytest.mark.long),
        (selecting(floor=6), ["tests.floor"]),
    ],
    ids=["missing file", "missing test", "half a name", "too few selected", "too few at all"],
)
def test_what_the_ticket_selects_must_have_passed(
    make_case: MakeCase, judge: Judge, ticket: dict[str, Any], rules: list[str]
) -> None:
    judge.refused(GATE, make_case(BASE, {"code.py": "x = 2\n"}, ticket=ticket, policy=POLICY), *rules)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param("tests", marks=pytest.mark.long),
        pytest.param("./tests/test_b.py", marks=pytest.mark.long),
        pytest.param("tests/test_a.py::TestGroup", marks=pytest.mark.long),
        pytest.param("tests/test_a.py::test_each", marks=pytest.mark.long),
        "tests/test_a.py::test_each[a::b]",
    ],
)
def test_a_selection_names_a_folder_a_file_a_class_or_a_test(make_case: MakeCase, judge: Judge, entry: str) -> None:
    verdict = judge.allowed(
        GATE, make_case(BASE, {"code.py": "x = 2\n"}, ticket=selecting(entry, floor=1), policy=POLICY)
    )
    assert "5 passed" in verdict.reason  # a selection never narrows what runs


@pytest.mark.long
def test_a_selection_beside_the_own_paths_runs_in_addition(make_case: MakeCase, judge: Judge) -> None:
    policy = running(*PYTEST, "tests")
    case = make_case(
        BASE, {"extra/test_x.py": "def test_x(): pass\n"}, ticket=selecting("extra/test_x.py"), policy=policy
    )
    assert "6 passed" in judge.allowed(GATE, case).reason


SMALL = {"test_b.py": MORE}
UNDECIDED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no test anywhere": ({"test_b.py": None, "x.md": "x"}, POLICY, NOTHING_COLLECTED),
    "time-out": ({"test_c.py": "import time\ndef test_c(): time.sleep(60)\n"}, running(*PYTEST, timeout_s=2), "still running"),
    "a runner that exits early": ({"conftest.py": "import os\nos._exit(0)\n"}, POLICY, "exit code 0, but no report"),
    "a killed runner": ({"test_c.py": "import os\ndef test_c(): os.kill(os.getpid(), 9)\n"}, POLICY, "killed"),
    "a crashed runner": ({"test_c.py": "import os\ndef test_c(): os.kill(os.getpid(), 11)\n"}, POLICY, "died of signal 11"),
    "an exit code that lies": ({"conftest.py": "def pytest_sessionfinish(session): session.exitstatus = 0\n", "test_c.py": "def test_c(): assert 0\n"}, POLICY, "its exit code is 0, but"),
    "red without a failure": ({"conftest.py": "def pytest_sessionfinish(session): session.exitstatus = 1\n"}, POLICY, "names no test that failed"),
    "wrong usage": ({"x.md": "x"}, running(*PYTEST, "--no-such-option"), "ended with 4"),
    "missing program": ({"x.md": "x"}, running("no-such-program", "pytest"), "was not found"),
    "a runner without a report": ({"x.md": "x"}, running("true"), "wrote no new JUnit report"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNDECIDED)
def test_inconclusive(make_case: MakeCase, judge: Judge, store: DictStore, name: str) -> None:
    change, policy, why = UNDECIDED[name]
    base = {"x.txt": "x"} if name == "no test anywhere" else SMALL
    change = {"x.md": "x"} if name == "no test anywhere" else change
    judge.undecided(GATE, make_case(base, change, policy=policy), why)
    assert not [key for key in store.puts if key.startswith("tests:run:")]


@pytest.mark.parametrize(
    ("policy", "ticket", "answer"),
    [(running(), None, "pass"), (running(), {}, "pass"), (running(), selecting("tests"), "inconclusive")],
    ids=["no command", "no command for a ticket", "a selection needs one"],
)
def test_a_repository_that_names_no_test_command(
    make_case: MakeCase, policy: dict[str, Any], ticket: dict[str, Any] | None, answer: str
) -> None:
    assert GATE.verify(make_case(SMALL, {"x": "x"}, ticket=ticket, policy=policy)).answer.value == answer


def test_the_persons_own_pytest_options_are_not_inherited(
    make_case: MakeCase, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--deselect test_b.py")
    monkeypatch.setenv("PYTEST_PLUGINS", "no_such_plugin")
    judge.allowed(GATE, make_case(SMALL, {"x": "x"}, policy=POLICY))


def test_the_same_tree_is_never_tested_twice(make_case: MakeCase, judge: Judge, store: DictStore) -> None:
    case = make_case(SMALL, {"x": "x"}, policy=POLICY)
    judge.allowed(GATE, case)
    judge.allowed(GATE, case)
    assert sorted(key.rsplit(":", 1)[0] for key in store.puts) == ["tests:collected", "tests:run"]
    after = make_case({}, {"x": "y"}, policy=POLICY)  # its base is the tree that was tested above
    judge.allowed(GATE, after)
    assert sorted(key.rsplit(":", 1)[0] for key in store.puts) == ["tests:collected", "tests:run", "tests:run"]


RUNNER = """\
import os, sys
cases = open("cases").read().split()
bad = [c for c in cases if c.startswith("bad")]
body = "".join(f'<testcase classname="suite" name="{c}">' + ("<failure message='no'/>" if c in bad else "") + "</testcase>" for c in cases)
place = os.environ["ORCHESTRATE_JUNIT"] if sys.argv[1] == "asked" else sys.argv[1]
open(place, "w").write(f'<testsuite tests="{len(cases) + int(sys.argv[2])}" failures="{len(bad)}">{body}</testsuite>')
sys.exit(len(bad))
"""
OTHER = {"runner.py": RUNNER, "cases": "one two", "old.xml": "<testsuite tests='0'/>"}


@pytest.mark.parametrize(
    ("place", "miscount", "cases", "answer"),
    [
        ("asked", "0", "one two three", "pass"),
        ("made.xml", "0", "one two", "pass"),
        ("asked", "0", "one", "fail"),
        ("asked", "0", "one two bad", "fail"),
        ("old.xml", "0", "one two", "inconclusive"),
        ("asked", "1", "one two", "inconclusive"),
    ],
    ids=["where it was asked", "where the policy says", "removed", "failed", "an old file", "wrong totals"],
)
def test_other_runners_report_as_junit(make_case: MakeCase, place: str, miscount: str, cases: str, answer: str) -> None:
    policy = running("python", "runner.py", place, miscount, junit="*.xml")
    assert GATE.verify(make_case(OTHER, {"cases": cases, "x": "x"}, policy=policy)).answer.value == answer
