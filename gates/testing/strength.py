"""How much one check proves: an equality three, a bound two, mere truth one, and what can never fail nothing."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

EQUAL, NEARLY, BOUND, TRUTH, NOTHING = 3.0, 2.5, 2.0, 1.0, 0.0
SWALLOWS = frozenset(("AssertionError", "Exception", "BaseException"))
_TOLERANCES = frozenset(("rel", "abs", "atol", "rtol", "delta", "tol", "rel_tol", "abs_tol", "rel_err", "abs_err"))
_RAISES = frozenset(("raises", "assertRaises", "assertRaisesRegex", "assertRaisesRegexp", "warns", "deprecated_call"))
_TRUTHS = frozenset(
    (
        "assertTrue",
        "assertFalse",
        "assertIsNotNone",
        "assertNotEqual",
        "assertNotIn",
        "assertIsNot",
        "assertIsInstance",
        "assertIsNone",
        "assert_",
    )
)
_CLOSE = frozenset(
    (
        "assertAlmostEqual",
        "assert_allclose",
        "assert_almost_equal",
        "allclose",
        "isclose",
        "approx",
        "assert_approx_equal",
        "assertAlmostEquals",
    )
)


def strength(node: ast.expr) -> float:
    """Say how much a condition that must hold proves."""
    if isinstance(
        node, ast.Constant | ast.Tuple | ast.List | ast.Set | ast.Dict | ast.JoinedStr | ast.Lambda | ast.GeneratorExp
    ):
        return NOTHING if _always(node) else TRUTH
    if isinstance(node, ast.BoolOp):
        parts = [strength(part) for part in node.values]
        return sum(parts) if isinstance(node.op, ast.And) else 0.7 * min(parts)
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        return sum(_compared(one, op, other) for one, op, other in zip(sides, node.ops, sides[1:], strict=False))
    if isinstance(node, ast.Call):
        return (
            NEARLY
            if last(node.func) in _CLOSE
            else TRUTH
            if last(node.func) in {"isinstance", "bool", "callable", "hasattr"}
            else BOUND
        )
    if isinstance(node, ast.IfExp):
        return min(strength(node.body), strength(node.orelse))
    return strength(node.value) if isinstance(node, ast.NamedExpr | ast.Await) else TRUTH


def _always(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return bool(node.value)
    return not isinstance(node, ast.Tuple | ast.List | ast.Set) or bool(node.elts)


def _compared(left: ast.expr, op: ast.cmpop, right: ast.expr) -> float:
    quiet = not any(isinstance(one, ast.Call | ast.Await | ast.Yield) for one in ast.walk(left))
    if (quiet and ast.dump(left) == ast.dump(right)) or _never_false(left, op, right):
        return NOTHING
    if isinstance(op, ast.Eq):
        return _equal(left, right)
    if isinstance(op, ast.NotEq | ast.NotIn | ast.IsNot):
        return TRUTH
    return BOUND


def _equal(left: ast.expr, right: ast.expr) -> float:
    if any(
        isinstance(side, ast.Constant) and (side.value is None or isinstance(side.value, bool))
        for side in (left, right)
    ):
        return TRUTH
    near = [
        one
        for side in (left, right)
        for one in ast.walk(side)
        if isinstance(one, ast.Call) and last(one.func) == "approx"
    ]
    return NEARLY if any(len(one.args) > 1 or one.keywords for one in near) else EQUAL


def _never_false(left: ast.expr, op: ast.cmpop, right: ast.expr) -> bool:
    """Recognise `len(x) >= 0` and `abs(x) > -1`."""
    bound = number_of(right)
    counted = isinstance(left, ast.Call) and last(left.func) in {"len", "abs"}
    return (
        counted
        and bound is not None
        and ((isinstance(op, ast.GtE) and bound <= 0) or (isinstance(op, ast.Gt) and bound < 0))
    )


def call_strength(call: ast.Call, name: str) -> float | None:
    """Say what a call checks by itself: `self.assertEqual(...)`, `pytest.raises(...)`, `np.testing.assert_allclose(...)`."""
    if name in _RAISES:
        first = call.args[0] if call.args else None
        names = {last(one) for one in (first.elts if isinstance(first, ast.Tuple) else [first] if first else [])}
        wide = bool(names & SWALLOWS) or len(names) > 1
        return (TRUTH if wide else EQUAL) + 0.5 * any(keyword.arg == "match" for keyword in call.keywords)
    if not name.startswith(("assert", "_assert")):
        return None
    if call.args and (name in {"assertTrue", "assert_"}):
        return min(strength(call.args[0]), TRUTH)
    same = len(call.args) > 1 and ast.dump(call.args[0]) == ast.dump(call.args[1])
    return (
        NOTHING
        if same and not isinstance(call.args[0], ast.Call)
        else TRUTH
        if name in _TRUTHS
        else NEARLY
        if name in _CLOSE
        else EQUAL
    )


def number_of(node: ast.expr | None) -> float | None:
    if (
        isinstance(node, ast.UnaryOp)
        and isinstance(node.op, ast.USub)
        and (inner := number_of(node.operand)) is not None
    ):
        return -inner
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return float(node.value)
    return None


def last(node: ast.expr | None) -> str:
    if isinstance(node, ast.Call):
        return last(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


# two versions of one check


def looser(before: ast.expr, after: ast.expr) -> bool:
    """Say whether the second is the first with a wider bound or tolerance."""
    old, new = list(_bounds(before)), list(_bounds(after))
    if [kind for kind, _ in old] != [kind for kind, _ in new] or _blank(before) != _blank(after):
        return False
    return any((now - was) * kind > 0 for (kind, was), (_, now) in zip(old, new, strict=True))


def same_subject(before: ast.expr, after: ast.expr) -> bool:
    """Say whether both ask about the same thing and expect something else."""
    if (
        isinstance(before, ast.Compare)
        and isinstance(after, ast.Compare)
        and isinstance(before.ops[0], ast.Eq)
        and isinstance(after.ops[0], ast.Eq)
    ):
        return ast.dump(before.left) == ast.dump(after.left)
    return _blank(before) == _blank(after)


def _blank(node: ast.expr) -> str:
    return "".join(
        ast.dump(ast.Constant(value=0)) if isinstance(one, ast.Constant) else type(one).__name__ + _name(one)
        for one in ast.walk(node)
    )


def _name(node: ast.AST) -> str:
    return str(getattr(node, "id", getattr(node, "attr", getattr(node, "arg", ""))))


def _bounds(node: ast.expr) -> Iterator[tuple[int, float]]:
    """Give each bound with the direction in which it is wider."""
    for one in ast.walk(node):
        if isinstance(one, ast.Compare) and len(one.ops) == 1:
            yield from _limits(one)
        elif isinstance(one, ast.Call):
            named = ((keyword.arg or "", keyword.value) for keyword in one.keywords)
            third = [("", one.args[2])] if len(one.args) > 2 and last(one.func) in _CLOSE else []  # noqa: PLR2004 - actual, expected, tolerance
            digits = last(one.func) in {
                "assertAlmostEqual",
                "assert_almost_equal",
                "assertAlmostEquals",
                "assert_approx_equal",
            }
            second = [("rel", one.args[1])] if len(one.args) > 1 and last(one.func) == "approx" else []
            for name, value in (*named, *second, *third):
                if (number := number_of(value)) is not None and (
                    name in _TOLERANCES or name in {"places", "decimal", "significant", ""}
                ):
                    yield (-1 if name in {"places", "decimal", "significant"} or (not name and digits) else 1), number


def _limits(node: ast.Compare) -> Iterator[tuple[int, float]]:
    up = isinstance(node.ops[0], ast.Lt | ast.LtE)
    if not up and not isinstance(node.ops[0], ast.Gt | ast.GtE):
        return
    if (number := number_of(node.comparators[0])) is not None:
        yield (1 if up else -1), number
    elif (number := number_of(node.left)) is not None:
        yield (-1 if up else 1), number
