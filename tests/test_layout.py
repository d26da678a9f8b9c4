"""The architecture as a test: rooms, arrows, no cycles, sizes. The rules in prose are in README.md and docs/decisions/.

| package        | may import                                        |
|----------------|---------------------------------------------------|
| tickets        | nothing of ours                                   |
| worktrees      | tickets                                           |
| memory         | tickets                                           |
| agents, gates  | tickets, worktrees (agents and gates never meet)  |
| orchestrator   | all of them                                       |
| experiment_hub | nothing of ours, and nothing of ours imports it   |
"""

from __future__ import annotations

import ast
import graphlib
import importlib
import os
import statistics
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
HUB = "experiment_hub"
ARROWS: dict[str, set[str]] = {
    "tickets": set(),
    "worktrees": {"tickets"},
    "memory": {"tickets"},
    "agents": {"tickets", "worktrees"},
    "gates": {"tickets", "worktrees"},
    "orchestrator": {"tickets", "worktrees", "memory", "agents", "gates"},
    HUB: set(),
}
PLACES = {name: ROOT / ("platform" if name == HUB else ".") / name for name in ARROWS}
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'platform'}"}
MODULE_LINES, FUNCTION_LINES, PARAMETERS = 400, 60, 6
"""The sixth parameter is `self`; the manner asks for five."""


def modules(package: str) -> list[Path]:
    return sorted(PLACES[package].rglob("*.py"))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


ALL = [path for package in ARROWS for path in modules(package)]
TREES = {path: parsed(path) for path in ALL}


def imported(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every import, wherever it stands: in functions and under TYPE_CHECKING too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide the arrow"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


# the shelf


def test_platform_is_the_standard_librarys() -> None:
    import platform

    assert Path(platform.__file__).parent == Path(sysconfig.get_path("stdlib"))


@pytest.mark.parametrize("folder", [".", "tests", "scripts"])
def test_platform_is_intact_for_commands_and_their_children(folder: str) -> None:
    code = "import subprocess, sys, platform; print(platform.__file__); subprocess.run([sys.executable, '-c', 'import platform; print(platform.__file__)'], check=True)"
    for command in ([sys.executable, "-c", code], [sys.executable, "-m", "timeit", "-n1", "-r1", f"exec({code!r})"]):
        done = subprocess.run(command, cwd=ROOT / folder, env=ENVIRONMENT, capture_output=True, text=True, check=True)
        places = [line for line in done.stdout.splitlines() if line.endswith(".py")]
        assert places
        assert all(Path(line).parent == Path(sysconfig.get_path("stdlib")) for line in places)


def test_the_shelf_holds_its_readme_and_one_package() -> None:
    names = {path.name for path in (ROOT / "platform").iterdir() if path.name != "__pycache__"}
    assert names == {"README.md", HUB}
    strays = [
        path
        for path in (ROOT / "platform").rglob("*.py")
        if path.name == "conftest.py" or path.name.startswith("test_")
    ]
    assert not strays


def test_tests_are_no_package() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))
    assert not list((ROOT / "scripts").rglob("__init__.py"))


# the packages


@pytest.mark.parametrize("package", ARROWS)
def test_each_package_is_imported_from_this_tree(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__file__ is not None
    assert Path(module.__file__).parent == PLACES[package]
    done = subprocess.run(
        [sys.executable, "-c", f"import {package}; print({package}.__file__)"],
        cwd=ROOT / "tests",
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()).parent == PLACES[package]


def test_no_other_distribution_ships_one_of_our_names() -> None:
    owners = {
        name: set(found) - {"signalbox"} for name, found in metadata.packages_distributions().items() if name in ARROWS
    }
    assert not any(owners.values()), owners


def test_no_module_is_named_like_one_of_the_standard_library() -> None:
    shadows = [
        path for path in ALL if path.parent in {ROOT, ROOT / "platform"} and path.stem in sys.stdlib_module_names
    ]
    assert not shadows


# the arrows


@pytest.mark.parametrize("package", ARROWS)
def test_imports_obey_the_table(package: str) -> None:
    allowed = ARROWS[package] | {package}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules(package)
        for name, line in imported(TREES[path])
        if name.split(".")[0] in ARROWS and name.split(".")[0] not in allowed
    ]
    assert not wrong, "\n".join(wrong)


def dotted(path: Path) -> str:
    base = ROOT / "platform" if path.is_relative_to(ROOT / "platform") else ROOT
    parts = path.relative_to(base).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_there_is_no_import_cycle_of_any_kind() -> None:
    names = {dotted(path) for path in ALL}
    graph: dict[str, set[str]] = {}
    for path, tree in TREES.items():
        wanted = {name if name in names else name.rpartition(".")[0] for name, _ in imported(tree)}
        graph[dotted(path)] = (wanted & names) - {dotted(path)}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_only_the_doors_start_processes() -> None:
    doors = {
        "worktrees/git.py",  # the door to git
        "worktrees/remote.py",  # the door to the network, for git and the client of a hosting service
        "worktrees/process.py",  # the door to everything else
        "worktrees/supervisor.py",  # what stands behind that door
        "worktrees/levels.py",  # proves the sandbox on a short-lived child
        "orchestrator/telling/courier.py",  # starts the harness itself, to outlive the run
        "orchestrator/nursery.py",  # starts itself: agents are held by processes of their own
        "agents/scripted_player.py",  # runs as an agent, not as the harness
        "agents/hands.py",  # so do the hands of our own loop
    }
    users = {
        str(path.relative_to(ROOT))
        for path, tree in TREES.items()
        if HUB not in path.parts and any(name.split(".")[0] == "subprocess" for name, _ in imported(tree))
    }
    assert users <= doors


# the sizes


def functions(path: Path) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node, (node.end_lineno or node.lineno) - node.lineno + 1


def test_modules_are_short() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in ALL
        if (lines := path.read_text(encoding="utf-8").count("\n")) > MODULE_LINES
    }
    assert not long


def takes_many(path: Path, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Its parameters are the options of a command, or the reason for their number stands beside its name."""
    line = path.read_text(encoding="utf-8").splitlines()[node.lineno - 1]
    return path == PLACES["orchestrator"] / "cli.py" or "noqa: PLR0913" in line


def test_functions_are_short_and_take_few_parameters() -> None:
    wrong = []
    for path in ALL:
        for node, lines in functions(path):
            count = len(node.args.posonlyargs + node.args.args + node.args.kwonlyargs)
            if lines > FUNCTION_LINES or (count > PARAMETERS and not takes_many(path, node)):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {lines} lines, {count} parameters")
    assert not wrong, "\n".join(wrong)


def test_most_functions_are_small() -> None:
    sizes = sorted(lines for path in ALL for _, lines in functions(path))
    assert statistics.median(sizes) < 10
    assert sizes[int(len(sizes) * 0.9)] < 30


def test_the_pipeline_fits_one_screen() -> None:
    assert (ROOT / "orchestrator" / "pipeline.py").read_text(encoding="utf-8").count("\n") <= 70


def test_broad_handlers_stand_at_the_process_edges_only() -> None:
    edges = {
        "orchestrator/__main__.py",
        "orchestrator/edges.py",  # the edge of a thread
        "orchestrator/keeper.py",
        "orchestrator/permission.py",  # a client behind it would take an error for a yes
        "gates/runner.py",
        "worktrees/supervisor.py",
        f"platform/{HUB}/training/saver.py",  # the edge of a thread: the loop raises what it caught
    }
    found = set()
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            broad = isinstance(node, ast.ExceptHandler) and (
                node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"}
            )
            if broad and not (isinstance(node, ast.ExceptHandler) and isinstance(node.body[-1], ast.Raise)):
                found.add(str(path.relative_to(ROOT)))
    assert found <= edges
