"""How much the functions of a test file check: a figure for each, so that two versions can be held against each other.

In a loop or a parametrised test a check counts once for each case, under an `if` half. The figure says nothing about one test against another: it
only falls when the same test checks less than it did.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gates.testing.strength import EQUAL, SWALLOWS, call_strength, last, number_of, strength

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SKIPS = frozenset(
    ("skip", "skipif", "skipIf", "skipUnless", "xfail", "skipTest", "importorskip", "expectedFailure", "SkipTest")
)
_FIELDS = ("body", "orelse", "finalbody")


@dataclass
class Function:
    """What one function of a test file checks."""

    line: int
    test: bool
    checks: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Strength by the text of the check."""
    nodes: dict[str, ast.expr] = field(default_factory=dict)
    skips: Counter[str] = field(default_factory=Counter)
    uses: set[str] = field(default_factory=set)
    replaces: set[str] = field(default_factory=set)
    """Names that are mocked."""
    unknown_cases: bool = False
    """Whether it is parametrised by what cannot be counted here."""

    @property
    def strength(self) -> float:
        return sum(self.checks.values(), 0.0)


@dataclass(frozen=True, kw_only=True)
class Facts:
    functions: Mapping[str, Function]
    skips: Counter[str]
    """What silences the whole module or a class of it."""
    bounds: Mapping[str, float]
    """Numbers that the module gives a name."""


def facts(text: str) -> Facts | None:
    """Read a test file; None where it is not valid Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    reader = _Reader(tree)
    reader.scope(tree.body, "")
    return Facts(functions=reader.functions, skips=reader.skips, bounds=reader.bounds)


class _Reader:
    def __init__(self, tree: ast.Module) -> None:
        self.functions: dict[str, Function] = {}
        self.skips: Counter[str] = Counter()
        pairs = [
            (node.targets[0].id, node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        ]
        pairs += [
            (node.target.id, node.value)
            for node in tree.body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value
        ]
        self.sizes = {name: size for name, value in pairs if (size := _length(value, {})) is not None}
        self.bounds = {name: number for name, value in pairs if (number := number_of(value)) is not None}
        defined = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        self.local = {node.name for node in defined}
        self.helpers: set[str] = set()
        for _ in range(3):  # helpers may call helpers
            self.helpers |= {
                node.name for node in defined if not node.name.startswith("test") and self._checks_something(node)
            }

    def _checks_something(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        function = Function(line=0, test=False)
        _Meter(self, function).block(node.body, 1.0)
        return function.strength > 0

    def scope(self, body: Sequence[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self.functions[f"{prefix}{node.name}"] = self.function(node)
            elif isinstance(node, ast.ClassDef):
                self.skips.update(f"{node.name}: {mark}" for mark in _marks(node.decorator_list))
                self.scope(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.If | ast.Try | ast.With):
                for name in _FIELDS:
                    self.scope(getattr(node, name, []), prefix)
            else:
                self.statement(node, prefix)

    def statement(self, node: ast.stmt, prefix: str) -> None:
        """Find what silences a module or class: `pytestmark`, `pytest.skip(...)`, `__test__ = False`, `collect_ignore`."""
        self.skips.update(f"{prefix}{mark}" for mark in _marks([node]))
        if isinstance(node, ast.Assign):
            names = {target.id for target in node.targets if isinstance(target, ast.Name)}
            silenced = names & {"__test__", "collect_ignore", "collect_ignore_glob"}
            if silenced or any(one.startswith("test") for one in names & self.local):
                self.skips[f"{prefix}{ast.unparse(node)}"] += 1

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Function:
        found = Function(line=node.lineno, test=node.name.startswith("test"))
        found.skips = Counter(_marks([*node.decorator_list, *node.body]))
        found.uses = {name for part in node.body for name in _called(part)}
        factor = 1.0
        for decorator in node.decorator_list:
            found.replaces |= set(_replaced(decorator))
            if last(decorator) in self.local:
                found.skips[f"@{last(decorator)}"] += 1  # a wrapper of one's own can keep a failure to itself
            if isinstance(decorator, ast.Call) and last(decorator.func) == "parametrize":
                count = _length(_argument(decorator, 1, "argvalues"), self.sizes)
                found.unknown_cases |= count is None
                factor *= 1 if count is None else count
        found.replaces |= {name for part in node.body for name in _replaced(part)}
        _Meter(self, found).block(node.body, factor)
        return found


class _Meter:
    """Walks the statements of one function in their order."""

    def __init__(self, reader: _Reader, function: Function) -> None:
        self.reader = reader
        self.function = function

    def block(self, body: Sequence[ast.stmt], factor: float) -> None:
        for node in body:
            self.statement(node, factor)
            if _ends(node):
                factor = 0.0

    def statement(self, node: ast.stmt, factor: float) -> None:
        if isinstance(node, ast.Assert):
            self.add(node.test, strength(node.test), factor)
        elif isinstance(node, ast.If | ast.While):
            self.branch(node, factor)
        elif isinstance(node, ast.For | ast.AsyncFor):
            count = _length(node.iter, self.reader.sizes)
            self.block(node.body, factor * (1 if count is None else count))
            self.block(node.orelse, factor)
        elif isinstance(node, ast.With | ast.AsyncWith):
            self.with_(node, factor)
        elif isinstance(node, ast.Try | ast.TryStar):
            self.try_(node, factor)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self.block(node.body, factor)
        elif isinstance(node, ast.Match):
            for case in node.cases:
                self.block(case.body, factor / 2)
        else:
            self.calls(node, factor)

    def branch(self, node: ast.If | ast.While, factor: float) -> None:
        known = node.test.value if isinstance(node.test, ast.Constant) else None
        share = 0.5 if known is None and isinstance(node, ast.If) else 1.0
        self.block(node.body, factor * (share if known is None else float(bool(known))))
        self.block(node.orelse, factor * (share if known is None else float(not known)))

    def with_(self, node: ast.With | ast.AsyncWith, factor: float) -> None:
        inner = factor
        for item in node.items:
            call = item.context_expr
            if (
                isinstance(call, ast.Call)
                and last(call.func) == "suppress"
                and SWALLOWS & {last(one) for one in call.args}
            ):
                inner = 0.0
            self.calls(call, factor)
        self.block(node.body, inner)

    def try_(self, node: ast.Try | ast.TryStar, factor: float) -> None:
        self.block(node.body, 0.0 if any(map(_swallows, node.handlers)) else factor)
        for handler in node.handlers:
            self.block(handler.body, factor / 2)
        self.block(node.orelse, factor)
        self.block(node.finalbody, factor)

    def calls(self, node: ast.AST, factor: float) -> None:
        for call in (one for one in ast.walk(node) if isinstance(one, ast.Call)):
            name = last(call.func)
            if name in self.reader.helpers:
                self.add(call, EQUAL, factor)
            elif name not in self.reader.local and (figure := call_strength(call, name)) is not None:
                self.add(call, figure, factor)

    def add(self, node: ast.expr, figure: float, factor: float) -> None:
        if figure * factor > 0:
            text = ast.unparse(node)
            self.function.checks[text] += figure * factor
            self.function.nodes[text] = node


def _swallows(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type] if handler.type else []
    caught = not kinds or bool(SWALLOWS & {last(kind) for kind in kinds})
    inner = [one for part in handler.body for one in ast.walk(part)]
    loud = any(
        isinstance(one, ast.Raise | ast.Assert) or (isinstance(one, ast.Call) and last(one.func) in {"fail", "exit"})
        for one in inner
    )
    return caught and not loud


def _ends(node: ast.stmt) -> bool:
    if isinstance(node, ast.If) and isinstance(node.test, ast.Constant) and node.test.value:
        return any(map(_ends, node.body))
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return last(node.value.func) in {"skip", "xfail", "skipTest", "fail"}
    return isinstance(node, ast.Return | ast.Raise | ast.Continue | ast.Break)


def _marks(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """Give what skips or forgives: marks, calls and exceptions."""
    for node in (one for part in nodes for one in ast.walk(part)):
        if isinstance(node, ast.Attribute | ast.Name) and last(node) in _SKIPS:
            yield last(node)


def _called(node: ast.AST) -> Iterator[str]:
    yield from (last(one.func) for one in ast.walk(node) if isinstance(one, ast.Call))


def _replaced(node: ast.AST) -> Iterator[str]:
    """Give the names that `patch("a.b.name")`, `patch.object(a, "name")` or `setattr(a, "name", ...)` replace."""
    for call in (one for one in ast.walk(node) if isinstance(one, ast.Call)):
        words = ast.unparse(call.func).split(".")
        if words[-1] in {"patch", "setattr", "object", "spy"} and (
            "patch" in words or "setattr" in words or "mocker" in words
        ):
            texts = [one.value for one in call.args[:2] if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            yield from (text.rpartition(".")[2] for text in texts[:1])


def _argument(call: ast.Call, index: int, name: str) -> ast.expr | None:
    return next(
        (keyword.value for keyword in call.keywords if keyword.arg == name),
        call.args[index] if len(call.args) > index else None,
    )


def _length(node: ast.expr | None, sizes: Mapping[str, int]) -> int | None:
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return None if any(isinstance(one, ast.Starred) for one in node.elts) else len(node.elts)
    if isinstance(node, ast.Dict):
        return None if None in node.keys else len(node.keys)
    if isinstance(node, ast.Name):
        return sizes.get(node.id)
    if isinstance(node, ast.Call):
        inner = (
            node.func.value
            if isinstance(node.func, ast.Attribute) and node.func.attr in {"items", "keys", "values"}
            else None
        )
        wrapped = (
            node.args[0]
            if node.args and last(node.func) in {"enumerate", "sorted", "list", "tuple", "reversed", "zip"}
            else inner
        )
        return _length(wrapped, sizes) if wrapped else None
    return None
