"""`size`: files, functions and the change itself stay small enough to be read. Only what the change touches is judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gates.protocol import Case, Gate
from gates.source.measures import UnparsableError, count_lines, functions, language, ranked
from gates.verdict import Finding, Verdict, judged
from tickets.globs import matches
from tickets.grants import Need

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gates.source.measures import Function
    from tickets.model import Ticket
    from tickets.policy import Limits, Policy
    from worktrees.changes import Change

MARK, MARK_LINES = "@generated", 5
MEASURED = frozenset({"added", "modified", "renamed", "mode"})
"""Kinds of change that leave a regular file behind; links and submodules are refused by `scope`."""


@dataclass(frozen=True, kw_only=True)
class _File:
    """A changed file that is measured, with what it was."""

    path: str
    text: str
    before: str | None
    python: str
    """Version of the interpreter of the repository."""


def rule(ticket: Ticket, policy: Policy) -> str:
    limits = policy.limits.tightened(ticket.limits)
    generated = ", ".join(f"`{glob}`" for glob in limits.generated)
    return "\n".join(
        [
            f"- a source file has at most {limits.file_lines} lines, a function at most {limits.function_lines};",
            "  what was longer before may shrink or stay, not grow",
            "- source files are those of a programming language, shell, SQL, HTML and CSS;",
            "  prose and data (Markdown, JSON, YAML, CSV, ...) have no limit of their own",
            f"- your whole change: at most {limits.changed_files} files (deleted ones and tests count)",
            f"  and {limits.changed_lines} lines added plus deleted (prose, data and tests count)",
            f"- lines of generated files do not count: those that said `{MARK}` in their first {MARK_LINES} lines before you came"
            + (f", and {generated}" if generated else ""),
        ]
    )


def verify(case: Case) -> Verdict:
    exempt = frozenset(change.path for change in case.change.landing if _generated(case, change))
    found = [*_change_findings(case, exempt)]
    for file in _files(case, exempt):
        found += [*_file_lines(file, case.limits), *_function_lines(file, case.limits)]
    count = len(case.change.landing)
    return judged(found, otherwise=f"{count} changed file{'s' * (count != 1)}, all within the limits")


def _generated(case: Case, change: Change) -> bool:
    """A new file cannot exempt itself: for it only the globs of the policy count."""
    if matches(change.path, case.limits.generated):
        return True
    before = None if change.kind == "added" else case.read_base(change.old_path or change.path)
    return before is not None and any(MARK in line for line in before.splitlines()[:MARK_LINES])


def _files(case: Case, exempt: frozenset[str]) -> Iterator[_File]:
    python = case.workshop.environment_record["python"]
    for change in case.change.landing:
        text = case.read_changed(change.path) if change.kind in MEASURED and change.path not in exempt else None
        if text is not None and language(change.path, text) != "data":
            before = None if change.kind == "added" else case.read_base(change.old_path or change.path)
            yield _File(path=change.path, text=text, before=before, python=python)


def _change_findings(case: Case, exempt: frozenset[str]) -> Iterator[Finding]:
    limits, landing = case.limits, case.change.landing
    if len(landing) > limits.changed_files:
        message = f"the change touches {len(landing)} files; at most {limits.changed_files} may be touched"
        yield _finding("changed-files", message, limit=limits.changed_files, actual=len(landing))
    weights = {change.path: _weight(case, change) for change in landing if change.path not in exempt}
    if (total := sum(weights.values())) > limits.changed_lines:
        largest = ", ".join(f"{path} {weights[path]}" for path in sorted(weights, key=lambda path: -weights[path])[:3])
        message = (
            f"the change has {total} changed lines; at most {limits.changed_lines} are allowed (largest: {largest})"
        )
        yield _finding("changed-lines", message, limit=limits.changed_lines, actual=total)


def _weight(case: Case, change: Change) -> int:
    if not change.binary or change.kind not in MEASURED:
        return change.added + change.deleted
    # one NUL byte makes a file binary for git: source code is counted all the same
    text = case.read_changed(change.path) or ""
    return 0 if language(change.path, text) == "data" else count_lines(text)


def _file_lines(file: _File, limits: Limits) -> Iterator[Finding]:
    lines, before = count_lines(file.text), count_lines(file.before or "")
    if lines > max(limits.file_lines, before):
        legacy = f" (it had {before} before: it may shrink or stay, not grow)" if before > limits.file_lines else ""
        message = f"{file.path} has {lines} lines; at most {limits.file_lines} are allowed{legacy}"
        yield _finding("file-lines", message, path=file.path, limit=max(limits.file_lines, before), actual=lines)


def _function_lines(file: _File, limits: Limits) -> Iterator[Finding]:
    try:
        found = ranked(functions(file.path, file.text, python=file.python))
    except UnparsableError as error:
        yield _finding("syntax", f"{file.path} is not valid Python: {error}", path=file.path, line=error.line)
        return
    before = _functions_before(file)
    for key, function in found.items():
        was = before[key].lines if key in before else 0
        if function.lines > max(limits.function_lines, was):
            legacy = f" (it had {was} before: it may shrink or stay, not grow)" if was > limits.function_lines else ""
            message = f"{function.name} in {file.path} has {function.lines} lines; at most {limits.function_lines} are allowed{legacy}"
            allowed = max(limits.function_lines, was)
            yield _finding(
                "function-lines", message, path=file.path, line=function.line, limit=allowed, actual=function.lines
            )


def _functions_before(file: _File) -> dict[tuple[str, int], Function]:
    try:
        return ranked(functions(file.path, file.before or "", python=file.python))
    except UnparsableError:
        return {}  # what was no source code before has no functions that could claim to be old


def _finding(rule_name: str, message: str, *, path: str = "", line: int = 0, **figures: int) -> Finding:
    shown = {name: str(figure) for name, figure in figures.items()}
    subject = " ".join(filter(None, (rule_name, path, f"line {line}" if line else "")))
    need = Need(kind="size", subject=subject, bound=shown["actual"]) if "actual" in shown else None
    return Finding(rule=f"size.{rule_name}", message=message, path=path, line=line, need=need, **shown)


GATE = Gate(name="size", judges="change", rule=rule, verify=verify)
