from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gates.builtin.origin import GATE

if TYPE_CHECKING:
    from tests.gates.conftest import Judge, MakeCase

MODULE = "x = 1\n"


@pytest.mark.parametrize(
    "change",
    [
        {"thing/__init__.py": MODULE},
        {"src/thing/__init__.py": MODULE},
        {"thing.py": MODULE},
        {"a/__init__.py": "", "b/__init__.py": ""},
    ],
    ids=["package", "below src", "module", "two packages"],
)
def test_the_own_code_of_the_tree_is_what_runs(make_case: MakeCase, judge: Judge, change: dict[str, str]) -> None:
    assert "from this very tree" in judge.allowed(GATE, make_case({"r.md": "x\n"}, change)).reason


@pytest.mark.parametrize("change", [{"r.md": "y\n"}, {"deep/er/x.py": "x = 1\n"}], ids=["prose", "no import root"])
def test_it_does_not_apply_without_a_package(make_case: MakeCase, judge: Judge, change: dict[str, str]) -> None:
    assert judge.allowed(GATE, make_case({"r.md": "x\n"}, change)).reason.startswith("not applicable")


@pytest.mark.parametrize(
    ("change", "findings"),
    [
        ({"sys.py": MODULE}, 2),
        ({"time.py": MODULE}, 2),
        ({"builtins/__init__.py": MODULE}, 2),
        ({"src/marshal.py": MODULE}, 2),
        ({"fine.py": MODULE, "itertools.py": MODULE}, 2),
    ],
    ids=["sys", "time", "package", "below src", "one of two"],
)
def test_a_name_that_the_interpreter_takes_from_elsewhere_is_refused(
    make_case: MakeCase, judge: Judge, change: dict[str, str], findings: int
) -> None:
    verdict = judge.refused(GATE, make_case({"r.md": "x\n"}, change), *["origin.elsewhere"] * findings)
    assert "not this tree's own code" in verdict.reason


def test_a_tree_that_breaks_the_probe_is_not_judged(make_case: MakeCase, judge: Judge) -> None:
    judge.undecided(GATE, make_case({"r.md": "x\n"}, {"json.py": "raise SystemExit(3)\n"}), "the probe could not run")
