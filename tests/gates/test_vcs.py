from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from gates.builtin.vcs import GATE
from gates.protocol import Call

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.gates.conftest import Judge, MakeAttempt, MakeCase

BASE = {"a.py": "a = 1\n", "sub/b.py": "b = 1\n"}


def _init(folder: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)


@pytest.mark.parametrize(
    "act",
    [
        _init,
        lambda tree: _init(tree / "sub"),
        lambda tree: (tree / ".git").write_text("gitdir: /somewhere\n"),
        lambda tree: ((tree / "sub" / ".GIT").mkdir(), (tree / "sub" / ".GIT" / "config").write_text("x")),
    ],
    ids=["repository at the root", "nested repository", "a .git file", "another case"],
)
def test_a_planted_repository_is_refused(make_attempt: MakeAttempt, judge: Judge, act: Callable[[Path], Any]) -> None:
    case = make_attempt(BASE, act, ticket={"scope": {"write": ["**"]}})
    count = sum(change.kind == "git" for change in case.change.changes)
    assert count
    judge.refused(GATE, case, *["vcs.repository"] * count)


@pytest.mark.parametrize("name", [".gitattributes", "sub/.gitignore", ".gitmodules", "sub/.mailmap"])
def test_a_file_that_steers_git_must_be_named_in_full(make_case: MakeCase, judge: Judge, name: str) -> None:
    wide, exact = {"scope": {"write": ["**"]}}, {"scope": {"write": [name]}}
    judge.refused(GATE, make_case(BASE, {name: "x\n"}, ticket=wide), "vcs.control-file")
    judge.allowed(GATE, make_case({name: None}, {name: "y\n"}, ticket=exact))


@pytest.mark.parametrize(
    "change", [{"a.py": "a = 2\n"}, {"sub/git.py": "x = 1\n"}, {}], ids=["plain", "a similar name", "nothing"]
)
def test_plain_files_are_free(make_case: MakeCase, judge: Judge, change: dict[str, str]) -> None:
    judge.allowed(GATE, make_case(BASE, change, ticket={}))


def test_a_touched_repository_of_the_person_blocks_without_an_accusation(make_case: MakeCase, judge: Judge) -> None:
    case = make_case(BASE, {}, ticket={}, evidence=("refs/heads/main moved while the agent ran",))
    judge.undecided(GATE, case, "refs/heads/main moved")


@pytest.mark.parametrize(
    ("command", "free"),
    [
        ("git status", False),
        ("/usr/bin/git push", False),
        ("echo $(git log)", False),
        ("pytest -q", True),
        ("cat legit.txt", True),
    ],
)
def test_the_live_answer(make_case: MakeCase, command: str, free: bool) -> None:  # noqa: FBT001 - a table's column
    case = make_case(BASE, {}, ticket={})
    assert case.ticket is not None
    assert (GATE.permits(Call(kind="run", command=command), case.ticket, case.policy) is None) is free
