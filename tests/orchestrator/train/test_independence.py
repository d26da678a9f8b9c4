"""Which changes are related, in real repositories."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from orchestrator.train.independence import Facts, Relations, is_input_of_all, related
from worktrees.changes import ChangeSet, between
from worktrees.git import Repository

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo_project import Demo

FILES = {
    "app/__init__.py": "",
    "app/core.py": "VALUE = 1\n",
    "app/middle.py": "from app import core\n",
    "app/top.py": "import app.middle\n",
    "app/late.py": "def call():\n    from .core import VALUE\n    return VALUE\n",
    "app/apart.py": "import json\n",
    "app/words.json": "{}\n",
    "old/one.py": "X = 1\n",
    "old/two.py": "Y = 'a text that is long enough to be found again after a rename'\n",
    "db/migrations/0001.py": "revision = 1\n",
    "docs/page.md": "words\n",
    "tests/test_core.py": "from app.core import VALUE\n",
}
"""A package, with what imports what."""


@pytest.fixture
def make(demo: Demo) -> Callable[[dict[str, str | None]], ChangeSet]:
    """Make a change of its own on the common base: new texts by path, None for what goes."""
    for path, text in FILES.items():
        demo.write(path, text)
    demo.write(".git/info/exclude", ".orchestrate/\n")
    base = demo.commit("base")
    repository = Repository.find(demo.root)
    repository.state.mkdir(exist_ok=True)

    def made(files: dict[str, str | None]) -> ChangeSet:
        demo.git("checkout", "-q", "--detach", base)
        for path, text in files.items():
            if text is None:
                (demo.root / path).unlink()
            else:
                demo.write(path, text)
        return between(repository, base, demo.commit())

    return made


def pairs(demo: Demo, **changes: ChangeSet) -> set[str]:
    """Give the related pairs, each as two letters."""
    known = Relations(Repository.find(demo.root)).among(changes)
    assert all(name in known.related[other] for name, others in known.related.items() for other in others)
    return {name + other for name, others in known.related.items() for other in others if name < other}


def test_changes_of_different_modules_are_independent(demo: Demo, make: Callable[..., ChangeSet]) -> None:
    a, b = make({"app/apart.py": "import sys\n"}), make({"app/core.py": "VALUE = 2\n"})
    c = make({"docs/page.md": "other words\n"})
    assert pairs(demo, a=a, b=b, c=c) == set()


def test_imports_relate_however_long_the_way(demo: Demo, make: Callable[..., ChangeSet]) -> None:
    a, b = make({"app/core.py": "VALUE = 2\n"}), make({"app/top.py": "import app.middle\nNEW = 1\n"})
    c, d = make({"app/late.py": FILES["app/late.py"] + "Z = 1\n"}), make({"tests/test_core.py": "import app.core\n"})
    assert pairs(demo, a=a, b=b, c=c, d=d) == {"ab", "ac", "ad"}


def test_an_import_that_the_change_brings_counts(demo: Demo, make: Callable[..., ChangeSet]) -> None:
    a, b = make({"app/core.py": "VALUE = 2\n"}), make({"app/apart.py": "from app.top import *\n"})
    assert pairs(demo, a=a, b=b) == {"ab"}


def test_a_package_that_a_module_is_in_counts(demo: Demo, make: Callable[..., ChangeSet]) -> None:
    a, b = make({"app/__init__.py": "NEW = 1\n"}), make({"app/apart.py": "import sys\n"})
    assert pairs(demo, a=a, b=b) == {"ab"}


def test_a_renamed_folder_relates_what_is_added_to_it(demo: Demo, make: Callable[..., ChangeSet]) -> None:
    a = make({"old/two.py": None, "new/two.py": FILES["old/two.py"]})
    b, c = make({"old/three.py": "Z = 1\n"}), make({"new/deep/four.py": "Z = 1\n"})
    assert pairs(demo, a=a, b=b, c=c) == {"ab", "ac"}


def test_both_names_of_a_rename_are_touched(demo: Demo, make: Callable[..., ChangeSet]) -> None:
    a = make({"old/two.py": None, "new/two.py": FILES["old/two.py"]})
    assert pairs(demo, a=a, b=make({"old/two.py": "Y = 2\n"})) == {"ab"}


def test_data_relates_to_its_folder_and_documents_do_not(demo: Demo, make: Callable[..., ChangeSet]) -> None:
    a, b = make({"app/words.json": "[]\n"}), make({"app/apart.py": "import sys\n"})
    c, d = make({"docs/page.md": "more\n"}), make({"docs/conf.py": "X = 1\n"})
    assert pairs(demo, a=a, b=b, c=c, d=d) == {"ab"}


def test_two_migrations_are_one_history(demo: Demo, make: Callable[..., ChangeSet]) -> None:
    a, b = make({"db/migrations/0002.py": "r = 2\n"}), make({"db/migrations/sub/0003.py": "r = 3\n"})
    assert pairs(demo, a=a, b=b) == {"ab"}


def test_what_is_no_python_imports_nothing(demo: Demo, make: Callable[..., ChangeSet]) -> None:
    a, b = make({"app/apart.py": "from app import (\n"}), make({"app/core.py": "VALUE = 2\n"})
    assert pairs(demo, a=a, b=b) == set()


def test_what_something_else_showed_is_remembered(demo: Demo, make: Callable[..., ChangeSet]) -> None:
    changes = {"a": make({"app/apart.py": "import sys\n"}), "b": make({"app/core.py": "VALUE = 2\n"})}
    relations = Relations(Repository.find(demo.root))
    assert relations.among(changes).related == {"a": frozenset(), "b": frozenset()}
    relations.tie(["a", "b", "gone"])
    assert relations.among(changes).related == {"a": frozenset("b"), "b": frozenset("a")}


def test_a_change_of_what_all_are_judged_by_stands_alone(demo: Demo, make: Callable[..., ChangeSet]) -> None:
    changes = {"a": make({"tests/conftest.py": "X = 1\n"}), "b": make({"app/core.py": "VALUE = 2\n"})}
    assert Relations(Repository.find(demo.root)).among(changes).alone == {"a"}


@pytest.mark.parametrize(
    "path",
    [
        *("orchestrate.toml", "uv.lock", "sub/poetry.lock", "pyproject.toml", "a/conftest.py", ".github/ci.yml"),
        *("ruff.toml", ".gitattributes", "requirements/dev.txt", "package.json", "x.pth", ".pre-commit-config.yaml"),
    ],
)
def test_inputs_of_all(path: str) -> None:
    assert is_input_of_all(path)


@pytest.mark.parametrize("path", ["README.md", "app/settings.py", "docs/a.toml", "tests/test_a.py", "data/a.json"])
def test_no_inputs_of_all(path: str) -> None:
    assert not is_input_of_all(path)


def test_a_change_that_leads_too_far_is_related_to_all_python() -> None:
    def facts(path: str, *, far: bool = False) -> Facts:
        modules = frozenset({path}) if path.endswith(".py") else frozenset[str]()
        reaches = None if far else frozenset[str]()
        nothing = frozenset[str]()
        return Facts(
            paths=frozenset({path}), folders=nothing, places=nothing, modules=modules, reaches=reaches, alone=False
        )

    found = related({"a": facts("a.py", far=True), "b": facts("b.py"), "c": facts("c.md")})
    assert found == {"a": {"b"}, "b": {"a"}, "c": set()}


@pytest.mark.slow
def test_many_changes_cost_little(demo: Demo, make: Callable[..., ChangeSet]) -> None:
    changes = {f"t{n}": make({f"many/m{n}.py": f"from app import top\nN = {n}\n"}) for n in range(12)}
    relations = Relations(Repository.find(demo.root))
    began = time.process_time()
    known = relations.among(changes)
    first = time.process_time() - began
    changes["late"] = make({"app/core.py": "VALUE = 3\n"})
    began = time.process_time()
    known = relations.among(changes)
    again = time.process_time() - began
    assert known.related["late"] == changes.keys() - {"late"}
    assert again < first / 4
