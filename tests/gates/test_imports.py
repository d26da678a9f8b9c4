from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gates.builtin.imports import GATE

if TYPE_CHECKING:
    import pytest

    from tests.gates.conftest import Judge, MakeCase

BASE = {"tool/__init__.py": "", "tool/cli.py": "import json\n", "tool/core.py": "import torch\n"}


def timed(*run: str, **more: float) -> dict[str, Any]:
    return {"imports": {"startup": [{"run": list(run), **more}]}}


def test_the_way_to_the_package_is_shown(make_case: MakeCase, judge: Judge) -> None:
    change = {"tool/cli.py": "import json\nfrom tool import a\n", "tool/a.py": "from . import core\n"}
    (finding,) = judge.refused(GATE, make_case(BASE, change), "imports.heavy").findings
    assert "tool/cli.py → tool/a.py → tool/core.py → torch" in finding.message
    assert (finding.path, finding.line, finding.actual) == ("tool/cli.py", 2, "torch")


def test_an_unchanged_command_is_named_when_a_module_below_it_gets_heavy(make_case: MakeCase, judge: Judge) -> None:
    base = {**BASE, "tool/cli.py": "from tool import a\n", "tool/a.py": "A = 1\n"}
    (finding,) = judge.refused(GATE, make_case(base, {"tool/a.py": "import jax\nA = 1\n"}), "imports.heavy").findings
    assert "tool/cli.py → tool/a.py → jax" in finding.message
    assert finding.path == "tool/a.py"


def test_a_source_folder_is_where_imports_start_from(make_case: MakeCase, judge: Judge) -> None:
    base = {f"src/{path}": text for path, text in BASE.items()}
    judge.refused(GATE, make_case(base, {"src/tool/cli.py": "import tool.core\n"}), "imports.heavy")


def test_a_start_that_never_ends_is_undecided(
    make_case: MakeCase, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gates.builtin.imports.TIMEOUT_S", 0.5)
    change = {"tool/cli.py": "import time\ntime.sleep(60)\n"}
    verdict = judge.undecided(
        GATE, make_case(BASE, change, policy=timed("python", "-m", "tool.cli")), "on the change could not be judged"
    )
    assert len(verdict.receipts) == 2


def test_a_small_increase_is_never_refused_however_large_its_ratio(make_case: MakeCase, judge: Judge) -> None:
    change = {"tool/cli.py": "import json\nimport decimal\n"}
    judge.allowed(GATE, make_case(BASE, change, policy=timed("python", "-m", "tool.cli", max_ratio=1, max_added_s=2)))


def test_a_heavy_import_is_named_even_where_the_start_cannot_be_timed(make_case: MakeCase, judge: Judge) -> None:
    change = {"tool/cli.py": "import torch\n"}
    judge.refused(GATE, make_case(BASE, change, policy=timed("no-such-program")), "imports.heavy")


def test_the_rule_names_packages_places_and_commands(make_case: MakeCase) -> None:
    case = make_case(BASE, {}, ticket={}, policy=timed("python", "-m", "tool.cli", max_ratio=1.2))
    assert case.ticket is not None
    text = GATE.rule(case.ticket, case.policy)
    assert all(words in text for words in ("`torch`", "`**/cli.py`", "`python -m tool.cli`", "1.2 times"))
