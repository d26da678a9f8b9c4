from __future__ import annotations

from typing import TYPE_CHECKING

from gates.builtin.logging import GATE

if TYPE_CHECKING:
    from tests.gates.conftest import Judge, MakeCase

LEAK = "import torch\n\n\ndef f(batch):\n    print(\n        'got',\n        batch,\n    )\n"


def test_a_finding_says_where_what_is_shown_and_what_to_do(make_case: MakeCase, judge: Judge) -> None:
    (finding,) = judge.refused(GATE, make_case({}, {"a.py": LEAK}), "logging.data").findings
    assert (finding.path, finding.line) == ("a.py", 5)
    assert "shows `batch`" in finding.message
    assert ".item()" in finding.message


def test_a_copy_of_an_old_print_in_a_new_file_is_new(make_case: MakeCase, judge: Judge) -> None:
    judge.refused(GATE, make_case({"a.py": LEAK}, {"a.py": LEAK + "\n", "b.py": LEAK}), "logging.data")


def test_a_file_split_in_two_adds_nothing(make_case: MakeCase, judge: Judge) -> None:
    other = LEAK.replace("f(batch)", "g(batch)").replace("import torch\n", "")
    judge.allowed(GATE, make_case({"a.py": LEAK + other}, {"a.py": LEAK, "b.py": "import torch\n" + other}))


def test_the_policy_says_where(make_case: MakeCase, judge: Judge) -> None:
    only = {"logging": {"paths": ["hub/**/*.py"], "exempt": ["hub/tools/**"]}}
    judge.allowed(GATE, make_case({}, {"a.py": LEAK, "hub/tools/a.py": LEAK}, policy=only))
    judge.refused(GATE, make_case({}, {"hub/a.py": LEAK}, policy=only), "logging.data")


def test_repositories_that_compute_on_no_data_are_not_judged(make_case: MakeCase, judge: Judge) -> None:
    verdict = judge.allowed(GATE, make_case({}, {"a.py": LEAK.replace("import torch", "import os")}))
    assert verdict.reason.startswith("not applicable: ")
