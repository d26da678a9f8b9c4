"""Habits that cost money or results on Modal: each function gives what it sees in one file."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gates.source.bindings import last_name
from gates.source.modal_writes import uncommitted
from gates.source.python_code import Seen
from gates.source.python_names import FUNCTIONS, dotted, nodes, packages, resolved

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gates.source.modal_code import ModalCode, Remote

_MODEL = re.compile(
    r"(?:^|_)(?:model|net|network|module|backbone|classifier|discriminator|optimizer|trainer)$", re.IGNORECASE
)
_PICKLES = frozenset(f"{name}.dump{end}" for name in ("pickle", "cloudpickle", "dill", "joblib") for end in ("", "s"))
_LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_MOVES = frozenset({"to", "cuda", "cpu", "eval", "compile"})
"""What gives the same model again."""
_UNBUFFERED = "PYTHONUNBUFFERED"


def habits(code: ModalCode, *, fan_out: str) -> Iterator[Seen]:
    """Give all that the rules for paid computing name, as it stands in the file."""
    if fan_out == "spawn":
        yield from _maps(code)
    for remote in code.remotes:
        yield from _options(code, remote)
        yield from _prints(code, remote)
    yield from _checkpoints(code)
    yield from _variants(code)
    yield from _stops(code)
    yield from uncommitted(code)


def _maps(code: ModalCode) -> Iterator[Seen]:
    for node, name, owner in code.uses({"map", "starmap", "for_each"}):
        if code.is_function(owner):
            shown = ast.unparse(owner)
            detail = (
                f"{shown}.{name} ends with whoever started it; start each input with {shown}.spawn and keep the handles"
            )
            yield Seen(rule="paid-compute.map", shown=f"{shown}.{name}", node=node, detail=detail)


# options


def _options(code: ModalCode, remote: Remote) -> Iterator[Seen]:
    if not remote.complete:
        return
    if remote.tried_again and _is_nothing(code, remote.options.get("retries")):
        detail = f"{remote.name} is not tried again when its machine is lost; give its decorator retries=1 or more"
        yield Seen(rule="paid-compute.retries", shown=remote.name, node=remote.decorator, detail=detail)
    if _is_nothing(code, remote.options.get("timeout")):
        detail = f"{remote.name} has no time-out of its own, which bounds what it can cost; give its decorator timeout=<seconds>"
        yield Seen(rule="paid-compute.timeout", shown=remote.name, node=remote.decorator, detail=detail)


def _is_nothing(code: ModalCode, node: ast.expr | None) -> bool:
    """Say whether the option is missing, None, 0, or a `modal.Retries` of 0."""
    one = code.value(node) if node is not None else None
    if isinstance(one, ast.Call) and resolved(one.func, code.known) == "modal.Retries":
        given = [*one.args[:1], *(keyword.value for keyword in one.keywords if keyword.arg == "max_retries")]
        return bool(given) and _is_nothing(code, given[0])
    return one is None or (isinstance(one, ast.Constant) and not one.value)


# output


def _prints(code: ModalCode, remote: Remote) -> Iterator[Seen]:
    if "print" in code.values or "print" in code.from_elsewhere or not _is_buffered(code, remote):
        return
    for body in remote.bodies:
        flushed = [node.lineno for node, _, owner in code.uses({"flush"}, inside=body) if "stdout" in dotted(owner)]
        calls = [node for node in ast.walk(body) if isinstance(node, ast.Call) and dotted(node.func) == "print"]
        for node in calls:
            if _is_kept_back(node) and not any(line > node.lineno for line in flushed):
                detail = f"{body.name} prints without flush=True; what it prints is lost when it is stopped"
                yield Seen(rule="paid-compute.flush", shown=ast.unparse(node), node=node, detail=detail)


def _is_kept_back(call: ast.Call) -> bool:
    options = {keyword.arg: keyword.value for keyword in call.keywords}
    flush, file = options.get("flush"), options.get("file")
    if None in options or (file is not None and dotted(file) != "sys.stdout"):
        return False
    return flush is None or (isinstance(flush, ast.Constant) and not flush.value)


def _is_buffered(code: ModalCode, remote: Remote) -> bool:
    """Say whether output waits in a buffer; an image that cannot be seen is not accused."""
    if any(True for _ in code.uses({"reconfigure"})) or _sets_unbuffered(code.tree):
        return False
    image = remote.options.get("image")
    parts = [part for one in (code.origins(image) if image else ()) for part in ast.walk(one)]
    hidden = {dotted(part) for part in parts if isinstance(part, ast.Name)} & code.from_elsewhere
    hidden -= {name for name in hidden if code.known[name].startswith("modal.")}
    return remote.complete and not hidden and (image is None or any(isinstance(part, ast.Call) for part in parts))


def _sets_unbuffered(tree: ast.Module) -> bool:
    dicts = [node for node in nodes(tree) if isinstance(node, ast.Dict)]
    pairs = (pair for one in dicts for pair in zip(one.keys, one.values, strict=True))
    return any(
        isinstance(key, ast.Constant) and key.value == _UNBUFFERED and not _is_empty(value) for key, value in pairs
    )


def _is_empty(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and not node.value


# checkpoints


def _checkpoints(code: ModalCode) -> Iterator[Seen]:
    learns = not packages(code.tree).isdisjoint({"torch", "lightning", "pytorch_lightning", "transformers"})
    for node in nodes(code.tree):
        name = resolved(node.func, code.known) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and (name == "torch.save" or (learns and name in _PICKLES)):
            what = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "obj")]
            if what and _is_whole_model(code, what[0]):
                shown = ast.unparse(node)
                detail = f"`{shown}` keeps the whole object, which only this very code can load; save its state_dict()"
                yield Seen(rule="paid-compute.checkpoint", shown=shown, node=node, detail=detail)


def _is_whole_model(code: ModalCode, node: ast.expr) -> bool:
    """Say whether the value is a model or the like itself, or holds one."""
    return any(_is_model(code, one) for one in _held(code, node))


def _held(code: ModalCode, node: ast.expr) -> list[ast.expr]:
    """Give the value, and what the dicts in it hold."""
    found, known = [node], set[int]()
    for one in found:  # it grows
        dicts = [value for value in code.origins(one) if isinstance(value, ast.Dict) and id(value) not in known]
        known |= {id(value) for value in dicts}
        found += [value for each in dicts for value in each.values]
    return found


def _is_model(code: ModalCode, node: ast.expr) -> bool:
    origins = code.origins(node)
    if any("state_dict" in ast.unparse(one) for one in origins if isinstance(one, ast.Call | ast.Await)):
        return False
    if any(isinstance(one, ast.Dict) for one in origins):
        return False
    moved = (one for one in origins if isinstance(one, ast.Call) and last_name(one) in _MOVES)
    return any(_MODEL.search(_last(one)) for one in origins) or any(_is_named_model(one) for one in moved)


def _is_named_model(call: ast.Call) -> bool:
    parts = [*call.args[:1], *([call.func.value] if isinstance(call.func, ast.Attribute) else [])]
    return any(_MODEL.search(_last(part)) for part in parts)


def _last(node: ast.expr) -> str:
    return dotted(node).split(".")[-1]


# variants


@dataclass(frozen=True, kw_only=True)
class _Launch:
    call: ast.Call
    how: str
    function: str
    varied: bool
    """Whether it stands in a loop, with other arguments each time."""
    direct: bool
    """Whether it is called here, and not by what it is handed to."""


def _variants(code: ModalCode) -> Iterator[Seen]:
    """Give launches of several variants that no single run, waited for, stands before."""
    scopes: list[ast.AST] = [code.tree, *(node for node in nodes(code.tree) if isinstance(node, FUNCTIONS))]
    for scope in scopes:
        launches = _launches(code, scope)
        verified = [*_verified(code, launches), *(_verified_by_helpers(code, scope) if launches else ())]
        first: dict[str, str] = {}
        for one in launches:
            shown = ast.unparse(one.call)
            again = one.how == "spawn" and first.setdefault(one.function, shown) != shown
            before = any(line < one.call.lineno and which == one.function for line, which in verified)
            if (one.varied or again) and not before:
                detail = (
                    f"{one.function}.{one.how} launches several variants before one was verified; "
                    f"run one with {one.function}.remote(...) first"
                )
                yield Seen(rule="paid-compute.variants", shown=shown, node=one.call, detail=detail)


def _launches(code: ModalCode, scope: ast.AST) -> list[_Launch]:
    """Give each launch of a remote function in a scope, in the order of the lines."""
    found = [launch for node, loop in _own(scope) if (launch := _launch(code, node, loop))]
    return sorted(found, key=lambda one: (one.call.lineno, one.call.col_offset))


def _launch(code: ModalCode, node: ast.AST, loop: ast.AST | None) -> _Launch | None:
    """Read a call as a launch: of `f.remote` or `f.spawn` itself, or by whatever is handed one of them."""
    for place, one in enumerate((node.func, *node.args) if isinstance(node, ast.Call) else ()):
        named = one.value if isinstance(one, ast.Attribute) and one.attr == "aio" else one
        if isinstance(node, ast.Call) and isinstance(named, ast.Attribute) and _is_launcher(code, named):
            mapped = place > 0 and "map" in last_name(node)
            varied = mapped or (loop is not None and (named.attr == "spawn" or _varies(node, loop)))
            function = ast.unparse(named.value)
            return _Launch(call=node, how=named.attr, function=function, varied=varied, direct=place == 0)
    return None


def _is_launcher(code: ModalCode, node: ast.Attribute) -> bool:
    return node.attr in {"spawn", "remote"} and code.is_function(node.value)


def _own(scope: ast.AST) -> Iterator[tuple[ast.AST, ast.AST | None]]:
    """Give the nodes of a scope without the functions in it, each with the outermost loop around it."""
    stack: list[tuple[ast.AST, ast.AST | None]] = [(child, None) for child in ast.iter_child_nodes(scope)]
    while stack:
        node, loop = stack.pop()
        if not isinstance(node, FUNCTIONS):
            yield node, loop
            around = loop or (node if isinstance(node, _LOOPS) else None)
            stack.extend((child, around) for child in ast.iter_child_nodes(node))


def _varies(call: ast.Call, loop: ast.AST) -> bool:
    """Say whether the arguments change with the loop: trying the same again is no other variant."""
    given = [part for one in (*call.args, *call.keywords) for part in ast.walk(one)]
    stored = {one.id for one in ast.walk(loop) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    return any(isinstance(part, ast.Call) or (isinstance(part, ast.Name) and part.id in stored) for part in given)


def _verified(code: ModalCode, launches: list[_Launch]) -> Iterator[tuple[int, str]]:
    """Give line and function of each single run that is waited for."""
    awaited = [value for _, _, value in code.uses({"get"})] if launches else []
    for one in launches:
        waited = any(one.call in ast.walk(value) or _holds(code, value, one.call) for value in awaited)
        if one.direct and not one.varied and (one.how == "remote" or waited):
            yield one.call.lineno, one.function


def _holds(code: ModalCode, value: ast.expr, call: ast.Call) -> bool:
    return any(one is call for one in code.origins(value))


def _verified_by_helpers(code: ModalCode, scope: ast.AST) -> Iterator[tuple[int, str]]:
    for node, _ in _own(scope):
        helper = code.defined.get(dotted(node.func)) if isinstance(node, ast.Call) else None
        if helper is not None and helper is not scope:
            for _, function in _verified(code, _launches(code, helper)):
                yield getattr(node, "lineno", 0), function


# stopping


def _stops(code: ModalCode) -> Iterator[Seen]:
    """Give the calls that end a running job."""
    kinds = {"stop": code.is_app, "cancel": code.is_handle, "terminate": code.is_sandbox}
    for node, name, owner in code.uses(kinds):
        if kinds[name](owner) or (name == "cancel" and _is_annotated(code, owner)):
            shown = f"{ast.unparse(owner)}.{name}"
            yield Seen(rule="paid-compute.stop", shown=shown, node=node, detail=f"`{shown}()` stops a running paid job")


def _is_annotated(code: ModalCode, owner: ast.expr) -> bool:
    """Say whether the value is an argument that is declared as a handle."""
    declared = (node for node in nodes(code.tree) if isinstance(node, ast.arg) and node.arg == dotted(owner))
    return any("modal.FunctionCall" in ast.unparse(one.annotation) for one in declared if one.annotation)
