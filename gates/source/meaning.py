"""What Python code does, apart from how it is written: the same for comments, formatting and docstrings of any kind."""

from __future__ import annotations

import ast
import copy

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def meaning(node: ast.AST, *, annotations: bool = True) -> str:
    """Give a text that is equal for code that does the same; without `annotations`, types of arguments count as prose."""
    stripped = _Prose(annotations=annotations).visit(copy.deepcopy(node))
    return ast.dump(stripped)


class _Prose(ast.NodeTransformer):
    """Takes out what only people read. The syntax trees of a change are shared, so it works on a copy."""

    def __init__(self, *, annotations: bool) -> None:
        self.annotations = annotations

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, _DOCUMENTED):
            # fields are explained in strings below them: those are prose like a docstring
            node.body = [one for one in node.body if not _is_text(one)]
        if not self.annotations and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        return super().generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        if not self.annotations:
            node.annotation = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if self.annotations or node.value is None:
            return self.generic_visit(node)
        return ast.Assign(targets=[node.target], value=self.visit(node.value))


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
