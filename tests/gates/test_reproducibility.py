from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from gates.builtin.reproducibility import GATE
from gates.source import defaults

if TYPE_CHECKING:
    from tests.gates.conftest import Judge, MakeCase

YAML = "train:\n  lr: 0.001\n  betas: [0.9, 0.99]\n  resume: null\n"


def test_a_finding_says_where_and_what_to_do(make_case: MakeCase, judge: Judge) -> None:
    case = make_case({}, {"train.py": "import torch\n\ntorch.manual_seed(\n    42\n)\n"})
    (finding,) = judge.refused(GATE, case, "reproducibility.seed").findings
    assert (finding.path, finding.line) == ("train.py", 3)
    assert "take it from the configuration" in finding.message


def test_legacy_in_a_file_that_was_no_python_is_not_held_against_the_one_who_repairs_it(
    make_case: MakeCase, judge: Judge
) -> None:
    broken = "import torch\ntorch.manual_seed(42)\nprint 'x'\n"
    repaired = broken.replace("print 'x'", "print('x')")
    judge.allowed(GATE, make_case({"train.py": broken}, {"train.py": repaired}))
    judge.refused(
        GATE, make_case({"train.py": broken}, {"train.py": repaired + "lr = 0.1\n"}), "reproducibility.hyperparameter"
    )


@pytest.mark.parametrize(
    "report",
    [
        "lr: 0.001 -> 0.01",
        "- `lr`: 1e-3 → 1e-2, faster",
        "| train.lr | 0.001 | 0.01 |",
        "Changed `lr`\nfrom `0.001`\nto `0.01`.",
        "The default of lr was 0.001 and is 0.01.",
    ],
)
def test_a_changed_default_may_be_declared_in_many_ways(make_case: MakeCase, judge: Judge, report: str) -> None:
    case = make_case({"conf/a.yaml": YAML}, {"conf/a.yaml": YAML.replace("0.001", "0.01")}, report=report)
    judge.allowed(GATE, case)


@pytest.mark.parametrize(
    "report", ["", "lr changed", "lr: 0.001 -> 0.1", "lr is 0.01 now", "xlr: 0.001 -> 0.01", "lr 0.001\n\nlr 0.01"]
)
def test_what_leaves_something_out_declares_nothing(make_case: MakeCase, judge: Judge, report: str) -> None:
    case = make_case({"conf/a.yaml": YAML}, {"conf/a.yaml": YAML.replace("0.001", "0.01")}, report=report)
    (finding,) = judge.refused(GATE, case, "reproducibility.default").findings
    assert (finding.limit, finding.actual) == ("0.001", "0.01")
    assert "`train.lr: 0.001 -> 0.01`" in finding.message


def test_without_an_agent_nobody_owes_a_report(make_case: MakeCase, judge: Judge) -> None:
    judge.allowed(GATE, make_case({"conf/a.yaml": YAML}, {"conf/a.yaml": YAML.replace("0.001", "0.01")}))


def test_defaults_are_found_behind_fields_and_factories() -> None:
    text = (
        "class C:\n    a: int = Field(default=1, ge=0)\n    b: int = Field(2)\n"
        "    c: list = field(default_factory=lambda: [3])\n    d: int\n"
    )
    assert defaults.of_python(ast.parse(text)) == {"C.a": "1", "C.b": "2", "C.c": "[3]"}


def test_yaml_that_refers_to_itself_ends() -> None:
    assert defaults.of_yaml("a: &a\n  b: *a\n  c: 1\n") is not None


def test_repositories_without_training_are_not_judged(make_case: MakeCase, judge: Judge) -> None:
    verdict = judge.allowed(GATE, make_case({}, {"a.py": "seed = 1\n"}))
    assert verdict.reason.startswith("not applicable: ")
