"""What is imported when a module is imported, and which modules of a repository that leads to. Nothing is run.

Counted is what runs at import: module level with its `if`, `try`, `with` and class bodies, decorators and defaults of
functions, `importlib.import_module("x")` and `__import__("x")`. Not counted: bodies of functions, `if TYPE_CHECKING:`.
"""

from __future__ import annotations

import ast
import posixpath
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from gates.source.measures import UnparsableError, parse
from gates.source.python_code import read_all
from gates.source.python_names import FUNCTIONS, aliases, dotted, resolved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from worktrees.git import Repository

MOST_MODULES = 150
"""Modules of one commit that are read in all; beyond that, nothing more is followed."""
_IMPORTERS = frozenset({"importlib.import_module", "__import__", "builtins.__import__"})
_BY_NAME = ("importlib", "builtins")
_USUAL_ROOTS = ("", "src", "lib", "python")


@dataclass(frozen=True, kw_only=True)
class Imported:
    """One name that an import asks for: `torch.nn` for both `import torch.nn` and `from torch import nn`."""

    name: str
    level: int
    """Dots of a relative import."""
    node: ast.AST

    @property
    def line(self) -> int:
        return getattr(self.node, "lineno", 0)


@dataclass(frozen=True, kw_only=True)
class Visit:
    path: str
    chain: tuple[str, ...]
    """The way to it: first a start, last the module itself."""
    imports: tuple[Imported, ...]


def package_of(name: str, packages: Iterable[str]) -> str:
    """Say which of the packages a full name belongs to, or ""."""
    return next((one for one in packages if name == one or name.startswith(f"{one}.")), "")


@lru_cache(maxsize=64)
def at_import(tree: ast.Module) -> tuple[Imported, ...]:
    """Give what is imported when the module is imported."""
    executed = [*_executed(tree)]
    found = [one for node in executed for one in _stated(node)]
    known = aliases(tree) if any(package_of(one.name, _BY_NAME) for one in found) else {}
    return tuple(sorted([*found, *_asked(executed, known)], key=lambda one: one.line))


def _stated(node: ast.AST) -> Iterator[Imported]:
    if isinstance(node, ast.Import):
        yield from (Imported(name=alias.name, level=0, node=node) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            parts = (node.module or "", "" if alias.name == "*" else alias.name)
            yield Imported(name=".".join(part for part in parts if part), level=node.level, node=node)


def _asked(executed: Iterable[ast.AST], known: dict[str, str]) -> Iterator[Imported]:
    """Give the imports that are function calls with a literal name."""
    for node in executed:
        if isinstance(node, ast.Call) and node.args and resolved(node.func, known) in _IMPORTERS:
            text = _text(node.args[0])
            if name := text.lstrip("."):
                yield Imported(name=name, level=len(text) - len(name), node=node)


def _executed(tree: ast.Module) -> Iterator[ast.AST]:
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(_inside(node))


def _inside(node: ast.AST) -> Iterable[ast.AST]:
    """Give the parts of a node that run when the node itself does."""
    if isinstance(node, FUNCTIONS):
        return [*node.decorator_list, *node.args.defaults, *(one for one in node.args.kw_defaults if one)]
    if isinstance(node, ast.Lambda):
        return node.args.defaults
    if isinstance(node, ast.If) and dotted(node.test).split(".")[-1] == "TYPE_CHECKING":
        return node.orelse
    return ast.iter_child_nodes(node)


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


class Modules:
    """The Python modules of one commit, read as far as somebody follows their imports."""

    def __init__(self, repository: Repository, commit: str) -> None:
        self.repository, self.commit = repository, commit
        self.paths = frozenset(entry.path for entry in repository.entries(commit) if entry.path.endswith(".py"))
        self.folders = frozenset(folder for path in self.paths for folder in _ancestors(path))
        self.read: dict[str, tuple[Imported, ...]] = {}
        self.after: dict[str, frozenset[str]] = {}

    def visit(self, starts: Iterable[str]) -> Iterator[Visit]:
        """Give each module that importing the starts imports, nearest first."""
        begin = [file for start in starts for file in (*self.packages(start), start) if file in self.paths]
        level: dict[str, tuple[str, ...]] = {file: (file,) for file in begin}
        seen = set(level)
        while level:
            self._load([path for path in level if path not in self.read])
            ways: dict[str, tuple[str, ...]] = {}
            for path, chain in level.items():
                yield Visit(path=path, chain=chain, imports=self.read.get(path, ()))
                for file in self._next(path):
                    ways.setdefault(file, (*chain, file))
            level = {file: chain for file, chain in ways.items() if file not in seen}
            seen |= level.keys()

    def _next(self, path: str) -> frozenset[str]:
        """Give the files that importing one file imports next."""
        if path not in self.after:
            self.after[path] = frozenset(file for one in self.read.get(path, ()) for file in self.files(path, one))
        return self.after[path]

    def files(self, path: str, one: Imported) -> list[str]:
        """Give the files of this repository that an import in the file `path` runs; none where it is another package."""
        parts = one.name.split(".") if one.name else []
        if one.level:
            folder = posixpath.dirname(path)
            for _ in range(one.level - 1):
                folder = posixpath.dirname(folder)
            return [*self.packages(posixpath.join(folder, "_")), *self._below(folder, parts)]
        if not parts or parts[0] in sys.stdlib_module_names:
            return []
        return next((found for root in self._roots(path) if (found := self._below(root, parts))), [])

    def packages(self, path: str) -> list[str]:
        """Give the `__init__.py` of each package around a module: they run before it."""
        found: list[str] = []
        for folder in _ancestors(path):
            init = posixpath.join(folder, "__init__.py")
            if init not in self.paths:
                break
            found.insert(0, init)
        return [init for init in found if init != path]

    def _load(self, paths: Sequence[str]) -> None:
        wanted = paths[: max(0, MOST_MODULES - len(self.read))]
        for path, text in read_all(self.repository, self.commit, wanted).items():
            try:
                self.read[path] = at_import(parse(text))
            except UnparsableError:
                self.read[path] = ()

    def _roots(self, path: str) -> Iterator[str]:
        """Give the folders that imports may start from: those around the file that are no packages, and the usual ones."""
        around = [folder for folder in _ancestors(path) if posixpath.join(folder, "__init__.py") not in self.paths]
        yield from dict.fromkeys((*around, *_USUAL_ROOTS))

    def _below(self, root: str, parts: Sequence[str]) -> list[str]:
        found: list[str] = []
        place = root
        for part in parts:
            place = posixpath.join(place, part)
            init = posixpath.join(place, "__init__.py")
            if f"{place}.py" in self.paths and init not in self.paths:
                return [*found, f"{place}.py"]
            if place not in self.folders:
                break
            found += [init] if init in self.paths else []
        return found


def _ancestors(path: str) -> list[str]:
    """Give the folders around a path, the nearest first, the root as "" last."""
    found = [posixpath.dirname(path)]
    while found[-1]:
        found.append(posixpath.dirname(found[-1]))
    return found
