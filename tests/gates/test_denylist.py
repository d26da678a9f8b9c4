from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gates.builtin.denylist import GATE
from gates.protocol import Call

if TYPE_CHECKING:
    from tests.gates.conftest import Judge, MakeCase

BASE = {"a.py": "a = 1\n", ".github/w.yml": "on: push\njobs: {}\nx: 1\n", "sub/poetry.lock": "x\n"}
TIGHT = {"scope": {"deny": ["secrets/**"]}}


@pytest.mark.parametrize(
    ("change", "path", "policy"),
    [
        ({"orchestrate.toml": "version = 1\n"}, "orchestrate.toml", None),
        ({".github/w.yml": None}, ".github/w.yml", None),
        ({".github/new/x.yml": "x\n"}, ".github/new/x.yml", None),
        ({"sub/poetry.lock": "y\n"}, "sub/poetry.lock", None),
        ({".github/w.yml": None, "w.yml": "on: push\njobs: {}\nx: 1\n"}, ".github/w.yml", None),
        ({"secrets/key": "x\n"}, "secrets/key", TIGHT),
        ({"orchestrate.toml": "version = 1\n"}, "orchestrate.toml", TIGHT),
        ({".orchestrate/tickets/T-0001-x.md": "x\n"}, ".orchestrate/tickets/T-0001-x.md", TIGHT),
    ],
    ids=["policy", "deleted", "added", "lock file", "renamed away", "own list", "policy always", "state always"],
)
def test_protected_paths_are_refused(
    make_case: MakeCase, judge: Judge, change: dict[str, str | None], path: str, policy: dict[str, object] | None
) -> None:
    verdict = judge.refused(GATE, make_case(BASE, change, ticket={}, policy=policy), "denylist.protected")
    assert verdict.findings[0].path == path


@pytest.mark.parametrize(
    "change",
    [{"a.py": "a = 2\n"}, {"docs/github/x.yml": "x\n"}, {"sub/orchestrate.toml.md": "x\n"}, {}],
    ids=["plain", "a similar folder", "a similar name", "nothing"],
)
def test_everything_else_is_free(make_case: MakeCase, judge: Judge, change: dict[str, str]) -> None:
    judge.allowed(GATE, make_case(BASE, change, ticket={}))


def test_the_live_answer_is_the_same(make_case: MakeCase) -> None:
    case = make_case(BASE, {}, ticket={})
    assert case.ticket is not None
    assert GATE.permits(Call(kind="write", path=".github/w.yml"), case.ticket, case.policy)
    assert GATE.permits(Call(kind="read", path=".github/w.yml"), case.ticket, case.policy) is None
    assert "`.github/**`" in GATE.rule(case.ticket, case.policy)
