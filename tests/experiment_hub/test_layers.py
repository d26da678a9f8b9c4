"""Import arrows point down only, function-level and type-only imports included."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import experiment_hub
from experiment_hub.plugins.registry import plugins

PACKAGE = Path(str(experiment_hub.__file__)).parent
GROUND = {"errors", "strict", "tasks", "discovery", "output", "times", "files", "canonical"}
TOP = {"cli", "commands", "ui", "__main__"}
FLOORS = {
    **dict.fromkeys(GROUND, 0),
    "configuration": 1,
    **dict.fromkeys(("metrics", "metadata"), 2),
    **dict.fromkeys(("plugins", "datasets", "artifacts", "cost", "tracking"), 3),
    **dict.fromkeys(("training", "scheduler", "registry"), 4),
    **dict.fromkeys(("evaluation", "worker"), 5),
    "api": 6,
    **dict.fromkeys(TOP, 7),
}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Every module of the package that a file names in an import, in whatever form."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("experiment_hub"))
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the floor"
            base = str(node.module)
            if base == "experiment_hub":
                yield from (f"{base}.{alias.name}" for alias in node.names)
            elif base.startswith("experiment_hub."):
                yield base


@pytest.mark.parametrize("here", sorted({room(path) for path in MODULES}))
def test_a_room_imports_only_from_lower_floors(here: str) -> None:
    assert here in FLOORS, f"give {here} a floor"
    for path in (path for path in MODULES if room(path) == here):
        for name in imports(path):
            there = name.split(".")[1]
            same_room = there == here or {here, there} <= GROUND or {here, there} <= TOP
            assert same_room or FLOORS[there] < FLOORS[here], f"{path.name} ({here}) must not import {name}"


def test_the_core_names_no_model() -> None:
    for path in MODULES:
        if room(path) == "plugins":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert not texts & set(plugins()), path
        allowed = {"experiment_hub.plugins.registry", "experiment_hub.plugins.protocol"}
        assert {name for name in imports(path) if name.startswith("experiment_hub.plugins")} <= allowed, path


def test_the_folder_around_is_no_package() -> None:
    assert not (PACKAGE.parent / "__init__.py").exists()
    assert not (PACKAGE.parent / "conftest.py").exists()
