# noqa: A005 - gates are named as the contract names them; nobody imports it but by its full name
"""`logging`: logs and standard output hold figures, shapes and names, never tensors, arrays, batches or samples of data.

Judged is code that imports something that computes on data (torch, numpy, pandas, ...); elsewhere `labels` are just labels.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from gates.protocol import Case, Gate
from gates.source.bindings import last_name
from gates.source.python_code import Seen, changed_files, fresh
from gates.source.python_names import FUNCTIONS, aliases, dotted, learns, nodes, resolved
from gates.source.tensors import names_in, own_nodes, shows, unformatted
from gates.verdict import Finding, Verdict, judged, not_applicable
from tickets.globs import matches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gates.source.tensors import Names, Scope
    from tickets.model import Ticket
    from tickets.policy import Policy

_PLAIN = frozenset(
    {"print", "pprint.pprint", "pprint.pp", "rich.print", "builtins.print", "display", "IPython.display.display"}
    | {"tqdm.tqdm.write", "tqdm.auto.tqdm.write", "tqdm.write", "sys.stdout.write", "sys.stderr.write", "click.echo"}
    | {"typer.echo", "warnings.warn"}
)
_LEVELS = frozenset({"debug", "info", "warning", "warn", "error", "critical", "exception", "log", "trace", "success"})
_LOGGER = re.compile(r"_*(?:\w+_)?(?:log|logger|logging|getLogger|get_logger|console)", re.IGNORECASE)
_TRACKERS = re.compile(
    r"wandb|mlflow|neptune|comet|run|experiment|accelerator|self|writer|summary_writer|tb|tensorboard|trainer"
)
_TRACKS = frozenset(
    {"log", "log_dict", "log_metrics", "log_text", "log_image", "log_table", "add_text", "add_image", "add_images"}
    | {"add_embedding"}
)


def rule(_ticket: Ticket, policy: Policy) -> str:
    settings = policy.logging
    if not settings.paths:
        return ""
    exempt = f" (not {', '.join(f'`{glob}`' for glob in settings.exempt)})" if settings.exempt else ""
    return (
        "Do not print or log tensors, arrays, batches, data frames or samples of data"
        f" in {', '.join(f'`{glob}`' for glob in settings.paths)}{exempt}. "
        "Single figures (`loss.item()`, `f'{loss:.3f}'`), shapes, types, counts and names are welcome."
    )


def verify(case: Case) -> Verdict:
    if not any(_is_judged(case, file.path, file.tree) for file in changed_files(case)):
        return not_applicable("no Python that computes on data was changed")
    found = [_finding(file.path, seen) for file, seen in fresh(case, _find) if _is_judged(case, file.path, file.tree)]
    return judged(found, otherwise="nothing was added that prints or logs tensors or data")


def _is_judged(case: Case, path: str, tree: ast.Module) -> bool:
    settings = case.policy.logging
    return bool(matches(path, settings.paths)) and not matches(path, settings.exempt) and learns(tree)


def _finding(path: str, seen: Seen) -> Finding:
    shown = seen.shown if len(seen.shown) <= 80 else f"{seen.shown[:77]}..."  # noqa: PLR2004 - what a line of a report holds
    message = (
        f"{path}:{seen.line} logs data or tensors: `{shown}` shows `{seen.detail}`; "
        "log a single figure (`.item()`), its shape or its length instead"
    )
    return Finding(rule="logging.data", path=path, line=seen.line, message=message)


def _find(_path: str, tree: ast.Module) -> Iterator[Seen]:
    imported = aliases(tree)
    around = names_in(tree, imported)
    nicknames = _nicknames(tree, imported)
    scopes: list[tuple[Scope, Names]] = [(tree, around)]
    scopes += [(node, names_in(node, imported, around)) for node in nodes(tree) if isinstance(node, FUNCTIONS)]
    for scope, known in scopes:
        for node in own_nodes(scope):
            if isinstance(node, ast.Call) and _tells(node.func, imported, nicknames):
                leak = next((value for value in _told(node) if shows(value, known)), None)
                if leak is not None:
                    yield Seen(rule="data", shown=ast.unparse(node), node=node, detail=ast.unparse(leak))


def _nicknames(tree: ast.Module, imported: dict[str, str]) -> frozenset[str]:
    """Give the names that stand for `print` and the like: `say = print`."""
    assigned = (node for node in nodes(tree) if isinstance(node, ast.Assign) and not isinstance(node.value, ast.Call))
    return frozenset(
        target.id
        for node in assigned
        for target in node.targets
        if isinstance(target, ast.Name) and _tells(node.value, imported, frozenset())
    )


def _tells(function: ast.expr, imported: dict[str, str], nicknames: frozenset[str]) -> bool:
    """Say whether what is called prints or logs."""
    name = dotted(function)
    if name in nicknames or resolved(function, imported) in _PLAIN:
        return True
    if not isinstance(function, ast.Attribute):
        return False
    owner = last_name(function.value)
    logs = function.attr in {*_LEVELS, "print"} and bool(_LOGGER.fullmatch(owner))
    return logs or (function.attr in _TRACKS and bool(_TRACKERS.fullmatch(owner)))


def _told(call: ast.Call) -> list[ast.expr]:
    """Give the values that are shown: all but the figures that a format takes and where the text goes."""
    values = [
        *call.args,
        *(one.value for one in call.keywords if one.arg not in {"file", "end", "sep", "extra", "step"}),
    ]
    first = call.args[0] if call.args else None
    if isinstance(first, ast.Constant) and isinstance(first.value, str) and "%" in first.value:
        return unformatted(first.value, values[1:])
    return values


GATE = Gate(name="logging", judges="change", rule=rule, verify=verify)
