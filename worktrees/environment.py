"""The environment that belongs to one tree: its own code is what runs, in child processes too.

With a shared virtual environment, an editable install points at the main checkout: a test run inside another
tree would import the main checkout's code and be green for every ticket. PYTHONPATH names the tree's own import
roots first, everything inherited is dropped, and the gate `origin` proves the result.
"""

from __future__ import annotations

import os
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from worktrees.views import View

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worktrees.git import Repository


@dataclass(frozen=True, kw_only=True)
class TreeEnvironment:
    tree: Path
    python: Path
    roots: tuple[Path, ...]
    variables: Mapping[str, str]

    @property
    def home(self) -> Path:
        return Path(self.variables["HOME"])


def build(
    repository: Repository, tree: Path, *, base: str, home: Path, contents: View | None = None
) -> TreeEnvironment:
    """Build the whole environment of a process that works in the tree; nothing is inherited but PATH.

    `contents` is how the tree can be looked at, when it appears at its own place to its own processes only.
    """
    python = interpreter(repository)
    roots = import_roots(tree, repository.read(base, "pyproject.toml"), contents=contents)
    home.mkdir(parents=True, exist_ok=True)
    scratch = home / "tmp"
    scratch.mkdir(exist_ok=True)
    variables = {
        "PATH": search_path(python),
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(str(root) for root in roots),
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "GIT_CEILING_DIRECTORIES": str(tree.parent),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "XDG_CACHE_HOME": str(scratch / "cache"),
        **({"VIRTUAL_ENV": str(python.parent.parent)} if (python.parent.parent / "pyvenv.cfg").is_file() else {}),
    }
    return TreeEnvironment(tree=tree, python=python, roots=roots, variables=variables)


def interpreter(repository: Repository) -> Path:
    """Give the interpreter of the repository's virtual environment, or the one that runs the harness."""
    for folder in (".venv", "venv"):
        python = repository.root / folder / "bin" / "python"
        if python.exists():
            return python
    return Path(sys.executable)


def search_path(python: Path) -> str:
    inherited = os.environ.get("PATH", os.defpath).split(os.pathsep)
    harness = str(Path(sys.executable).parent)
    # the harness's own tools come last: a repository's own ones win, and a bare machine still finds python
    folders = [str(python.parent), *(folder for folder in inherited if folder and folder != harness), harness]
    return os.pathsep.join(dict.fromkeys(folders))


def import_roots(tree: Path, pyproject: bytes | None, *, contents: View | None = None) -> tuple[Path, ...]:
    """Give the folders of the tree that imports start from: its root, `src`, and what the base's pyproject.toml names."""
    names = [".", "src", *_declared(pyproject)]
    inside = [name for name in names if not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts]
    seen = contents or View((tree,))
    return tuple(dict.fromkeys(tree / name for name in inside if seen.leads_to_folder(name, at=tree)))


def _declared(pyproject: bytes | None) -> list[str]:
    try:
        tool = tomllib.loads((pyproject or b"").decode()).get("tool", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return []  # the project's own tools will say so, with the line
    pytest_path = _at(tool, "pytest", "ini_options", "pythonpath", spaced=True)
    packages = _at(tool, "hatch", "build", "targets", "wheel", "packages")
    where = _at(tool, "setuptools", "packages", "find", "where")
    parents = [str(PurePosixPath(package).parent) for package in packages]
    return [*pytest_path, *where, *parents]


def _at(table: Any, *keys: str, spaced: bool = False) -> list[str]:
    for key in keys:
        table = table.get(key, {}) if isinstance(table, dict) else {}
    if isinstance(table, str):
        return table.split() if spaced else [table]
    return [item for item in table if isinstance(item, str)] if isinstance(table, list) else []
