"""Names that code gives values to, in whatever way: assignments, arguments, defaults, keys; and what is a literal."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from gates.source.python_names import FUNCTIONS, dotted, nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONFIGURATION_NAMES = (
    "Config",
    "Configuration",
    "Settings",
    "Args",
    "Arguments",
    "Options",
    "Hyperparameters",
    "Params",
)
_BEHAVIOUR = frozenset({"object", "ABC", "Module", "LightningModule", "Callback"})
_OPTIONS = frozenset({"add_argument", "set_defaults", "Option", "option", "Argument", "argument", "Field", "field"})
"""Calls that declare what a person may set: a value there is a default that can be seen and changed."""
_COMMANDS = frozenset({"command", "callback", "main"})
_FALLBACKS = frozenset({"get", "pop", "setdefault"})


@dataclass(frozen=True, kw_only=True)
class Binding:
    name: str
    """The last part alone: `seed` for `self.seed`, `args.seed`, `options["seed"]` and `f(seed=...)`."""
    value: ast.expr


def last_name(node: ast.AST) -> str:
    """Give the last part of what is called or used as a decorator or base."""
    plain = node.func if isinstance(node, ast.Call) else node.value if isinstance(node, ast.Subscript) else node
    return plain.attr if isinstance(plain, ast.Attribute) else dotted(plain)


def _declarations(node: ast.ClassDef) -> Iterator[ast.stmt]:
    """Give the statements that declare settings: fields of a dataclass or model, all of a class that is called so."""
    decorated = any(last_name(one) in {"dataclass", "define", "frozen", "attrs"} for one in node.decorator_list)
    model = bool(node.bases) and all(last_name(base) not in _BEHAVIOUR for base in node.bases)
    named = node.name.endswith(_CONFIGURATION_NAMES)
    kinds = (ast.AnnAssign, ast.Assign) if named else (ast.AnnAssign,)
    if decorated or model or named:
        yield from (statement for statement in node.body if isinstance(statement, kinds))


@lru_cache(maxsize=64)
def bindings(tree: ast.Module) -> tuple[Binding, ...]:
    """Give every name with the value it gets, except where settings are declared."""
    classes = (node for node in nodes(tree) if isinstance(node, ast.ClassDef))
    declared = {id(statement) for node in classes for statement in _declarations(node)}
    return tuple(binding for node in nodes(tree) if id(node) not in declared for binding in _bound(node))


def _bound(node: ast.AST) -> Iterator[Binding]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _assigned(target, node.value)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value:
        yield from _assigned(node.target, node.value)
    elif isinstance(node, ast.Call):
        yield from _arguments(node)
    elif isinstance(node, (*FUNCTIONS, ast.Lambda)) and not _is_command(node):
        yield from _defaults(node.args)
    elif isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        yield from (Binding(name=_text(key), value=value) for key, value in pairs if _text(key))


def _is_command(node: ast.AST) -> bool:
    """Say whether the parameters are options of a command line."""
    return any(last_name(one) in _COMMANDS for one in getattr(node, "decorator_list", ()))


def _assigned(target: ast.expr, value: ast.expr) -> Iterator[Binding]:
    if isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
        for one, its in zip(target.elts, value.elts, strict=False):
            yield from _assigned(one, its)
    elif isinstance(target, ast.Name | ast.Attribute):
        yield Binding(name=last_name(target), value=value)
    elif isinstance(target, ast.Subscript) and _text(target.slice):
        yield Binding(name=_text(target.slice), value=value)


def _arguments(call: ast.Call) -> Iterator[Binding]:
    if last_name(call) not in _OPTIONS:
        yield from (Binding(name=one.arg, value=one.value) for one in call.keywords if one.arg)
    arguments = call.args[1:] if last_name(call) == "getattr" else call.args if last_name(call) in _FALLBACKS else []
    if len(arguments) == 2 and _text(arguments[0]):  # noqa: PLR2004 - the key and what is taken where it is missing
        yield Binding(name=_text(arguments[0]), value=arguments[1])


def _defaults(arguments: ast.arguments) -> Iterator[Binding]:
    named = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(reversed(named), reversed(arguments.defaults), strict=False)]
    pairs += [(one, value) for one, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value]
    yield from (Binding(name=one.arg, value=value) for one, value in pairs)


def _text(node: ast.AST | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


# literals


def constants(tree: ast.Module) -> dict[str, ast.expr]:
    """Give the names that the file assigns once, and a number."""
    found: dict[str, list[ast.expr]] = {}
    for node in nodes(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, []).append(node.value)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.setdefault(node.id, [])
    return {name: values[0] for name, values in found.items() if len(values) == 1 and numbers(values[0], {})}


def numbers(node: ast.expr, known: dict[str, ast.expr]) -> tuple[float, ...]:
    """Give the numbers that a value is made of, when it is made of numbers alone or falls back to them; else nothing."""
    if isinstance(node, ast.Constant):
        return _number(node.value)
    if isinstance(node, ast.UnaryOp):
        return tuple(-number for number in numbers(node.operand, known))
    if isinstance(node, ast.Name) and node.id in known:
        return numbers(known[node.id], {})
    if isinstance(node, ast.BoolOp | ast.IfExp):
        parts = node.values if isinstance(node, ast.BoolOp) else [node.body, node.orelse]
        return tuple(number for part in parts for number in numbers(part, known))
    if isinstance(node, ast.Call) and last_name(node) in {"int", "float", "Decimal"} and len(node.args) == 1:
        return _text_number(node.args[0]) or numbers(node.args[0], known)
    parts = [node.left, node.right] if isinstance(node, ast.BinOp) else getattr(node, "elts", [])
    found = [numbers(part, known) for part in parts]
    return tuple(number for part in found for number in part) if all(found) else ()


def _number(value: object) -> tuple[float, ...]:
    return (float(value),) if isinstance(value, int | float) and not isinstance(value, bool) else ()


def _text_number(node: ast.expr) -> tuple[float, ...]:
    try:
        return (float(_text(node)),)
    except ValueError:
        return ()
