"""Names in Python code: what a call calls, what an import means, which definitions there are and which are public."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
LEARNING = frozenset(
    {"torch", "numpy", "tensorflow", "keras", "jax", "flax", "pandas", "polars", "transformers", "datasets", "sklearn"}
    | {"lightning", "pytorch_lightning", "accelerate", "torchvision", "torchaudio", "scipy", "xgboost", "lightgbm"}
    | {"cupy"}
)
"""Packages that a file imports which deals with tensors, arrays or samples of data."""
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def dotted(node: ast.AST | None) -> str:
    """Give `a.b.c` for a name or a chain of attributes, "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        start = dotted(node.value)
        return f"{start}.{node.attr}" if start else ""
    return ""


@lru_cache(maxsize=64)
def nodes(tree: ast.Module) -> tuple[ast.AST, ...]:
    """Give every node of a tree; remembered, because every gate looks at all of them."""
    return tuple(ast.walk(tree))


@lru_cache(maxsize=64)
def aliases(tree: ast.Module) -> dict[str, str]:
    """Say what each imported name stands for, wherever in the file it is imported: `np` is `numpy`."""
    found: dict[str, str] = {}
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            found |= {
                alias.asname or alias.name: f"{'.' * node.level}{node.module or ''}.{alias.name}"
                for alias in node.names
            }
    return found


def resolved(node: ast.AST | None, known: dict[str, str]) -> str:
    """Give the full name of what a name or attribute stands for: `np.random.seed` is `numpy.random.seed`."""
    name = dotted(node)
    first, dot, rest = name.partition(".")
    return f"{known.get(first, first)}{dot}{rest}"


def imported_name(node: ast.AST | None, known: dict[str, str]) -> str:
    """Give the full name of what was imported, "" for everything else: a variable may be called `random`."""
    return resolved(node, known) if dotted(node).split(".")[0] in known else ""


def packages(tree: ast.Module) -> frozenset[str]:
    """Name the packages that the file imports anywhere."""
    return frozenset(name.split(".")[0] for name in aliases(tree).values() if not name.startswith("."))


def learns(tree: ast.Module) -> bool:
    """Say whether the file imports something that computes on tensors, arrays or tables of data."""
    return not packages(tree).isdisjoint(LEARNING)


def is_test(path: str) -> bool:
    """Say whether the file belongs to the tests, by the usual names."""
    place = PurePosixPath(path)
    named = place.name.startswith("test_") or place.stem.endswith("_test") or place.name == "conftest.py"
    return named or bool({"tests", "test", "testing"} & set(place.parts[:-1]))


def definitions(tree: ast.Module) -> Iterator[tuple[str, Definition]]:
    """Give the definitions at module level and in classes, with qualified names; those within functions are nobody's."""
    yield from _definitions(tree, "")


def _definitions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Definition]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, FUNCTIONS):
            yield f"{prefix}{child.name}", child
        elif isinstance(child, ast.ClassDef):
            yield f"{prefix}{child.name}", child
            yield from _definitions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.stmt | ast.excepthandler):
            yield from _definitions(child, prefix)


def is_public(qualified: str) -> bool:
    """Say whether no part of the name begins with an underscore."""
    return not any(part.startswith("_") for part in qualified.split("."))
