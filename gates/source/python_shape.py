"""How hard a Python function is to follow: McCabe's complexity, nesting depth and parameters, from the syntax tree.

Complexity is counted exactly as ruff's C901 does, so that anybody can reproduce the figure. lizard is not asked for Python:
it knows no qualified names, obeys comments that switch it off, and counts neither `match` nor code of nested functions.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_NESTS = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.Try, ast.TryStar, ast.Match)
"""`with` opens no second way through the code and is not counted."""
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BRANCHES = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.ExceptHandler, ast.match_case, *_FUNCTIONS)


def _within(node: ast.AST) -> Iterator[ast.AST]:
    """Give the statements and their parts directly within the node; expressions hold none."""
    return (child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr))


def complexity(function: FunctionNode) -> int:
    """Count the ways through the function, nested functions included."""
    ways, stack = 1, list(_within(function))
    while stack:  # no recursion: a generated chain of `elif` is as deep as it is long
        node = stack.pop()
        ways += _ways(node)
        stack += _within(node)
    return ways


def _ways(node: ast.AST) -> int:
    if isinstance(node, ast.Match):
        return -_takes_all(node.cases[-1])
    return isinstance(node, _BRANCHES) or (isinstance(node, ast.Try | ast.TryStar) and bool(node.orelse))


def _takes_all(case: ast.match_case) -> bool:
    """Say whether it is the `else` of a match: `case _` or `case name`."""
    return case.guard is None and isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None


def nesting(function: FunctionNode) -> int:
    """Give the depth of the deepest block; an `elif` is as deep as its `if`, a nested function is measured for itself."""
    deepest = 0
    stack: list[tuple[ast.AST, int]] = [(child, 0) for child in _within(function)]
    while stack:
        node, depth = stack.pop()
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            continue
        inner = depth + isinstance(node, _NESTS)
        deepest = max(deepest, inner)
        chained = node.orelse[0] if isinstance(node, ast.If) and _is_elif(node) else None
        stack += [(child, depth if child is chained else inner) for child in _within(node)]
    return deepest


def _is_elif(node: ast.If) -> bool:
    """Say whether it goes on with `elif`; an `else` with an `if` inside differs by its column alone."""
    return len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If) and node.orelse[0].col_offset == node.col_offset


def parameters(function: FunctionNode, *, method: bool) -> int:
    """Count the parameters, `*args` and `**kwargs` once each; the instance or class of a method is none.

    Those of a command of typer or click are the options of a command line, and are none either.
    """
    arguments = function.args
    if any(_decorates_commands(one) for one in function.decorator_list):
        return 0
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    stars = [star for star in (arguments.vararg, arguments.kwarg) if star]
    static = any(isinstance(one, ast.Name) and one.id == "staticmethod" for one in function.decorator_list)
    bound = method and not static and bool(arguments.posonlyargs or arguments.args)
    return len(named) + len(stars) - bound


def _decorates_commands(node: ast.expr) -> bool:
    """Say whether it is `@app.command(...)` and the like: of an object, so that no function of that name can pose as it."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"command", "callback"}
    )
