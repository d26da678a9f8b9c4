"""Which expressions, once printed, show tensors, arrays, batches or samples of data: by their names and by where they come from.

Scalars, shapes, counts, types and statistics show none. When in doubt an expression shows nothing.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gates.source import tensor_words as words
from gates.source.bindings import last_name
from gates.source.python_names import FUNCTIONS, dotted, imported_name, nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_PAIRS = frozenset({"items", "named_parameters", "named_buffers", "iterrows"})
"""Calls that give each thing with its name."""
_KEYS = frozenset({"key", "k", "name", "column", "field"})
"""What somebody calls so who runs over the keys of a batch."""
Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True)
class Names:
    """What is known of the names of one scope."""

    imported: dict[str, str]
    shows: set[str] = field(default_factory=set)
    """Names that hold tensors or data, by what they were given."""
    harmless: set[str] = field(default_factory=set)
    """Names that sound like data and hold something else; attributes with a dot before them."""


def names_in(scope: Scope, imported: dict[str, str], outer: Names | None = None) -> Names:
    """Learn from what a scope assigns what its names hold; `outer` is the module around it."""
    known = Names(imported=imported)
    if outer:
        known.shows.update(outer.shows)
        known.harmless.update(outer.harmless)
    if isinstance(scope, FUNCTIONS):
        _learn_parameters(scope.args, known)
    else:
        known.harmless.update(_counters(scope))
    given = list(_given(scope))
    for _ in range(2):  # twice: a name may be given another one
        for target, value in given:
            _learn(target, value, known)
    for name in {target.id for target, _ in given if isinstance(target, ast.Name)} - known.shows:
        values = [value for target, value in given if isinstance(target, ast.Name) and target.id == name]
        if all(_is_harmless(value, known) for value in values):
            known.harmless.add(name)
    return known


def _counters(module: ast.Module) -> Iterator[str]:
    """Give the attributes that are set to a plain value somewhere, as `.samples` for `self.samples = 0`."""
    for node in nodes(module):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and node.value.value is not None:
            yield from (f".{target.attr}" for target in node.targets if isinstance(target, ast.Attribute))


def own_nodes(scope: Scope) -> Iterator[ast.AST]:
    """Give the nodes of a scope without those of the functions within it."""
    stack: list[ast.AST] = list(scope.body)
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, FUNCTIONS):
            stack += ast.iter_child_nodes(node)


def _learn_parameters(arguments: ast.arguments, known: Names) -> None:
    for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        known.shows.discard(one.arg)
        known.harmless.discard(one.arg)
        annotation = ast.unparse(one.annotation).strip("'\"") if one.annotation else ""
        if words.TENSOR_TYPES.search(annotation):
            known.shows.add(one.arg)
        elif words.PLAIN_TYPES.fullmatch(annotation):
            known.harmless.add(one.arg)


def _given(scope: Scope) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Give what is assigned: targets with values, and targets of loops with what they run over, as `next(...)` of it."""
    for node in own_nodes(scope):
        if isinstance(node, ast.Assign):
            yield from ((target, node.value) for target in node.targets)
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value:
            yield node.target, node.value
        elif isinstance(node, ast.For | ast.AsyncFor):
            yield from _elements(node.target, node.iter)


def _elements(target: ast.expr, over: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Pair the targets of a loop with what it runs over: an index and a key show nothing."""
    parts = target.elts if isinstance(target, ast.Tuple | ast.List) else []
    name = last_name(over) if isinstance(over, ast.Call) else ""
    given = over.args if isinstance(over, ast.Call) else []
    if name == "enumerate" and given and len(parts) > 1:
        yield parts[0], ast.Constant(value=0)
        yield from _elements(parts[1], given[0])
    elif name == "tqdm" and given:
        yield from _elements(target, given[0])
    elif name == "zip":
        yield from (pair for one, its in zip(parts, given, strict=False) for pair in _elements(one, its))
    elif name in _PAIRS and len(parts) > 1:
        yield parts[0], ast.Constant(value="")
        yield parts[1], _next_of(over)
    elif dotted(target) in _KEYS:
        yield target, ast.Constant(value="")
    else:
        yield target, over if name == "range" else _next_of(over)


def _next_of(over: ast.expr) -> ast.expr:
    return ast.copy_location(ast.Call(func=ast.Name(id="next", ctx=ast.Load()), args=[over], keywords=[]), over)


def _learn(target: ast.expr, value: ast.expr, known: Names) -> None:
    if isinstance(target, ast.Tuple | ast.List):
        if isinstance(value, ast.Tuple | ast.List):
            for one, its in zip(target.elts, value.elts, strict=False):
                _learn(one, its, known)
        elif shows(value, known):
            known.shows.update(one.id for one in target.elts if isinstance(one, ast.Name) and _may_hold(one.id))
    elif isinstance(target, ast.Name) and _may_hold(target.id) and shows(value, known):
        known.shows.add(target.id)


def _may_hold(name: str) -> bool:
    """A loss is a tensor for torch and a figure for everybody else."""
    return name != "_" and not words.FIGURES.fullmatch(name)


def _is_harmless(value: ast.expr, known: Names) -> bool:
    if isinstance(value, ast.List | ast.Tuple | ast.Set):
        return all(isinstance(one, ast.Constant) for one in value.elts)
    if isinstance(value, ast.Call):
        return last_name(value) in words.DESCRIBING_CALLS | words.REDUCES | {"range", "Path", "split", "getLogger"}
    if isinstance(value, ast.Attribute):
        return value.attr in words.DESCRIBES or _is_setting(value)
    if isinstance(value, ast.Subscript | ast.BinOp | ast.BoolOp | ast.IfExp):
        return not any(isinstance(one, ast.Name) and _names_data(one, known) for one in ast.walk(value))
    return isinstance(value, ast.Constant | ast.JoinedStr | ast.Compare)


# what an expression shows


def shows(node: ast.AST | None, known: Names) -> bool:
    """Say whether the expression shows tensors, arrays, batches or samples when it is printed."""
    look = _SPECIAL.get(type(node)) if node else None
    return look(node, known) if look else any(shows(part, known) for part in _parts(node))


def _parts(node: ast.AST | None) -> Iterable[ast.AST]:
    if isinstance(node, ast.IfExp):
        return (node.body, node.orelse)
    if isinstance(node, ast.Dict | ast.JoinedStr | ast.BoolOp):
        return node.values
    if isinstance(node, ast.UnaryOp):
        return (node.operand,)
    single = [node.value] if isinstance(node, ast.Starred | ast.NamedExpr | ast.Await) else []
    return getattr(node, "elts", None) or single


def _names_data(node: ast.Name, known: Names) -> bool:
    if node.id in known.shows:
        return True
    sounds = bool(words.DATA.fullmatch(node.id))
    return sounds and node.id not in known.harmless and node.id not in known.imported


def _is_setting(node: ast.Attribute) -> bool:
    return bool(words.SETTINGS.fullmatch(dotted(node.value).rpartition(".")[2]))


def _attribute(node: ast.Attribute, known: Names) -> bool:
    if node.attr in words.DESCRIBES or _is_setting(node) or f".{node.attr}" in known.harmless:
        return False
    if node.attr in {"grad", "data"}:
        return shows(node.value, known) or last_name(node.value) in {
            "p",
            "param",
            "parameter",
            "weight",
            "bias",
            "x",
            "w",
        }
    if node.attr in {"T", "values", "real", "iloc", "loc"}:
        return shows(node.value, known)
    return bool(words.DATA.fullmatch(node.attr)) and not isinstance(node.value, ast.Call)


def _subscript(node: ast.Subscript, known: Names) -> bool:
    key = node.slice.value if isinstance(node.slice, ast.Constant) else None
    if isinstance(key, str):
        return key not in words.HARMLESS_KEYS and (shows(node.value, known) or bool(words.DATA.fullmatch(key)))
    if isinstance(node.value, ast.Attribute) and node.value.attr in words.DESCRIBES:
        return False
    return shows(node.value, known) or _is_set(node.value)


def _is_set(node: ast.expr) -> bool:
    """Say whether it is a data set or a loader: harmless itself, but not its elements."""
    inner = node.value if isinstance(node, ast.Subscript) else node
    return bool(words.SETS.fullmatch(dotted(inner).rpartition(".")[2]))


def _call(node: ast.Call, known: Names) -> bool:
    name = last_name(node)
    given = [*node.args, *(one.value for one in node.keywords)]
    base = node.func.value if isinstance(node.func, ast.Attribute) else None
    if name in words.DESCRIBING_CALLS:
        return False
    if name in words.REDUCES:
        return base is not None and _is_along(node) and shows(base, known)
    if name in {"next", "iter"} and given and _runs_over_data(given[0]):
        return True
    if name in words.CONVERTS and any(shows(one, known) for one in (*given, base)):
        return True
    return _is_made(node, known) or (name in {"head", "tail"} and base is not None and _has_tables(known))


def _is_made(node: ast.Call, known: Names) -> bool:
    """Say whether the call makes a tensor: a model does, and so do functions of the libraries."""
    name = last_name(node)
    if name in words.MODELS:
        return name == "state_dict" or bool(node.args or node.keywords)
    library = imported_name(node.func, known.imported).split(".")[0]
    single = bool(node.args) and isinstance(node.args[0], ast.Constant) and name.endswith(("tensor", "array"))
    return library in words.LIBRARIES and name in words.PRODUCERS and not single


def _has_tables(known: Names) -> bool:
    return not {"pandas", "polars"}.isdisjoint(one.split(".")[0] for one in known.imported.values())


def _is_along(node: ast.Call) -> bool:
    """Say whether a reduction leaves more than one figure."""
    axis = [one.value for one in node.keywords if one.arg in {"dim", "axis"}] or node.args[:1]
    return any(not (isinstance(one, ast.Constant) and one.value is None) for one in axis)


def _runs_over_data(node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and node.args and last_name(node) in {"iter", "enumerate", "tqdm"}:
        return _runs_over_data(node.args[0])
    named = last_name(node) in {"named_parameters", "parameters", "named_buffers", "iterrows", "itertuples"}
    return named or (not isinstance(node, ast.Call) and _is_set(node))


def _formatted(node: ast.FormattedValue, known: Names) -> bool:
    return node.format_spec is None and shows(node.value, known)  # a tensor of several elements takes no format


def _comprehension(node: ast.ListComp | ast.SetComp | ast.GeneratorExp, known: Names) -> bool:
    if shows(node.elt, known) and not isinstance(node.elt, ast.Name):
        return True
    over = node.generators[0]
    if not (shows(over.iter, known) or _runs_over_data(over.iter)):
        return shows(node.elt, known)
    plain = isinstance(node.elt, ast.Call) and last_name(node.elt) in {"item", "float", "int", "str", "repr", "tolist"}
    return plain or isinstance(node.elt, ast.Name)


def _operation(node: ast.BinOp, known: Names) -> bool:
    if isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Constant) and isinstance(node.left.value, str):
        values = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
        return any(shows(value, known) for value in unformatted(node.left.value, values))
    return shows(node.left, known) or shows(node.right, known)


def unformatted(text: str, values: list[ast.expr]) -> list[ast.expr]:
    """Give the values that a %-format shows as they are; `%d` and `%.3f` take single figures only."""
    kinds = re.findall(r"%(?:\([^)]*\))?[-#0 +]*[\d.*]*([a-zA-Z])", text.replace("%%", ""))
    return [value for index, value in enumerate(values) if index >= len(kinds) or kinds[index] in "srac"]


def _comparison(node: ast.Compare, known: Names) -> bool:
    plain = any(isinstance(one, ast.Is | ast.IsNot | ast.In | ast.NotIn) for one in node.ops)
    return not plain and shows(node.left, known) and not isinstance(node.comparators[0], ast.Constant)


_SPECIAL: dict[type[ast.AST], Callable[[Any, Names], bool]] = {
    ast.Name: _names_data,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.Call: _call,
    ast.FormattedValue: _formatted,
    ast.ListComp: _comprehension,
    ast.SetComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.BinOp: _operation,
    ast.Compare: _comparison,
}
"""How each kind of expression is looked at; of all others the parts are."""
