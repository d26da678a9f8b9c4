from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from worktrees.environment import build, import_roots, interpreter, search_path

if TYPE_CHECKING:
    from tests.worktrees.conftest import Workbench


@pytest.mark.parametrize(
    ("pyproject", "roots"),
    [
        (None, [".", "src"]),
        ("", [".", "src"]),
        ("not toml [", [".", "src"]),
        ("[tool]\npytest = 5", [".", "src"]),
        ("[tool.pytest.ini_options]\npythonpath = ['lib', 'src']", [".", "src", "lib"]),
        ("[tool.pytest.ini_options]\npythonpath = 'lib platform'", [".", "src", "lib", "platform"]),
        ("[tool.pytest.ini_options]\npythonpath = ['a b']", [".", "src", "a b"]),
        ("[tool.pytest.ini_options]\npythonpath = [5, 'lib']", [".", "src", "lib"]),
        ("[tool.hatch.build.targets.wheel]\npackages = ['platform/hub', 'top']", [".", "src", "platform"]),
        ("[tool.setuptools.packages.find]\nwhere = ['lib']", [".", "src", "lib"]),
        ("[tool.setuptools.packages.find]\nwhere = 'lib'", [".", "src", "lib"]),
        ("[tool.pytest.ini_options]\npythonpath = ['/usr', '../x', 'gone', 'lib/../..']", [".", "src"]),
        ("[tool.pytest.ini_options]\npythonpath = ['file']", [".", "src"]),
    ],
)
def test_imports_start_where_the_project_says(pyproject: str | None, roots: list[str], tmp_path: Path) -> None:
    for name in ("src", "lib", "platform/hub", "a b"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "file").touch()
    found = import_roots(tmp_path, pyproject.encode() if pyproject is not None else None)
    assert [str(root.relative_to(tmp_path)) for root in found] == roots


def test_a_project_file_that_is_no_text_is_passed_over(tmp_path: Path) -> None:
    assert import_roots(tmp_path, b"\xff\xfe") == (tmp_path,)


def test_the_base_says_what_the_roots_are_not_the_tree(bench: Workbench) -> None:
    base = bench.commit(
        {"pyproject.toml": "[tool.pytest.ini_options]\npythonpath = ['lib']\n", "lib/x.py": "", "evil/x.py": ""}
    )
    spec = bench.attempt()
    (spec.path / "pyproject.toml").write_text("[tool.pytest.ini_options]\npythonpath = ['evil']\n")
    made = build(bench.repository, spec.path, base=base, home=spec.home)
    assert made.roots == (spec.path, spec.path / "lib")


def test_nothing_is_inherited_but_the_path(bench: Workbench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONSTARTUP",
        "VIRTUAL_ENV",
        "PYTEST_ADDOPTS",
        "LD_PRELOAD",
        "SECRET_TOKEN",
        "GIT_DIR",
        "TMPDIR",
    ):
        monkeypatch.setenv(name, "/inherited")
    home = tmp_path / "a home"
    made = build(bench.repository, tmp_path, base=bench.git("rev-parse", "HEAD"), home=home)
    assert "/inherited" not in made.variables.values()
    assert made.variables["HOME"] == str(home)
    assert made.variables["TMPDIR"] == str(home / "tmp")
    assert Path(made.variables["TMPDIR"]).is_dir()
    assert made.variables["LANG"] == "C.UTF-8"


def test_the_tools_of_the_repository_come_first_and_ours_last(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", os.pathsep.join(["/usr/bin", ours, "", "/bin", "/usr/bin"]))
    assert search_path(Path("/project/.venv/bin/python")).split(os.pathsep) == [
        "/project/.venv/bin",
        "/usr/bin",
        "/bin",
        ours,
    ]


@pytest.mark.parametrize("name", [".venv", "venv"])
def test_the_repositorys_own_interpreter_is_used_where_there_is_one(name: str, bench: Workbench) -> None:
    assert interpreter(bench.repository) == Path(sys.executable)
    python = bench.root / name / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert interpreter(bench.repository) == python


WHERE = """
import json, subprocess, sys
import mine, packaged
inner = [sys.executable, "-c", "import mine, packaged; print(mine.WHO, packaged.WHO)"]
print(json.dumps([mine.WHO, packaged.WHO, sys.prefix, subprocess.check_output(inner, text=True).split()]))
"""


def test_child_processes_import_the_trees_own_code_although_an_editable_install_points_elsewhere(
    bench: Workbench, tmp_path: Path
) -> None:
    base = bench.commit({"mine.py": "WHO = 'main'\n", "src/packaged/__init__.py": "WHO = 'main'\n"})
    environment = bench.root / ".venv"
    venv.create(environment, with_pip=False, symlinks=True)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "editable.pth").write_text(f"{bench.root}\n{bench.root / 'src'}\n")
    spec = bench.attempt()
    (spec.path / "mine.py").write_text("WHO = 'tree'\n")
    (spec.path / "src" / "packaged" / "__init__.py").write_text("WHO = 'tree'\n")
    made = build(bench.repository, spec.path, base=base, home=spec.home)
    assert made.python == environment / "bin" / "python"
    assert made.variables["VIRTUAL_ENV"] == str(environment)

    def run(variables: dict[str, str]) -> list[object]:
        done = subprocess.run(
            ["python", "-c", WHERE], cwd=tmp_path, env=variables, capture_output=True, text=True, check=True
        )
        return list(json.loads(done.stdout))

    assert run(dict(made.variables)) == ["tree", "tree", str(environment), ["tree", "tree"]]
    without = {name: value for name, value in made.variables.items() if name != "PYTHONPATH"}
    assert run(without) == ["main", "main", str(environment), ["main", "main"]]
    assert not list(spec.path.rglob("__pycache__"))
