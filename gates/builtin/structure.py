"""`structure`: functions stay easy to follow, and what is public is documented and typed where the code around it is.

Only what the change adds or makes worse is judged: legacy may stay as it is or improve.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from gates.protocol import Case, Gate
from gates.source.conventions import Item, habits, is_judged, items, packages_of, region
from gates.source.measures import Function, UnparsableError, functions, is_marked_generated, ranked
from gates.source.python_code import REGULAR, base_trees, changed_files, oversized, read_all
from gates.verdict import Finding, Verdict, inconclusive, judged
from tickets.globs import matches
from tickets.grants import Need

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gates.source.python_code import PythonFile
    from tickets.model import Ticket
    from tickets.policy import Demand, Policy
    from worktrees.changes import Change

FIGURES = {
    "complexity": "a cyclomatic complexity of {}",
    "nesting": "blocks nested {} deep",
    "parameters": "{} parameters",
}
ADVICE = {
    "complexity": "move branches into functions of their own",
    "nesting": "return early, or move the inner block into a function",
    "parameters": "group those that belong together in one value",
}
Texts = tuple[str, str | None]


def rule(ticket: Ticket, policy: Policy) -> str:
    limits = policy.limits.tightened(ticket.limits)
    lines = [
        f"- a function has a cyclomatic complexity of at most {limits.complexity} (McCabe; in Python as ruff's C901 counts),",
        f"  blocks nested at most {limits.nesting} deep (if, for, while, try, match; in Python)",
        f"  and at most {limits.parameters} parameters (`self` and `cls` are none, `*args` and `**kwargs` one each;",
        "  options of a command of typer or click are free); what was worse before may improve or stay, not worsen",
        *_demanded(policy.structure.docstrings, "public Python modules, classes and functions have a docstring"),
        *_demanded(
            policy.structure.types, "public Python functions have annotations for all parameters and the result"
        ),
    ]
    return "\n".join(lines)


def _demanded(demand: Demand, what: str) -> Iterator[str]:
    if demand != "never":
        yield f"- new {what}" + (", where nearly all of the package's do" if demand == "auto" else "")


def verify(case: Case) -> Verdict:
    if large := oversized(case):
        return inconclusive(f"{large[0]} is too large to be judged as Python code; make it smaller, or a data file")
    texts = _texts(case)
    found = [*_shapes(case, texts), *_conventions(case, texts)]
    count = len(texts)
    return judged(found, otherwise=f"{count} file{'s' * (count != 1)} looked at, none harder to follow than allowed")


def _texts(case: Case) -> dict[Change, Texts]:
    """Read the changed files that nobody generates, with what they were."""
    landing = [change for change in case.change.landing if change.kind in REGULAR]
    after = read_all(case.repository, case.change.commit, [change.path for change in landing])
    old = {change: change.old_path or change.path for change in landing if change.kind != "added"}
    before = read_all(case.repository, case.change.base, list(old.values()))
    texts = {one: (after[one.path], before.get(old.get(one, ""))) for one in landing if one.path in after}
    return {one: text for one, text in texts.items() if not _generated(one, text[1], case)}


def _generated(change: Change, before: str | None, case: Case) -> bool:
    return bool(matches(change.path, case.limits.generated)) or is_marked_generated(before or "")


# functions


def _shapes(case: Case, texts: Mapping[Change, Texts]) -> Iterator[Finding]:
    python = case.workshop.environment_record["python"]
    after = {change.path: _functions(change.path, text, python) for change, (text, _) in texts.items()}
    before = {one.path: _functions(one.old_path or one.path, was or "", python) for one, (_, was) in texts.items()}
    gone = _gone(case, python, after, before)
    for path, found in after.items():
        for figure in FIGURES:
            yield from _worse(path, figure, (found, before[path], gone), getattr(case.limits, figure))


def _functions(path: str, text: str, python: str) -> tuple[Function, ...]:
    try:
        return functions(path, text, python=python)
    except UnparsableError:
        return ()  # `size` says so


def _gone(
    case: Case, python: str, after: Mapping[str, tuple[Function, ...]], before: Mapping[str, tuple[Function, ...]]
) -> tuple[Function, ...]:
    """Give the functions that are no more where they stood: one of that name elsewhere is the same, moved."""
    deleted = [change.path for change in case.change.landing if change.kind == "deleted"]
    texts = read_all(case.repository, case.change.base, deleted)
    lost = [function for path, text in texts.items() for function in _functions(path, text, python)]
    for path, found in before.items():
        kept = {function.name for function in after[path]}
        lost += [function for function in found if function.name not in kept]
    return tuple(lost)


def _worse(
    path: str,
    figure: str,
    versions: tuple[tuple[Function, ...], tuple[Function, ...], tuple[Function, ...]],
    limit: int,
) -> Iterator[Finding]:
    value = attrgetter(figure)
    after, before, gone = (ranked(version, value) for version in versions)
    for key, function in after.items():
        old = before.get(key) or gone.get(key)
        was = value(old) if old else 0
        if value(function) > max(limit, was):
            yield _finding(path, function, figure, {"limit": limit, "was": was, "actual": value(function)})


def _finding(path: str, function: Function, figure: str, numbers: Mapping[str, int]) -> Finding:
    limit, was, actual = numbers["limit"], numbers["was"], numbers["actual"]
    allowed = max(limit, was)
    legacy = f"it had {was} before and may improve or stay, not worsen" if was > limit else f"at most {limit} allowed"
    return Finding(
        rule=f"structure.{figure}",
        path=path,
        line=function.line,
        message=f"{function.name} in {path} has {FIGURES[figure].format(actual)}; {legacy}: {ADVICE[figure]}",
        limit=str(allowed),
        actual=str(actual),
        need=Need(kind="size", subject=f"{path}: {figure} of {function.name}", bound=str(actual)),
    )


# docstrings and types


def _conventions(case: Case, texts: Mapping[Change, Texts]) -> Iterator[Finding]:
    policy = case.policy.structure
    if policy.docstrings == policy.types == "never":
        return
    paths = {change.path for change in texts}
    old = _old_items(case)
    for file in changed_files(case):
        if file.path in paths and is_judged(file.path):
            for item in items(file.tree):
                yield from _unlike(case, file, item, old.get((file.before_path, item.name)) or old.get(("", item.name)))


def _old_items(case: Case) -> dict[tuple[str, str], Item]:
    """Give the items at the base by path and name, and with the path "" those that are no more where they stood."""
    now = {(file.before_path, item.name) for file in changed_files(case) for item in items(file.tree)}
    old = {(path, item.name): item for path, tree in base_trees(case) for item in items(tree)}
    moved = {("", name): item for (path, name), item in old.items() if name and (path, name) not in now}
    return {**moved, **old}


def _unlike(case: Case, file: PythonFile, item: Item, was: Item | None) -> Iterator[Finding]:
    policy = case.policy.structure
    inherits = item.may_inherit and policy.docstrings == "auto"
    if not item.documented and not inherits and (was is None or was.documented):
        why = _why(case, file.path, item.kind, policy.docstrings)
        yield from _missing(file.path, item, "docstring", (was, why))
    if item.typed is False and (was is None or was.typed):
        yield from _missing(file.path, item, "types", (was, _why(case, file.path, "types", policy.types)))


def _why(case: Case, path: str, what: str, demand: Demand) -> str:
    """Say why it is demanded there, or give an empty string where it is not."""
    if demand != "auto":
        return "the policy of this repository demands it" if demand == "always" else ""
    place = region(path, packages_of(case.repository, case.change.base))
    found = habits(case.repository, case.change.base, place, path.rpartition("/")[0])
    return f"{found.share(what)} comparable ones around it have it" if found.common(what) else ""


def _missing(path: str, item: Item, what: str, reasons: tuple[Item | None, str]) -> Iterator[Finding]:
    was, why = reasons
    if why:
        thing = f"{item.name} in {path}" if item.name else path
        lacks = {"docstring": "docstring", "types": "complete annotations (parameters and result)"}[what]
        verb = "has lost its" if was else "has no"
        article = "a " if what == "docstring" else ""
        message = f"{thing} {verb} {lacks}; {why}: give it {article}{lacks}"
        yield Finding(rule=f"structure.{what}", path=path, line=item.line, message=message)


GATE = Gate(name="structure", judges="change", rule=rule, verify=verify)
