"""`tamper`: what could fake a result stays as it is: test configuration, plugins, import hooks, CI, gate scripts, what tests check and expect.

Files that configure a test run may change where the ticket names them (by path, or by a glob that ends in their name), what tests expect where the
ticket lets that test file be written by more than `**`. Tests that check less than they did, and code that reaches for the test runner, always need a
person's word. Where no ticket was named, whoever changes configuration is its owner, and only the code is judged.

Not covered: answers that are written into the code for just the inputs of the tests (acceptance commands with inputs of their own show those),
languages other than Python beyond their names, and new tests that check nothing.
"""

from __future__ import annotations

import ast
import hashlib
import posixpath
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from gates.protocol import Call, Case, Gate
from gates.testing import protected, runner_tricks
from gates.testing.weakening import TestFile, weakenings
from gates.verdict import Finding, Verdict, judged
from tickets.grants import Need
from worktrees.listings import listing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tickets.grants import Kind
    from tickets.model import Ticket
    from tickets.policy import Policy
    from worktrees.changes import Change

_GONE = frozenset({"deleted", "submodule", "symlink"})


@dataclass(frozen=True)
class _File:
    """One changed file with both of its texts."""

    case: Case
    change: Change

    @property
    def path(self) -> str:
        return self.change.path

    @property
    def old_path(self) -> str:
        return self.change.old_path or self.change.path

    @cached_property
    def before(self) -> str:
        return "" if self.change.kind == "added" else self.case.read_base(self.old_path) or ""

    @cached_property
    def after(self) -> str:
        return "" if self.change.kind in _GONE else self.case.read_changed(self.path) or ""

    @property
    def is_test(self) -> bool:
        return (
            protected.is_test(self.path)
            or protected.is_test(self.old_path)
            or posixpath.basename(self.path) == "conftest.py"
        )


def rule(ticket: Ticket, _policy: Policy) -> str:
    named = [glob for glob in ticket.scope.allowed if protected.whole(glob)]
    return "\n".join(
        [
            "Results must stay true:",
            "- leave conftest.py, the configuration of pytest, tox, nox and coverage, CI files and gate scripts as they are"
            + (f" (yours: {', '.join(f'`{glob}`' for glob in named)})" if named else ""),
            "- no test may check less than it did: no assertion removed, made always true, wrapped in `if` or `try`, no bound or tolerance widened,",
            "  no skip or xfail added, no case removed; add tests and assertions freely",
            "- product code must not know that it is tested: no runner internals, no frames, no PYTEST_ variables, no exit when imported",
        ]
    )


def permits(call: Call, ticket: Ticket, _policy: Policy) -> str | None:
    reason = protected.whole(call.path) if call.kind == "write" else ""
    return f"{call.path} may not change: {reason}" if reason and not protected.names(ticket, call.path) else None


def verify(case: Case) -> Verdict:
    files = [_File(case, change) for change in case.change.landing]
    found = [*_configuration(case, files), *_expected(case, files), *_code(files), *_tests(case, files)]
    return judged(found, otherwise="nothing that decides about results was touched")


def _configuration(case: Case, files: list[_File]) -> Iterator[Finding]:
    """Files that decide what a run says, unless the ticket names them."""
    if case.ticket is None:
        return
    base = listing(case.repository, case.change.base).paths
    scripts = protected.gate_files(case.policy, base)
    for file in files:
        for path in dict.fromkeys(file.change.paths):
            if protected.names(case.ticket, path):
                continue
            reason = protected.whole(path) or ("a check of the configuration runs it" if path in scripts else "")
            if reason and not (path in scripts and protected.is_test(path)):
                yield _finding(
                    file, "configuration", f"{path} may not change: {reason}; name it in the ticket if it must"
                )
            elif path not in base and (name := protected.shadows(path, _roots(file, base))):
                yield _finding(
                    file, "shadow", f"{path} would be imported in the place of `{name}`; give it another name"
                )
            elif path == file.path:
                yield from _sections(file)


def _roots(file: _File, base: Collection[str]) -> tuple[str, ...]:
    """Give the folders that imports start from; pytest adds those of tests that are no packages."""
    folder = posixpath.dirname(file.path)
    own = (folder,) if file.is_test and folder and f"{folder}/__init__.py" not in base else ()
    return ("", "src", "lib", *own)


def _sections(file: _File) -> Iterator[Finding]:
    if protected.sections(file.path, None) is None:
        return
    try:
        after = protected.sections(file.path, file.after) or {}
    except ValueError as error:
        yield _finding(file, "configuration", f"{file.path} cannot be read any more: {error}")
        return
    try:
        before = protected.sections(file.path, file.before) or {}
    except ValueError:
        before = {}
    for name in sorted(before.keys() | after.keys()):
        if (before.get(name) or None) != (after.get(name) or None):
            message = (
                f"{file.path}: [{name}] may not change: it configures the tests; name the file in the ticket if it must"
            )
            yield _finding(file, "configuration", message)


def _expected(case: Case, files: list[_File]) -> Iterator[Finding]:
    """Files that hold what existing tests expect."""
    for file in files:
        meant = case.ticket is None or protected.means(case.ticket, file.old_path)
        if protected.is_snapshot(file.old_path) and file.change.kind not in {"added", "renamed"} and not meant:
            yield _finding(file, "snapshot", f"{file.old_path} holds what tests expect, and was changed", kind="tests")


def _code(files: list[_File]) -> Iterator[Finding]:
    python = [file for file in files if file.path.endswith((".py", ".pyi"))]
    tricks = (trick for file in python for trick in runner_tricks.tricks(file.before, test=file.is_test))
    old = Counter((trick.kind, trick.text) for trick in tricks)
    for file in python:
        for trick in runner_tricks.added(old, file.after, test=file.is_test):
            short = trick.text.splitlines()[0][:80]
            yield _finding(file, trick.kind, f"{file.path}: `{short}`: {trick.why}", line=trick.line)


def _tests(case: Case, files: list[_File]) -> Iterator[Finding]:
    tests = {file.path: file for file in files if file.is_test}
    pairs = [TestFile(path=path, before=file.before, after=file.after) for path, file in tests.items()]
    product = (file for file in files if not file.is_test and file.path.endswith(".py"))
    defined = frozenset(name for file in product for name in _defined(file.before))
    for found in weakenings(pairs, defined):
        file = tests[found.path]
        meant = case.ticket is None or protected.means(case.ticket, file.old_path)
        if found.rule != "expectation" or not meant:
            yield _finding(file, found.rule, f"{found.path}: {found.what}", line=found.line, kind="tests")


def _defined(text: str) -> Iterator[str]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    yield from (
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    )


def _finding(file: _File, name: str, message: str, *, line: int = 0, kind: Kind = "tamper") -> Finding:
    bound = hashlib.sha256(file.after.encode(errors="replace")).hexdigest()
    need = Need(kind=kind, subject=message, bound=bound)
    return Finding(rule=f"tamper.{name}", path=file.path, line=line, message=message, need=need)


GATE = Gate(name="tamper", judges="change", rule=rule, permits=permits, verify=verify)
