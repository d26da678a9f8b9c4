from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worktrees.ignored import Ignored

if TYPE_CHECKING:
    from tests.worktrees.conftest import Workbench


def ignored(bench: Workbench, rules: dict[str, str]) -> Ignored:
    bench.git("rm", "-q", "--cached", "-r", ".")
    for path, text in rules.items():
        bench.write(path, text.encode(errors="surrogateescape"))
        bench.git("add", "-f", path)
    bench.git("commit", "-qm", "rules", "--allow-empty")
    head = bench.git("rev-parse", "HEAD")
    repository = bench.repository
    return Ignored(repository, head, [entry.path for entry in repository.entries(head)])


@pytest.mark.parametrize(
    ("rules", "path", "verdict"),
    [
        ({}, "a.py", False),
        ({".gitignore": "*.log\n"}, "deep/er/x.log", True),
        ({".gitignore": "/x.log\n"}, "x.log", True),
        ({".gitignore": "/x.log\n"}, "deep/x.log", False),
        ({".gitignore": "out/\n"}, "out/a/b", True),
        ({".gitignore": "out/\n"}, "deep/out/a", True),
        ({".gitignore": "out/\n"}, "out", False),
        ({".gitignore": "*.log\n!keep.log\n"}, "keep.log", False),
        ({".gitignore": "!keep.log\n*.log\n"}, "keep.log", True),
        ({".gitignore": "out/\n!out/keep\n"}, "out/keep", True),
        ({".gitignore": "out/*\n!out/keep\n"}, "out/keep", False),
        ({".gitignore": "out/\n", "out/.gitignore": "!keep\n"}, "out/keep", True),
        ({".gitignore": "*.log\n", "d/.gitignore": "!x.log\n"}, "d/x.log", False),
        ({".gitignore": "*.log\n", "d/.gitignore": "!x.log\n"}, "d/e/x.log", False),
        ({"d/.gitignore": "x\n"}, "x", False),
        ({"d/.gitignore": "/x\n"}, "d/x", True),
        ({"d/.gitignore": "/x\n"}, "d/e/x", False),
        ({"d/.gitignore": "*\n", "d/e/.gitignore": "!x\n"}, "d/e/x", True),
        ({".gitignore": "# a comment\n\\#x\n\n"}, "#x", True),
        ({".gitignore": "a.log\r\nb.log\r\n"}, "b.log", True),
        ({".gitignore": "\ufeffa.log\n"}, "a.log", True),
        ({".gitignore": "caf\udce9\n"}, "caf\udce9", True),
        ({".gitignore": "A.LOG\n"}, "a.log", False),
        ({".gitignore": "a\n!a/**\n"}, "a/b", True),
        ({".gitignore": "**/deep/*.x\n"}, "a/deep/b.x", True),
        ({".gitignore": "a b\n"}, "a b", True),
        ({}, "pkg/__pycache__/m.cpython-311.pyc", True),
        ({}, "m.pyc", True),
        ({}, ".pytest_cache/v/x", True),
        ({}, ".coverage.host.1", True),
        ({}, "pycache/x", False),
        ({".gitignore": "!*.pyc\n"}, "m.pyc", False),
    ],
)
def test_a_path_is_ignored_as_git_would(rules: dict[str, str], path: str, verdict: bool, bench: Workbench) -> None:  # noqa: FBT001 - a table
    assert ignored(bench, rules).among([path]) == ({path} if verdict else set())


def test_odd_names_are_names_not_patterns(bench: Workbench) -> None:
    odd = [":(glob)*", ":x", "*", "[a]", "new\nline", "caf\udce9", " x", "-v", "a\\b", '"q"']
    judge = ignored(bench, {".gitignore": "x.log\n"})
    assert judge.among(odd) == set()
    assert ignored(bench, {".gitignore": "*\n"}).among(odd) == set(odd)
    assert judge.among([]) == set()


def test_a_rule_that_is_not_committed_has_no_say(bench: Workbench) -> None:
    judge = ignored(bench, {".gitignore": "a\n"})
    bench.write(".gitignore", "b\n")
    bench.write("d/.gitignore", "*\n")
    (bench.root / ".git" / "info" / "exclude").write_text("b\n")
    assert judge.among(["a", "b", "d/x"]) == {"a"}


NAMES = ("a", "b", "c.log")
PATTERNS = st.sampled_from(
    [
        "a",
        "/a",
        "a/",
        "!a",
        "!a/",
        "b",
        "!b",
        "*",
        "!*",
        "*/",
        "!*/",
        "*.log",
        "!c.log",
        "a/b",
        "!a/b",
        "**/b",
        "a/**",
        "!a/**",
        "/*",
        "# x",
        "",
    ]
)
RULES = st.dictionaries(
    st.sampled_from([".gitignore", "a/.gitignore", "a/b/.gitignore"]), st.lists(PATTERNS, max_size=4), max_size=3
)
PATHS = [
    f"{'/'.join(folders)}/{name}".lstrip("/")
    for folders in ((), ("a",), ("b",), ("a", "b"), ("a", "b", "a"))
    for name in NAMES
]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rules=RULES)
def test_it_agrees_with_git_itself(rules: dict[str, list[str]], bench: Workbench) -> None:
    with tempfile.TemporaryDirectory() as folder:
        mine = type(bench)(Path(folder), bench.home)
        mine.git("init", "-q")
        texts = {path: "\n".join(lines) + "\n" for path, lines in rules.items()}
        mine.commit({"first": "x"})
        judge = ignored(mine, texts)
        mine.git("read-tree", "--empty")
        paths = [path for path in PATHS if not (mine.root / path).is_dir()]
        asked = "".join(f"{path}\0" for path in paths).encode()
        answer = mine.repository.ask(
            "check-ignore", "--no-index", "-z", "--stdin", stdin=asked, env={"GIT_WORK_TREE": str(mine.root)}
        )
        said = set(answer.out.decode().split("\0")) - {""}
        assert judge.among(paths) == said
