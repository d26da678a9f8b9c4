"""Fixtures for all tests: a home of its own, and a small project under git."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from demo_project import POLICY, Demo, script, ticket, writes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / ".gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n", encoding="utf-8")
    return folder


@pytest.fixture
def demo(tmp_path: Path, home: Path) -> Demo:
    """A repository with one module, one test, a policy, and a script that adds modules a and b."""
    root = tmp_path / "demo"
    root.mkdir()
    made = Demo(root, home)
    made.git("init", "-qb", "main")
    tickets = [
        ticket("a", new="src/a.py", accept="import a; assert a.X == 1"),
        ticket("b", new="src/b.py", accept="import b; assert b.X == 2"),
    ]
    steps = {"add a": [writes("src/a.py", "X = 1\n")], "add b": [writes("src/b.py", "X = 2\n")]}
    made.write("orchestrate.toml", POLICY)
    made.write("script.yaml", script(tickets, steps))
    made.write("pyproject.toml", '[tool.pytest.ini_options]\npythonpath = ["src"]\n')
    made.write("src/lib.py", "def one() -> int:\n    return 1\n")
    made.write("tests/test_lib.py", "from lib import one\n\n\ndef test_one() -> None:\n    assert one() == 1\n")
    made.commit("begin")
    return made
