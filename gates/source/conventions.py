"""Docstrings and typed signatures: which definitions could have them, which do, and how common they are at the base."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from gates.source.measures import UnparsableError, parse
from gates.source.python_code import read_all
from gates.source.python_names import FUNCTIONS, definitions, dotted, is_public, is_test

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from worktrees.git import Repository

Kind = Literal["module", "class", "function"]
SAMPLE = 16
"""Files of the base that are read to learn what is common."""
LEAST, SHARE = 5, 0.9
"""A convention is what at least so many comparable definitions, and this share of them, follow."""
_EXEMPT = frozenset({"override", "overload", "setter", "deleter"})
_NO_PARENT = frozenset({"object", "Protocol", "Generic", "ABC", "NamedTuple", "TypedDict"})


@dataclass(frozen=True, kw_only=True)
class Item:
    """A public module, class or function."""

    kind: Kind
    name: str
    """Qualified; empty for the module."""
    line: int
    documented: bool
    may_inherit: bool
    """A method that may override one which is documented where it was declared."""
    typed: bool | None
    """Whether every parameter and the result are annotated; None for what has no signature."""


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How many comparable items there are, and how many of them follow."""

    following: Counter[str]
    comparable: Counter[str]

    def share(self, what: str) -> str:
        return f"{self.following[what]} of {self.comparable[what]}"

    def common(self, what: str) -> bool:
        return self.comparable[what] >= LEAST and self.following[what] >= SHARE * self.comparable[what]


def is_judged(path: str) -> bool:
    """Say whether a file's definitions are for others: no test, no stub, no script, nothing private."""
    place = PurePosixPath(path)
    private = any(part.startswith("_") for part in place.parts[:-1]) or (
        place.name.startswith("_") and place.name != "__init__.py"
    )
    return place.suffix == ".py" and not private and not is_test(path)


def items(tree: ast.Module) -> Iterator[Item]:
    """Give the module and its public definitions, as far as anything can be asked of them."""
    documented = ast.get_docstring(tree) is not None
    if not all(_says_itself(node) for node in tree.body[documented:]):
        yield Item(kind="module", name="", line=1, documented=documented, may_inherit=False, typed=None)
    bases: dict[str, bool] = {}
    for name, node in definitions(tree):
        if isinstance(node, ast.ClassDef):
            bases[name] = any(_last(base) not in _NO_PARENT for base in node.bases)
        if is_public(name) and _EXEMPT.isdisjoint(_last(one) for one in node.decorator_list):
            owner = name.rpartition(".")[0]
            yield Item(
                kind="class" if isinstance(node, ast.ClassDef) else "function",
                name=name,
                line=node.lineno,
                documented=ast.get_docstring(node) is not None,
                may_inherit=bases.get(owner, False),
                typed=_is_typed(node, method=bool(owner)) if isinstance(node, FUNCTIONS) else None,
            )


def _says_itself(node: ast.stmt) -> bool:
    """Imports and `__all__` need no sentence."""
    if isinstance(node, ast.Assign):
        return all(dotted(target).startswith("__") for target in node.targets)
    return isinstance(node, ast.Import | ast.ImportFrom)


def _last(node: ast.expr) -> str:
    plain = node.func if isinstance(node, ast.Call) else node.value if isinstance(node, ast.Subscript) else node
    return dotted(plain).rpartition(".")[2]


def _is_typed(node: ast.FunctionDef | ast.AsyncFunctionDef, *, method: bool) -> bool:
    arguments = node.args
    static = any(_last(one) == "staticmethod" for one in node.decorator_list)
    named = [*arguments.posonlyargs, *arguments.args][method and not static :]
    every = [*named, *arguments.kwonlyargs, *(star for star in (arguments.vararg, arguments.kwarg) if star)]
    return node.returns is not None and all(one.annotation is not None for one in every)


# what is common at the base


def region(path: str, folders: frozenset[str]) -> str:
    """Give the outermost package that holds the file, or else the first folder, or "" at the root.

    `folders` are the packages: the folders that have an `__init__.py`.
    """
    parents = [str(parent) for parent in PurePosixPath(path).parents][:-1]
    return next((parent for parent in reversed(parents) if parent in folders), parents[-1] if parents else "")


@lru_cache(maxsize=64)
def habits(repository: Repository, base: str, place: str, near: str) -> Habits:
    """Learn from a sample of the files of a region, those in the folder `near` first."""
    entries = [entry for entry in repository.entries(base) if entry.mode.startswith("100") and is_judged(entry.path)]
    inside = [entry.path for entry in entries if _in_region(entry.path, place)]
    # of the rest every so many-th, so that no single folder speaks for all
    closest = [path for path in inside if path.rpartition("/")[0] == near][: SAMPLE // 2]
    rest = [path for path in inside if path not in closest]
    step = max(1, len(rest) // (SAMPLE - len(closest)))
    texts = read_all(repository, base, [*closest, *rest[::step][: SAMPLE - len(closest)]])
    return _counted(item for text in texts.values() for item in _items_of(text))


def _in_region(path: str, place: str) -> bool:
    return path.startswith(f"{place}/") if place else "/" not in path


def _items_of(text: str) -> Iterable[Item]:
    try:
        return list(items(parse(text)))
    except UnparsableError:
        return []


def _counted(found: Iterable[Item]) -> Habits:
    following, comparable = Counter[str](), Counter[str]()
    for item in found:
        if not item.may_inherit:
            comparable[item.kind] += 1
            following[item.kind] += item.documented
        if item.typed is not None:
            comparable["types"] += 1
            following["types"] += item.typed
    return Habits(following=following, comparable=comparable)


@lru_cache(maxsize=4)
def packages_of(repository: Repository, base: str) -> frozenset[str]:
    """Name the folders of the base that are packages."""
    ends = "/__init__.py"
    return frozenset(entry.path.removesuffix(ends) for entry in repository.entries(base) if entry.path.endswith(ends))
