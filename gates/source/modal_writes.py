"""Writes of Modal functions into mounted volumes, and the `commit()` that makes them last."""

from __future__ import annotations

import ast
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gates.source.modal_code import assigned
from gates.source.python_code import Seen
from gates.source.python_names import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gates.source.modal_code import ModalCode

    Values = Mapping[str, list[ast.expr]]

_METHODS_OF_PATHS = frozenset({"write_text", "write_bytes", "touch"})
_FIRST = frozenset(
    {"save_pretrained", "save_model", "save_checkpoint", "savefig", "to_csv", "to_parquet", "to_json", "to_pickle"}
)
"""Methods whose first argument is the place that they write."""
_OPENS = frozenset({"open", "gzip.open", "io.open", "bz2.open", "lzma.open"})
_FIRST_OF = frozenset({"np.save", "np.savez", "numpy.save", "numpy.savez", "np.savetxt"})
_SECOND = frozenset({"torch.save", "joblib.dump", "save_file", "safetensors.torch.save_file"})
_LAST = frozenset({"copy", "copy2", "copyfile", "copytree", "move"})
_WRITING = frozenset("wax+")
DEEPEST, MOST_VALUES = 6, 3
"""How far names are followed to find out which place they name."""


@dataclass(frozen=True, kw_only=True)
class _Mount:
    place: str
    volume: str
    """Name of the variable that holds the volume; "" where it has none."""


def uncommitted(code: ModalCode) -> Iterator[Seen]:
    """Give each remote function's writes into a volume that no `commit()` of that volume follows."""
    for remote in code.remotes:
        mounts = [*_mounts(code, remote.options.get("volumes"))]
        for body in remote.bodies if mounts else ():
            committed = [*_commits(code, body)]
            for line, mount, node in _writes(code, body, mounts):
                if not any(after >= line and name in {mount.volume, ""} for after, name in committed):
                    commit = f"{mount.volume or 'its volume'}.commit()"
                    detail = f"{body.name} writes into the volume at {mount.place} and does not call {commit} after it; without that, the result can be lost"
                    yield Seen(rule="paid-compute.commit", shown=ast.unparse(node), node=node, detail=detail)


def _mounts(code: ModalCode, volumes: ast.expr | None) -> Iterator[_Mount]:
    one = code.value(volumes) if volumes is not None else None
    if isinstance(one, ast.Dict):
        for key, value in zip(one.keys, one.values, strict=True):
            place = _place(code.values, key) if key else ""
            if place and code.is_volume(value):
                yield _Mount(place=place.rstrip("/"), volume=dotted(value))


def _commits(code: ModalCode, body: ast.AST) -> Iterator[tuple[int, str]]:
    """Give line and volume of each commit, by itself or in a function of this file that is called."""
    for node, _, owner in code.uses({"commit"}, inside=body):
        if code.is_volume(owner):
            yield node.lineno, dotted(owner)
    for call in (node for node in ast.walk(body) if isinstance(node, ast.Call)):
        helper = code.defined.get(dotted(call.func))
        if helper is not None and helper is not body:
            for _, _, owner in code.uses({"commit"}, inside=helper):
                yield call.lineno, dotted(owner) if code.is_volume(owner) else "?"


def _writes(code: ModalCode, body: ast.AST, mounts: list[_Mount]) -> Iterator[tuple[int, _Mount, ast.AST]]:
    """Give line, volume and node of each write, by itself or in a function of this file that is called."""
    values = {**code.values, **assigned(body)}
    for node in (one for one in ast.walk(body) if isinstance(one, ast.Call)):
        for target in _targets(node):
            if mount := _mount(_place(values, target), mounts):
                yield node.end_lineno or node.lineno, mount, node
        helper = code.defined.get(dotted(node.func))
        if helper is None or helper is body or helper.name in code.functions:
            continue
        if not any(True for _ in code.uses({"commit"}, inside=helper)):
            yield from ((node.lineno, mount, node) for mount in _written(code, helper, mounts))


def _written(code: ModalCode, helper: ast.AST, mounts: list[_Mount]) -> list[_Mount]:
    """Give the volumes that a function writes into."""
    values = {**code.values, **assigned(helper)}
    calls = (one for one in ast.walk(helper) if isinstance(one, ast.Call))
    places = {_place(values, target) for call in calls for target in _targets(call)}
    return [one for one in mounts if any(_mount(place, [one]) for place in places)]


def _mount(place: str, mounts: list[_Mount]) -> _Mount | None:
    return next((one for one in mounts if place == one.place or place.startswith(f"{one.place}/")), None)


def _targets(call: ast.Call) -> list[ast.expr]:
    """Give the places that a call writes to."""
    name, owner = dotted(call.func), call.func.value if isinstance(call.func, ast.Attribute) else None
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    named = [one.value for one in call.keywords if one.arg in {"path", "f", "fname", "file", "dst", "save_directory"}]
    if owner is not None and (method in _METHODS_OF_PATHS or (method == "open" and _is_writing(call, 0))):
        return [owner]
    if (name in _OPENS and _is_writing(call, 1)) or method in _FIRST or name in _FIRST_OF:
        return [*call.args[:1], *named]
    if name in _SECOND or (method in _LAST and name.startswith(("shutil.", "os."))):
        return [*call.args[1:2], *named]
    return []


def _is_writing(call: ast.Call, position: int) -> bool:
    given = [*call.args[position : position + 1], *(one.value for one in call.keywords if one.arg == "mode")]
    return any(isinstance(one, ast.Constant) and _WRITING & {*str(one.value)} for one in given)


def _place(values: Values, node: ast.expr, depth: int = DEEPEST) -> str:
    """Give the beginning of a path as far as it can be known, "" where nothing can."""
    if depth == 0 or isinstance(node, ast.Constant):
        return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr | ast.FormattedValue):
        parts = node.values if isinstance(node, ast.JoinedStr) else [node.value]
        return "".join(_place(values, one, depth - 1) for one in parts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.Add):
        joined = posixpath.join if isinstance(node.op, ast.Div) else "{}{}".format
        left = _place(values, node.left, depth - 1)
        return joined(left, _place(values, node.right, depth - 1)) if left else ""
    if isinstance(node, ast.Call):
        name = dotted(node.func).split(".")[-1]
        parts = node.args if name in {"Path", "PurePosixPath", "join", "str"} else []
        return posixpath.join(*(_place(values, one, depth - 1) for one in parts)) if parts else ""
    given = values.get(dotted(node), [])[:MOST_VALUES]
    return next((place for one in given if (place := _place(values, one, depth - 1))), "")
