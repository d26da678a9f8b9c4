"""Python code that reaches for the test runner instead of doing its work: found in the syntax tree, by what it does."""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

_FOREIGN = frozenset(
    (
        "pytest",
        "_pytest",
        "unittest",
        "pluggy",
        "xdist",
        "doctest",
        "importlib",
        "builtins",
        "_frozen_importlib",
        "_frozen_importlib_external",
        "hypothesis",
    )
)
"""Packages whose attributes nobody else may set: the runner, and what imports and names mean."""
_RUNNER = re.compile(r"^_?pytest(?:\.|$)|^unittest(?:\.|$)|^pluggy(?:\.|$)|^xdist(?:\.|$)")
_ASKS = re.compile(r"^(?:PYTEST_|_PYTEST_)\w{1,40}$|^ORCHESTRATE_JUNIT$")
_TESTS = re.compile(r"(?:^|[^a-z])tests?(?:[_/.:]|$)|pytest|unittest|conftest", re.IGNORECASE)
_FRAMES = frozenset(
    (
        "sys._getframe",
        "inspect.stack",
        "inspect.currentframe",
        "inspect.getouterframes",
        "traceback.extract_stack",
        "traceback.walk_stack",
        "inspect.getframeinfo",
    )
)
_TRACES = frozenset(("sys.settrace", "sys.setprofile", "threading.settrace", "threading.setprofile"))
_ENDS = frozenset(
    (
        "os._exit",
        "sys.exit",
        "exit",
        "quit",
        "os.abort",
        "os.kill",
        "os.killpg",
        "signal.raise_signal",
        "signal.pthread_kill",
        "signal.alarm",
        "signal.setitimer",
        "pytest.exit",
        "pytest.skip",
        "faulthandler.dump_traceback_later",
    )
)
_RAISED = frozenset(("SystemExit", "KeyboardInterrupt", "unittest.SkipTest", "SkipTest"))
_HOOKS = frozenset(("sys.meta_path", "sys.path_hooks", "sys.path_importer_cache"))
_DECODES = frozenset(
    ("b64decode", "b32decode", "b85decode", "a85decode", "fromhex", "unhexlify", "decompress", "loads")
)
_SIGNS = re.compile(r"import|plugins|exit|quit|raise|class|def|lambda|exec|eval|builtins|globals|attr")
"""Every trick needs one of these words; a table of a hundred thousand lines has none, and would take long to walk."""
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True, kw_only=True)
class Trick:
    kind: str
    line: int
    text: str
    why: str


def tricks(text: str, *, test: bool) -> list[Trick]:
    """Give what the code does to the runner; nothing where it is not valid Python. In tests more is ordinary than in product code."""
    if not _SIGNS.search(text):
        return []
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    by_line: dict[int, Trick] = {}
    for trick in _Finder(tree, test=test).found():
        by_line.setdefault(trick.line, trick)  # one line, one finding
    return list(by_line.values())


def added(old: Counter[tuple[str, str]], after: str, *, test: bool) -> list[Trick]:
    """Give the tricks of a file that are not among the old ones, wherever those stood; takes from `old` what it meets."""
    new = []
    for trick in tricks(after, test=test):
        if old[trick.kind, trick.text] > 0:
            old[trick.kind, trick.text] -= 1
        else:
            new.append(trick)
    return new


class _Finder:
    def __init__(self, tree: ast.Module, *, test: bool) -> None:
        self.tree, self.test = tree, test
        self.names = dict(_imports(tree))
        self.forks = any(
            isinstance(node, ast.Attribute) and node.attr in {"fork", "forkpty"} for node in ast.walk(tree)
        )

    def found(self) -> Iterator[Trick]:
        for node in ast.walk(self.tree):
            yield from self.sets(node)
            if isinstance(node, ast.Call):
                yield from self.calls(node)
            if not self.test:
                yield from self.asks(node)
            if isinstance(node, ast.ClassDef) and not self.test:
                yield from _always_equal(node)
        yield from self.ends(self.tree.body)
        yield from self.replaced() if self.test else self.frames()
        yield from self.plugins()

    def full(self, node: ast.AST | None) -> str:
        """Give the dotted name with its import resolved: `_exit` of `from os import _exit` is `os._exit`."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            return f"{self.full(node.value)}.{node.attr}"
        if (
            isinstance(node, ast.Call)
            and self.full(node.func) in {"__import__", "importlib.import_module"}
            and node.args
        ):
            return _constant(node.args[0])
        return self.full(node.value) if isinstance(node, ast.Subscript) else ""

    def sets(self, node: ast.AST) -> Iterator[Trick]:
        """Assignments to what belongs to the runner or to the import system."""
        targets = (
            node.targets
            if isinstance(node, ast.Assign | ast.Delete)
            else [node.target]
            if isinstance(node, ast.AugAssign | ast.AnnAssign)
            else []
        )
        for target in targets:
            name = self.full(target)
            if isinstance(target, ast.Attribute) and name.partition(".")[0] in _FOREIGN:
                yield _trick("patch", node, f"it sets {name}, which belongs to the test runner or to Python itself")
            elif name in _HOOKS:
                yield _trick("import-hook", node, f"it changes {name}: how modules are imported")
            elif isinstance(target, ast.Subscript) and name == "sys.modules" and _stands_for(_constant(target.slice)):
                yield _trick("import-hook", node, f"it puts another module in the place of {_constant(target.slice)}")
            elif isinstance(target, ast.Attribute) and target.attr in {"__code__", "testsfailed"} and not self.test:
                yield _trick("patch", node, f"it sets {target.attr}, as only the test runner does")

    def calls(self, node: ast.Call) -> Iterator[Trick]:
        name, first = self.full(node.func), node.args[0] if node.args else None
        owner = self.full(first)
        if name in {"setattr", "delattr"} and owner.partition(".")[0] in _FOREIGN:
            yield _trick("patch", node, f"it sets an attribute of {owner}")
        elif any(
            name == f"{hook}.{verb}"
            for hook in _HOOKS
            for verb in ("insert", "append", "extend", "clear", "remove", "pop")
        ):
            yield _trick("import-hook", node, f"it calls {name}: how modules are imported")
        elif name in _TRACES:
            yield _trick("trace", node, f"it calls {name}, which sees and changes every running function")
        elif name in {"exec", "eval"} and first is not None and any(map(_decodes, ast.walk(first))):
            yield _trick("hidden-code", node, "it runs code that is encoded so that nobody can read it")
        elif name == "os._exit" and not self.forks and not self.test and (not node.args or _is_zero(node.args[0])):
            yield _trick(
                "exit", node, "it ends the whole process with success, past everything that would still be reported"
            )
        elif name == "pytest.exit":
            yield _trick("exit", node, "it ends the test run")

    def asks(self, node: ast.AST) -> Iterator[Trick]:
        """Questions whether tests are running, and the names of the runner's own things."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _ASKS.match(node.value):
            yield _trick("test-detection", node, f"it asks for {node.value}, which only a test run has")
        elif isinstance(node, ast.Compare):
            if any(self.full(side) == "sys.modules" for side in node.comparators) and _RUNNER.match(
                _constant(node.left)
            ):
                yield _trick("test-detection", node, "it asks whether the test runner is loaded")
        elif (
            isinstance(node, ast.Subscript)
            and self.full(node.value) == "sys.modules"
            and _RUNNER.match(_constant(node.slice))
        ):
            yield _trick("test-detection", node, f"it looks up {_constant(node.slice)} while it runs")
        elif isinstance(node, ast.Call) and node.args:
            name, key = self.full(node.func), _constant(node.args[0])
            imports = name in {"__import__", "importlib.import_module"} and re.match(r"_pytest|pluggy", key)
            if imports or (name.startswith("sys.modules.") and _RUNNER.match(key)):
                yield _trick("test-detection", node, f"it looks up {key} while it runs")

    def ends(self, body: list[ast.stmt]) -> Iterator[Trick]:
        """Exits that happen when the module is imported."""
        for node in body:
            if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
                yield from self.ends(node.orelse)
            elif not isinstance(node, _DEFINITIONS):
                for one in _at_import(node):
                    yield from self.end(one)

    def end(self, node: ast.Call | ast.Raise) -> Iterator[Trick]:
        if isinstance(node, ast.Raise):
            name = self.full(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
            if name in _RAISED and not (self.test and "Skip" in name):
                yield _trick("exit", node, f"it raises {name} when it is imported")
        elif (name := self.full(node.func)) in _ENDS and not (name == "pytest.skip" and self.test):
            yield _trick("exit", node, f"it calls {name} when it is imported")

    def replaced(self) -> Iterator[Trick]:
        """Parts of other modules that a test file replaces when it is imported, for every test and for good."""
        modules = {
            alias.asname or alias.name.partition(".")[0]
            for one in self.tree.body
            if isinstance(one, ast.Import)
            for alias in one.names
        }
        modules |= {
            alias.asname or alias.name
            for one in self.tree.body
            if isinstance(one, ast.ImportFrom)
            for alias in one.names
            if alias.name.islower()
        }
        for node in self.tree.body:
            targets = (
                [target.value for target in node.targets if isinstance(target, ast.Attribute)]
                if isinstance(node, ast.Assign)
                else []
            )
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Call)
                and self.full(node.value.func) == "setattr"
            ):
                targets = node.value.args[:1]
            if any(_root(target) in modules for target in targets):
                yield _trick("patch", node, "it replaces a part of another module for every test, when it is imported")

    def frames(self) -> Iterator[Trick]:
        """Functions that look at their callers and know the names of tests."""
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
                continue
            inner = list(_own(node))
            looks = next(
                (one for one in inner if isinstance(one, ast.Attribute | ast.Name) and self.full(one) in _FRAMES), None
            )
            texts = (one for one in inner if isinstance(one, ast.Constant) and not _is_docstring(one, node))
            if looks is not None and any(_TESTS.search(_constant(one)) for one in texts):
                yield _trick("frames", looks, "it looks at who called it and knows the names of tests")

    def plugins(self) -> Iterator[Trick]:
        for node in self.tree.body:
            targets = (
                node.targets
                if isinstance(node, ast.Assign)
                else [node.target]
                if isinstance(node, ast.AnnAssign)
                else []
            )
            if any(isinstance(target, ast.Name) and target.id == "pytest_plugins" for target in targets):
                yield _trick("plugin", node, "it makes pytest load plugins")


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (
                (alias.asname, alias.name) if alias.asname else (alias.name.partition(".")[0],) * 2
                for alias in node.names
            )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def _at_import(node: ast.AST) -> Iterator[ast.Call | ast.Raise]:
    """Give the calls and raises that happen while the statement runs, not those in functions that it defines."""
    todo = [node]
    while todo:
        one = todo.pop()
        if isinstance(one, ast.Call | ast.Raise):
            yield one
        todo += [child for child in ast.iter_child_nodes(one) if not isinstance(child, _DEFINITIONS)]


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """Give what stands in the function itself, or in the module outside of functions."""
    todo = list(ast.iter_child_nodes(node))
    while todo:
        one = todo.pop()
        yield one
        if not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            todo += ast.iter_child_nodes(one)


def _is_docstring(node: ast.AST, owner: ast.AST) -> bool:
    body = getattr(owner, "body", [])
    return bool(body) and isinstance(body[0], ast.Expr) and body[0].value is node


def _always_equal(node: ast.ClassDef) -> Iterator[Trick]:
    for part in node.body:
        name, answer = _answer(part)
        wanted = {"__eq__": True, "__ne__": False}.get(name)
        if wanted is not None and isinstance(answer, ast.Constant) and answer.value is wanted:
            yield _trick(
                "always-equal", part, f"{node.name} is equal to everything: any comparison with it proves nothing"
            )


def _answer(part: ast.stmt) -> tuple[str, ast.expr | None]:
    """Give the name of a method and the one thing that it returns, whatever it is asked."""
    if isinstance(part, ast.FunctionDef):
        body = [one for one in part.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
        return part.name, body[0].value if len(body) == 1 and isinstance(body[0], ast.Return) else None
    if isinstance(part, ast.Assign) and isinstance(part.targets[0], ast.Name) and isinstance(part.value, ast.Lambda):
        return part.targets[0].id, part.value.body
    return "", None


def _trick(kind: str, node: ast.AST, why: str) -> Trick:
    return Trick(kind=kind, line=getattr(node, "lineno", 0), text=ast.unparse(node), why=why)


def _constant(node: ast.AST | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _is_zero(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == 0


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _stands_for(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names or bool(_RUNNER.match(module))


def _decodes(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = (
        node.func.attr
        if isinstance(node.func, ast.Attribute)
        else node.func.id
        if isinstance(node.func, ast.Name)
        else ""
    )
    return name in _DECODES or (name == "join" and "chr(" in ast.unparse(node))
