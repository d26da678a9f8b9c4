"""What is Modal in a Python file: apps, remote functions and classes with their options, volumes, handles of running calls.

It is read from names and assignments of this one file; what comes from elsewhere and cannot be seen counts as no Modal.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from gates.source.bindings import last_name
from gates.source.python_names import FUNCTIONS, aliases, dotted, nodes, packages, resolved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gates.source.python_names import Definition

DEEPEST = 6
"""Names that are followed one after another: a = b, b = c, ..."""
APPS = frozenset({"modal.App", "modal.Stub", "modal.App.lookup", "modal.app.App"})
WEB = frozenset({"asgi_app", "wsgi_app", "web_endpoint", "fastapi_endpoint", "web_server"})
"""Decorators of functions that a browser calls; Modal does not try those again."""


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A function or class that runs on Modal."""

    name: str
    node: Definition
    decorator: ast.expr
    options: dict[str, ast.expr]
    complete: bool
    """Whether every option can be seen."""

    @property
    def bodies(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Give the functions that run remotely: the function itself, or the methods of the class."""
        return (
            [self.node] if isinstance(self.node, FUNCTIONS) else [m for m in self.node.body if isinstance(m, FUNCTIONS)]
        )

    @property
    def tried_again(self) -> bool:
        """Whether Modal can start it again at all: it cannot for web functions and generators."""
        names = {last_name(one) for body in self.bodies for one in body.decorator_list}
        yields = any(isinstance(node, ast.Yield | ast.YieldFrom) for body in self.bodies for node in ast.walk(body))
        return not (names & WEB or (yields and isinstance(self.node, FUNCTIONS)))


@lru_cache(maxsize=64)
def modal_code(tree: ast.Module) -> ModalCode | None:
    """Give what is Modal in the file; None where it does not import modal."""
    return ModalCode(tree) if "modal" in packages(tree) else None


class ModalCode:
    """One file that imports modal."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree, self.known = tree, aliases(tree)
        self.values = assigned(tree)
        self.from_elsewhere = frozenset(
            alias.asname or alias.name
            for node in nodes(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        )
        self.defined = {node.name: node for node in nodes(tree) if isinstance(node, FUNCTIONS)}
        self.remotes = tuple(self._remotes())
        self.functions = frozenset(one.name for one in self.remotes if isinstance(one.node, FUNCTIONS))
        self.classes = frozenset(one.name for one in self.remotes if isinstance(one.node, ast.ClassDef))
        self.methods = frozenset(body.name for one in self.remotes if one.name in self.classes for body in one.bodies)

    # options

    def _remotes(self) -> Iterator[Remote]:
        for node in nodes(self.tree):
            if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                for decorator in node.decorator_list:
                    if self._makes_remote(decorator.func if isinstance(decorator, ast.Call) else decorator):
                        yield self._remote(node, decorator)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Call) and self._makes_remote(node.func.func):
                target = self.defined.get(dotted(node.args[0])) if node.args else None
                if target is not None:
                    yield self._remote(target, node.func)

    def _remote(self, node: Definition, decorator: ast.expr) -> Remote:
        options: dict[str, ast.expr] = {}
        complete = True
        for keyword in decorator.keywords if isinstance(decorator, ast.Call) else ():
            if keyword.arg:
                options[keyword.arg] = keyword.value
            elif (unpacked := self._pairs(keyword.value)) is None:
                complete = False
            else:
                options |= unpacked
        return Remote(name=node.name, node=node, decorator=decorator, options=options, complete=complete)

    def _pairs(self, node: ast.expr) -> dict[str, ast.expr] | None:
        """Give what `**node` unpacks to; None where that cannot be seen."""
        one = self.value(node)
        if isinstance(one, ast.Dict):
            keys = [key.value if isinstance(key, ast.Constant) else None for key in one.keys]
            return {str(key): value for key, value in zip(keys, one.values, strict=True)} if None not in keys else None
        if (
            isinstance(one, ast.Call)
            and dotted(one.func) == "dict"
            and not one.args
            and all(k.arg for k in one.keywords)
        ):
            return {str(keyword.arg): keyword.value for keyword in one.keywords}
        return None

    def _makes_remote(self, node: ast.expr) -> bool:
        """Say whether this is `app.function` or `app.cls`."""
        found = [
            one for one in self.origins(node) if isinstance(one, ast.Attribute) and one.attr in {"function", "cls"}
        ]
        return any(
            self.is_app(one.value) or (isinstance(one.value, ast.Name) and one.value.id in self.from_elsewhere)
            for one in found
        )

    # values

    def value(self, node: ast.expr) -> ast.expr:
        """Follow a name that is assigned once to what it is."""
        for _ in range(DEEPEST):
            values = self.values.get(dotted(node), ())
            if len(values) != 1:
                break
            node = values[0]
        return node

    def origins(self, node: ast.expr) -> list[ast.expr]:
        """Give all that a name may stand for, through every name it was assigned from; `f.with_options()` is still `f`."""
        found, names = [node], set[str]()
        for one in found:  # it grows
            name = dotted(one)
            if name and name not in names:
                names.add(name)
                found += self.values.get(name, ())
            elif (
                isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr.startswith("with_")
            ):
                found.append(one.func.value)
        return found

    def made_by(self, node: ast.expr, makes: Callable[[str], bool]) -> bool:
        """Say whether the value comes from a call of something with such a full name."""
        calls = (one for one in self.origins(node) if isinstance(one, ast.Call))
        return any(makes(resolved(call.func, self.known)) for call in calls)

    def is_app(self, node: ast.expr) -> bool:
        if self.values.get(dotted(node)):
            return self.made_by(node, APPS.__contains__)
        return dotted(node).split(".")[-1] in {"app", "stub"} or self.made_by(node, APPS.__contains__)

    def is_volume(self, node: ast.expr) -> bool:
        return self.made_by(node, lambda name: name.startswith("modal.Volume."))

    def is_sandbox(self, node: ast.expr) -> bool:
        return self.made_by(node, lambda name: name.startswith("modal.Sandbox."))

    def is_function(self, node: ast.expr) -> bool:
        """Say whether the value is a remote function, or a remote method of an object."""
        return any(self._is_function(one) for one in self.origins(node))

    def _is_function(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self.functions
        if isinstance(node, ast.Attribute):
            own = dotted(node.value) == "self" and node.attr in self.methods
            return own or any(self._is_object(one) for one in self.origins(node.value))
        if not isinstance(node, ast.Call):
            return False
        made_here = isinstance(node.func, ast.Call) and self._makes_remote(node.func.func)
        return made_here or resolved(node.func, self.known).startswith("modal.Function.")

    def _is_object(self, node: ast.expr) -> bool:
        """Say whether the value is an object of a remote class."""
        origins = self.origins(node.func) if isinstance(node, ast.Call) else []
        return any(dotted(one) in self.classes or self._is_looked_up(one) for one in origins)

    def _is_looked_up(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Call) and resolved(node.func, self.known).startswith("modal.Cls.")

    def is_handle(self, node: ast.expr) -> bool:
        """Say whether the value is, or holds, a call that was spawned."""
        if self.made_by(node, lambda name: name.startswith("modal.FunctionCall.")):
            return True
        parts = (part for one in self.origins(node) for part in ast.walk(one))
        return any(
            isinstance(part, ast.Attribute) and part.attr == "spawn" and self.is_function(part.value) for part in parts
        )

    def uses(self, names: Iterable[str], inside: ast.AST | None = None) -> Iterator[tuple[ast.expr, str, ast.expr]]:
        """Give each use of an attribute: its node, its name, and what it is an attribute of; `getattr` counts."""
        wanted = frozenset(names)
        for node in nodes(self.tree) if inside is None else ast.walk(inside):
            if isinstance(node, ast.Attribute) and node.attr in wanted:
                yield node, node.attr, node.value
            elif isinstance(node, ast.Call) and dotted(node.func) == "getattr" and len(node.args) > 1:
                name = node.args[1].value if isinstance(node.args[1], ast.Constant) else None
                if isinstance(name, str) and name in wanted:
                    yield node, name, node.args[0]


def assigned(inside: ast.AST) -> dict[str, list[ast.expr]]:
    """Give every name with the values that it is given: by assignments, loops, `with`, defaults and `append`."""
    found: dict[str, list[ast.expr]] = {}
    for node in nodes(inside) if isinstance(inside, ast.Module) else ast.walk(inside):
        for target, value in _bound(node):
            if name := dotted(target):
                found.setdefault(name, []).append(value)
    return found


def _bound(node: ast.AST) -> Iterator[tuple[ast.AST, ast.expr]]:
    if isinstance(node, ast.Assign):
        yield from ((target, node.value) for target in node.targets)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value:
        yield node.target, node.value
    elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
        yield node.target, node.iter
    elif isinstance(node, ast.withitem) and node.optional_vars:
        yield node.optional_vars, node.context_expr
    elif isinstance(node, ast.arguments):
        named = [*node.posonlyargs, *node.args]
        defaults = zip(reversed(named), reversed(node.defaults), strict=False)
        yield from ((ast.Name(id=one.arg), value) for one, value in defaults)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append":
        yield from ((node.func.value, value) for value in node.args)
