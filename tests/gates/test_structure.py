from __future__ import annotations

import ast
import json
import subprocess
import sys
import sysconfig
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gates.builtin.structure import GATE
from gates.runner import judge as ask
from gates.source.python_code import LARGEST, changed_files
from gates.source.python_shape import complexity
from tickets.grants import Grant

if TYPE_CHECKING:
    from gates.protocol import Gate
    from tests.gates.conftest import Judge, MakeCase

BRANCHY = "def f(x):\n" + "".join(f"    if x == {number}:\n        x += 1\n" for number in range(12)) + "    return x\n"


def test_complexity_is_what_ruff_counts() -> None:
    library = Path(sysconfig.get_path("stdlib"))
    files = [library / name for name in ("dataclasses.py", "argparse.py", "ast.py", "inspect.py", "tarfile.py")]
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--ignore-noqa", "--select=C901"]
    options = ["--config=lint.mccabe.max-complexity=0", "--output-format=json", "--exit-zero"]
    done = subprocess.run([*ruff, *options, *map(str, files)], capture_output=True, text=True, check=True)
    counted = {
        (one["filename"], one["location"]["row"]): int(one["message"].rpartition("(")[2].split()[0])
        for one in json.loads(done.stdout)
    }
    ours = {
        (str(path), node.lineno): complexity(node)
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert len(counted) > 500
    assert {place: ours[place] for place in counted} == counted


def test_a_finding_says_limit_figure_and_line_and_what_a_person_could_permit(make_case: MakeCase, judge: Judge) -> None:
    (finding,) = judge.refused(GATE, make_case({}, {"a.py": "\n\n" + BRANCHY}), "structure.complexity").findings
    assert (finding.line, finding.limit, finding.actual) == (3, "10", "13")
    assert finding.need
    assert (finding.need.kind, finding.need.subject, finding.need.bound) == ("size", "a.py: complexity of f", "13")


def test_a_grant_for_the_figure_lifts_the_finding_and_no_worse_one(make_case: MakeCase) -> None:
    case = make_case({}, {"a.py": BRANCHY}, ticket={})
    assert case.ticket
    need = GATE.verify(case).findings[0].need
    assert need
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    identity = need.identity(case.ticket.sha256)
    grant = Grant(
        id="G-0001", identity=identity, kind=need.kind, subject=need.subject, person="Ada", reason="", expires_at=until
    )
    worse = make_case({}, {"a.py": BRANCHY.replace("    return", "    if x:\n        x = 1\n    return")}, ticket={})
    gates: dict[str, Gate] = {GATE.name: GATE}
    assert ask(replace(case, grants=(grant,)), gates)[0].verdict.answer.value == "pass"
    assert ask(replace(worse, grants=(grant,)), gates)[0].verdict.answer.value == "fail"


def test_a_python_file_made_too_large_to_be_parsed_is_inconclusive(make_case: MakeCase, judge: Judge) -> None:
    padded = BRANCHY + "#" * LARGEST
    judge.undecided(GATE, make_case({}, {"a.py": padded}), "too large")
    judge.allowed(GATE, make_case({"b.py": padded}, {"b.py": padded + "#"}))


def test_a_long_chain_of_elif_is_counted(make_case: MakeCase, judge: Judge) -> None:
    chain = "def f(x):\n    if x == 0:\n        pass\n" + "".join(
        f"    elif x == {number}:\n        pass\n" for number in range(1, 150)
    )
    (finding,) = judge.refused(GATE, make_case({}, {"a.py": chain}), "structure.complexity").findings
    assert finding.actual == "151"


def test_names_with_line_breaks_and_other_encodings_are_read(make_case: MakeCase, judge: Judge) -> None:
    change: dict[str, str | bytes] = {
        "a\nb.py": BRANCHY,
        "ü ä.py": BRANCHY,
        "c.py": b"# -*- coding: latin-1 -*-\n# \xfc\n" + BRANCHY.encode(),
    }
    judge.refused(GATE, make_case({}, change), *["structure.complexity"] * 3)


def test_the_rule_names_the_limits_of_the_ticket(make_case: MakeCase) -> None:
    case = make_case({}, {}, ticket={"limits": {"complexity": 4}}, policy={"structure": {"types": "never"}})
    assert case.ticket
    text = GATE.rule(case.ticket, case.policy)
    assert "complexity of at most 4" in text
    assert "docstring" in text
    assert "annotations" not in text


def test_what_is_new_is_told_line_by_line_across_files(make_case: MakeCase) -> None:
    base = {"a.py": "def f():\n    return 1\n\n\ndef g():\n    return 2\n"}
    change = {"a.py": "def f():\n    return 1\n\n\nx = 3\n", "b.py": "def g():\n    return 2\n\n\ny = 4\n"}
    added = {file.path: file.added_lines for file in changed_files(make_case(base, change))}
    assert added == {"a.py": {5}, "b.py": {5}}
