"""`paid-compute`: code for Modal that neither loses results nor spends money that nobody asked for. Only what the change adds is judged."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gates.protocol import Call, Case, Gate
from gates.source.bindings import last_name
from gates.source.modal_code import modal_code
from gates.source.modal_habits import habits
from gates.source.python_code import REGULAR, Seen, changed_files, fresh, read_all
from gates.source.python_names import dotted, nodes
from gates.verdict import Finding, Verdict, judged, not_applicable
from tickets.globs import matches
from tickets.grants import Need

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tickets.model import Ticket
    from tickets.policy import Policy

_OPTIONS = r"(?:-\S+\s+(?:[^-\s]\S*\s+)?){0,4}"
STOPS = re.compile(rf"(?:^|[^\w.-])(modal\s+{_OPTIONS}(?:app|container)\s+{_OPTIONS}stop\b)")
"""A command that stops a paid job."""
_STARTS = re.compile(
    r"^(?:run|call|check_call|check_output|popen|system|getoutput|getstatusoutput|create_subprocess_\w+|exec\w*|spawn\w*|sudo|sh)$",
    re.IGNORECASE,
)
"""Functions that start commands."""
_SCRIPTS = frozenset({".sh", ".bash", ".zsh", ".fish", ".yml", ".yaml", ".mk", ".toml", ".json", ".just"})
_SCRIPT_NAMES = frozenset(
    {"Makefile", "makefile", "GNUmakefile", "Dockerfile", "Justfile", "justfile", "Procfile", "Jenkinsfile"}
)
_SAYS = re.compile(r"^[@-]*(?:echo|printf)\b[^;&|`$]*$")
"""A line that only prints."""
_LARGEST = 1_000_000


def rule(_ticket: Ticket, policy: Policy) -> str:
    settings = policy.paid_compute
    fan_out = ["- start inputs with `.spawn` and keep the handles; no `.map`, `.starmap`, `.for_each`"]
    exempt = ", ".join(f"`{glob}`" for glob in settings.exempt)
    return "\n".join(
        [
            f"Code that imports modal ({', '.join(f'`{glob}`' for glob in settings.paths)}{f', except {exempt}' if exempt else ''}):",
            *(fan_out if settings.fan_out == "spawn" else []),
            "- every function and class has `retries` of at least 1 and a `timeout`",
            "- after a write into a mounted volume comes `<volume>.commit()`",
            "- remote functions print with `flush=True`; checkpoints are a `state_dict()`, not the object",
            "- one variant is run and waited for (`.remote`) before several are launched",
            "Never stop a running job (`modal app stop`, `.cancel()`, `.terminate()`): only a person may.",
        ]
    )


def permits(call: Call, _ticket: Ticket, _policy: Policy) -> str | None:
    found = STOPS.search(call.command) if call.kind == "run" else None
    return (
        f"`{found[1]}` stops a paid job; leave it running and say so in your report: a person stops it"
        if found
        else None
    )


def verify(case: Case) -> Verdict:
    settings = case.policy.paid_compute
    found = [_finding(file.path, seen) for file, seen in fresh(case, lambda path, tree: _seen(case, path, tree))]
    found += _in_scripts(case)
    files = [file for file in changed_files(case) if _counts(case, file.path) and modal_code(file.tree)]
    if not found and not files:
        return not_applicable("no code for Modal is touched")
    count = len(files)
    how = "" if settings.fan_out == "any" else ", which fan out by .spawn"
    return judged(
        found, otherwise=f"{count} file{'s' * (count != 1)} with Modal code{how}: nothing that loses money or results"
    )


def _counts(case: Case, path: str) -> bool:
    settings = case.policy.paid_compute
    return bool(matches(path, settings.paths)) and not matches(path, settings.exempt)


def _seen(case: Case, path: str, tree: ast.Module) -> Iterator[Seen]:
    if _counts(case, path):
        code = modal_code(tree)
        if code is not None:
            yield from habits(code, fan_out=case.policy.paid_compute.fan_out)
        yield from _commands(tree)


def _finding(path: str, seen: Seen) -> Finding:
    need = (
        Need(kind="stop-job", subject=f"{path}: {seen.shown}", bound=seen.shown) if seen.rule.endswith("stop") else None
    )
    message = f"{path}: {seen.detail}" + ("; only a person may" if need else "")
    return Finding(rule=seen.rule, path=path, line=seen.line, message=message, need=need)


# commands that stop a job


def _commands(tree: ast.Module) -> Iterator[Seen]:
    """Give the commands for stopping a job that Python starts."""
    values: dict[str, ast.expr] = {}
    for node in nodes(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and dotted(node.targets[0]):
            values[dotted(node.targets[0])] = node.value
    for node in nodes(tree):
        if isinstance(node, ast.Call) and _STARTS.match(last_name(node)):
            words = " ".join(_words(node, values))
            if found := STOPS.search(words):
                shown = found[1]
                yield Seen(
                    rule="paid-compute.stop", shown=shown, node=node, detail=f"`{shown}` stops a running paid job"
                )


def _words(call: ast.Call, values: dict[str, ast.expr]) -> Iterator[str]:
    """Give the texts among the arguments in their order, those behind a name too."""
    stack: list[ast.AST] = [*(keyword.value for keyword in reversed(call.keywords)), *reversed(call.args)]
    followed: set[str] = set()
    while stack:
        node = stack.pop()
        name = dotted(node)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif name in values and name not in followed:
            followed.add(name)
            stack.append(values[name])
        elif not isinstance(node, ast.Constant):
            stack.extend(reversed([*ast.iter_child_nodes(node)]))


def _in_scripts(case: Case) -> Iterator[Finding]:
    """Give such commands on new lines of shell scripts, CI files and the like."""
    files = [one for one in case.change.landing if one.kind in REGULAR and not one.binary and _is_script(one.path)]
    files = [one for one in files if not matches(one.path, case.policy.paid_compute.exempt)]
    after = read_all(case.repository, case.change.commit, [one.path for one in files])
    before = read_all(
        case.repository, case.change.base, [one.old_path or one.path for one in files if one.kind != "added"]
    )
    for one in files:
        text, known = after.get(one.path, ""), Counter(_lines(before.get(one.old_path or one.path, "")))
        for number, line in enumerate(_lines(text) if _is_code(one.path, text) else (), 1):
            known[line] -= 1
            if known[line] < 0 and (shown := _stopped(line)):
                detail = f"line {number} runs `{shown}`, which stops a running paid job"
                node = ast.Pass(lineno=number)
                yield _finding(one.path, Seen(rule="paid-compute.stop", shown=shown, node=node, detail=detail))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text[:_LARGEST].splitlines()]


def _stopped(line: str) -> str:
    plain = re.sub(r"[\"'\[\],]+", " ", line)  # a command may be written as a list of words
    found = None if line.startswith(("#", "//")) or _SAYS.match(line) else STOPS.search(plain)
    return found[1] if found else ""


def _is_script(path: str) -> bool:
    place = PurePosixPath(path)
    return place.suffix.lower() in _SCRIPTS or place.name in _SCRIPT_NAMES or not place.suffix


def _is_code(path: str, text: str) -> bool:
    place = PurePosixPath(path)
    return bool(place.suffix) or place.name in _SCRIPT_NAMES or text.startswith("#!")


GATE = Gate(name="paid-compute", judges="change", rule=rule, permits=permits, verify=verify)
