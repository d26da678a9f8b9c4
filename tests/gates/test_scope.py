from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from gates.builtin.scope import GATE
from gates.protocol import Call
from tickets.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.gates.conftest import Judge, MakeAttempt, MakeCase

BASE = {"src/a.py": "a = 1\n" * 9, "src/b.py": "b = 1\n", "docs/x.md": "x\n", ".gitignore": "out/\n"}
SCOPE = {"scope": {"write": ["src/*.py"], "new": ["src/new/**"], "deny": ["src/b.py"]}}


@pytest.mark.parametrize(
    "change",
    [
        {"src/a.py": "a = 2\n"},
        {"src/c.py": "c = 1\n"},
        {"src/new/deep/d.py": "d = 1\n"},
        {"src/a.py": None},
        {"src/a.py": None, "src/new/a.py": "a = 1\n" * 9},
        {},
    ],
    ids=["modified", "added by a glob", "created", "deleted", "renamed within", "nothing"],
)
def test_what_the_ticket_names_may_be_written(make_case: MakeCase, judge: Judge, change: dict[str, str | None]) -> None:
    judge.allowed(GATE, make_case(BASE, change, ticket=SCOPE))


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        ({"docs/x.md": "y\n"}, ["docs/x.md"]),
        ({"docs/x.md": None}, ["docs/x.md"]),
        ({"src/b.py": "b = 2\n"}, ["src/b.py"]),
        ({"src/deep/c.py": "c = 1\n"}, ["src/deep/c.py"]),
        ({"SRC/a.py": "a = 1\n"}, ["SRC/a.py"]),
        ({"src/a.py": None, "other/a.py": "a = 1\n" * 9}, ["other/a.py"]),
        ({"src/a.pyc": "x"}, ["src/a.pyc"]),
    ],
    ids=["modified", "deleted", "denied wins", "`*` ends at `/`", "case counts", "renamed away", "another ending"],
)
def test_anything_else_is_refused(
    make_case: MakeCase, judge: Judge, change: dict[str, str | None], paths: list[str]
) -> None:
    verdict = judge.refused(GATE, make_case(BASE, change, ticket=SCOPE), *["scope.outside"] * len(paths))
    assert [finding.path for finding in verdict.findings] == paths


def test_a_rename_is_judged_at_both_ends(make_case: MakeCase, judge: Judge) -> None:
    case = make_case(BASE, {"src/a.py": None, "lib/a.py": "a = 1\n" * 9}, ticket={"scope": {"new": ["lib/**"]}})
    assert [finding.path for finding in judge.refused(GATE, case, "scope.outside").findings] == ["src/a.py"]


def test_with_neither_write_nor_new_nothing_may_be_written(make_case: MakeCase, judge: Judge) -> None:
    judge.refused(GATE, make_case(BASE, {"src/a.py": "a = 3\n"}, ticket={"scope": {}}), "scope.outside")


def test_without_a_ticket_it_does_not_apply(make_case: MakeCase, judge: Judge) -> None:
    assert judge.allowed(GATE, make_case(BASE, {"docs/x.md": "y\n"})).reason.startswith("not applicable: ")


def _link(tree: Path) -> None:
    (tree / "src" / "link.py").symlink_to("a.py")


def _link_folder(tree: Path) -> None:
    (tree / "src" / "new").symlink_to("/etc")


def _pipe(tree: Path) -> None:
    os.mkfifo(tree / "src" / "pipe.py")


def _hard_link(tree: Path) -> None:
    (tree / "src" / "same.py").hardlink_to(tree / "src" / "c.py")


def _two_names(tree: Path) -> None:
    (tree / "src" / "c.py").write_text("c = 1\n")
    _hard_link(tree)


@pytest.mark.parametrize(
    ("act", "rules"),
    [
        (_link, ["scope.symlink"]),
        (_link_folder, ["scope.symlink"]),
        (_pipe, ["scope.special"]),
        (_two_names, ["scope.special"] * 2),
        (lambda tree: (tree / "stray.txt").write_text("x"), ["scope.outside"]),
    ],
    ids=["symlink", "symlink for a folder", "fifo", "hard link", "untracked file"],
)
def test_what_an_attempt_leaves_is_seen_whole(
    make_attempt: MakeAttempt, judge: Judge, act: Callable[[Path], Any], rules: list[str]
) -> None:
    judge.refused(GATE, make_attempt(BASE, act, ticket=SCOPE), *rules)


def test_ignored_byproducts_are_no_offence(make_attempt: MakeAttempt, judge: Judge) -> None:
    def leave(tree: Path) -> None:
        (tree / "out").mkdir()
        (tree / "out" / "log.txt").write_text("x")
        (tree / "src" / "a.py").write_text("a = 2\n")

    case = make_attempt(BASE, leave, ticket=SCOPE)
    judge.allowed(GATE, case)
    assert [(change.path, change.kind) for change in case.change.changes] == [
        ("out/log.txt", "byproduct"),
        ("src/a.py", "modified"),
    ]


@pytest.mark.parametrize(("path", "free"), [("src/a.py", True), ("src/b.py", False), ("docs/x.md", False)])
def test_the_live_answer_is_the_same(make_case: MakeCase, path: str, free: bool) -> None:  # noqa: FBT001 - a table's column
    ticket = make_case(BASE, {}, ticket=SCOPE).ticket
    assert ticket is not None
    assert (GATE.permits(Call(kind="write", path=path), ticket, Policy()) is None) is free
    assert "`src/*.py`" in GATE.rule(ticket, Policy())
