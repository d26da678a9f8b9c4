"""Versioned definitions in Python files: what each is called, its version, and what it does besides.

A definition is a call with `name=` and `version=`, a class with both as attributes, or a file with a constant VERSION.
What it does is its own code and all of its file that it uses, so two definitions in one file change one at a time.
"""

from __future__ import annotations

import ast
import copy
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gates.source.meaning import meaning
from gates.source.python_names import aliases, dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

PROSE = frozenset({"source", "description", "doc", "docs", "help", "title", "label", "reference", "notes"})
"""Fields that say something about a definition and do not change its figures."""
_VERSIONS = frozenset({"VERSION", "version", "__version__"})


@dataclass(frozen=True, kw_only=True)
class Definition:
    name: str
    version: str
    """As it is written; "" where it is not written out."""
    path: str
    line: int
    meaning: str
    """The same text for a definition that gives the same figures, whatever its version."""

    @property
    def number(self) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", self.version))


def definitions(path: str, tree: ast.Module) -> list[Definition]:
    """Give the definitions of a file, in their order."""
    plain = _Unversioned().visit(copy.deepcopy(tree))
    pairs = zip(_found(tree), _found(plain), strict=True)
    named = [(one, _File(plain).closure(other)) for one, other in pairs]
    if not named and (version := _constants(tree).get("VERSION")):
        name = _text(_constants(tree).get("NAME")) or PurePosixPath(path).stem
        whole = meaning(plain, annotations=False)
        return [Definition(name=name, version=_text(version), path=path, line=version.lineno, meaning=whole)]
    return [
        Definition(
            name=_text(_field(one, "name", 0)),
            version=_version(one, tree),
            path=path,
            line=getattr(one, "lineno", 0),
            meaning=text,
        )
        for one, text in named
    ]


def _found(tree: ast.Module) -> list[ast.AST]:
    found = [
        node for node in ast.walk(tree) if _text(_field(node, "name", 0)) and _field(node, "version", 1) is not None
    ]
    return sorted(found, key=lambda node: (getattr(node, "lineno", 0), getattr(node, "col_offset", 0)))


def _field(node: ast.AST, name: str, position: int) -> ast.expr | None:
    """Give the value of a field of a call or a class."""
    if isinstance(node, ast.Call):
        named = next((keyword.value for keyword in node.keywords if keyword.arg == name), None)
        in_order = "Metric" in dotted(node.func) and len(node.args) > position
        return node.args[position] if named is None and in_order else named
    return _constants(node).get(name) if isinstance(node, ast.ClassDef) else None


def _constants(node: ast.Module | ast.ClassDef) -> dict[str, ast.expr]:
    """Give the names that are assigned directly in a module or class."""
    found: dict[str, ast.expr] = {}
    for statement in node.body:
        if isinstance(statement, ast.Assign):
            found |= {dotted(target): statement.value for target in statement.targets}
        elif isinstance(statement, ast.AnnAssign) and statement.value:
            found[dotted(statement.target)] = statement.value
    return found


def _version(node: ast.AST, tree: ast.Module) -> str:
    value = _field(node, "version", 1)
    return _text(_constants(tree).get(dotted(value), value))


def _text(node: ast.expr | None) -> str:
    """Give a literal name or number as text; "" for everything else."""
    written = isinstance(node, ast.Constant) and isinstance(node.value, str | int) and not isinstance(node.value, bool)
    return str(node.value) if written and isinstance(node, ast.Constant) else ""


class _Unversioned(ast.NodeTransformer):
    """Takes out versions and prose. It works on a copy."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if _field(node, "version", 1) is not None:
            for keyword in node.keywords:
                if keyword.arg == "version" or keyword.arg in PROSE:
                    keyword.value = ast.copy_location(ast.Constant(value=0), keyword.value)
            if "Metric" in dotted(node.func) and len(node.args) > 1:
                node.args[1] = ast.copy_location(ast.Constant(value=0), node.args[1])
        return self.generic_visit(node)

    def visit_Module(self, node: ast.Module) -> ast.AST:
        return self._constants_out(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._constants_out(node)

    def _constants_out(self, node: ast.Module | ast.ClassDef) -> ast.AST:
        for statement in node.body:
            targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
            if isinstance(statement, ast.Assign | ast.AnnAssign) and any(dotted(one) in _VERSIONS for one in targets):
                statement.value = ast.Constant(value=0)
        return self.generic_visit(node)


class _File:
    """The statements of a file by the names that they give."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.imported = aliases(tree)
        self.giving: dict[str, list[ast.stmt]] = {}
        for statement in tree.body:
            for name in _given(statement):
                self.giving.setdefault(name, []).append(statement)

    def closure(self, node: ast.AST) -> str:
        """Give what a definition does: its own code, and all that it uses of the file."""
        around = next((one for one in self.tree.body if any(part is node for part in ast.walk(one))), None)
        begin = [node, *(one for one in self.tree.body if _concerns_all(one))]
        if isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef):
            begin.append(around)
        pieces = [meaning(one, annotations=False) for one in begin]
        used = {part.id for one in begin for part in ast.walk(one) if isinstance(part, ast.Name)}
        return "\n".join(sorted([*pieces, *self._used({*used, *(_given(around) if around else ())}, around)]))

    def _used(self, names: set[str], around: ast.stmt | None) -> Iterator[str]:
        waiting, known, done = [*names], set(names), {id(around)}
        while waiting:
            name = waiting.pop()
            if name in self.imported:
                yield f"{name} is {self.imported[name]}"
                continue
            for statement in (one for one in self.giving.get(name, ()) if id(one) not in done):
                done.add(id(statement))
                yield meaning(statement, annotations=False)
                more = {part.id for part in ast.walk(statement) if isinstance(part, ast.Name)} - known
                known |= more
                waiting += more


def _concerns_all(statement: ast.stmt) -> bool:
    """Say whether a statement may change any definition of the file: a call, or names that nobody lists."""
    if isinstance(statement, ast.ImportFrom):
        return any(alias.name == "*" for alias in statement.names)
    return isinstance(statement, ast.Expr) and not isinstance(statement.value, ast.Constant)


def _given(statement: ast.stmt) -> set[str]:
    """Name what a statement gives a value to, in whatever way."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    found = {part.id for part in ast.walk(statement) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    attributes = (part for part in ast.walk(statement) if isinstance(part, ast.Attribute | ast.Subscript))
    found |= {dotted(part.value).split(".")[0] for part in attributes if isinstance(part.ctx, ast.Store)}
    inner = (part for part in ast.walk(statement) if isinstance(part, ast.FunctionDef | ast.ClassDef))
    return {*found, *(part.name for part in inner)} - {""}
