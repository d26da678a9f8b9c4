"""`imports`: commands start fast. Heavy packages are imported where they are used, and start-up time is held against the base.

Read are the modules that a change's new imports lead to, at most `MOST_MODULES` of them; timed is what [imports] startup names.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import PurePosixPath
from statistics import median
from typing import TYPE_CHECKING

from gates.commands import blocked, failure, not_judged
from gates.protocol import Case, Gate
from gates.source.module_imports import Modules, at_import, package_of
from gates.source.python_code import Seen, changed_files, fresh
from gates.verdict import Answer, Finding, Verdict, inconclusive, judged, not_applicable
from tickets.globs import matches

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator

    from gates.source.module_imports import Imported
    from gates.source.python_code import PythonFile
    from gates.verdict import GateReceipt
    from gates.workshop import Lease, Ran
    from tickets.model import Ticket
    from tickets.policy import Policy, StartUp

ROUNDS = 5
TIMEOUT_S = 60.0
MOST_COMMANDS = 30
"""Files with commands that are asked whether they reach a changed module."""
PROSE = frozenset({".md", ".rst", ".txt", ".adoc"})


class _UndecidedError(Exception):
    """The start-up time cannot be told; says why."""


class _Search:
    """What one verdict looks up in both trees."""

    def __init__(self, case: Case) -> None:
        self.case, self.heavy = case, case.policy.imports.heavy

    @cached_property
    def before(self) -> Modules:
        return Modules(self.case.repository, self.case.change.base)

    @cached_property
    def after(self) -> Modules:
        return Modules(self.case.repository, self.case.change.commit)

    def package(self, path: str, one: Imported) -> str:
        """Name the heavy package that is imported; one that the repository itself is at the base is no package to it."""
        name = "" if one.level else package_of(one.name, self.heavy)
        return "" if name and self.before.files(path, one) else name

    def reached(self, modules: Modules, starts: list[str]) -> dict[str, tuple[str, ...]]:
        """Give the heavy packages that importing the starts imports, each with the way to it."""
        found: dict[str, tuple[str, ...]] = {}
        for visit in modules.visit(starts):
            for one in visit.imports:
                if name := self.package(visit.path, one):
                    found.setdefault(name, (*visit.chain, name))
        return found

    def reached_before(self, path: str, package: str) -> bool:
        return package in self.reached(self.before, [path])


def rule(_ticket: Ticket, policy: Policy) -> str:
    settings = policy.imports
    lines = []
    if settings.heavy and settings.paths:
        heavy, paths = (", ".join(f"`{one}`" for one in ones) for ones in (settings.heavy, settings.paths))
        lines += [
            f"- in {paths}: none of {heavy} is imported at module level, directly or by a module that is imported there;",
            "  import it inside the function that needs it",
        ]
    for one in settings.startup:
        lines.append(
            f"- `{_shown(one)}` starts as fast as before (at most {one.max_ratio:g} times as long, or {one.max_added_s:g} s more)"
        )
    return "\n".join(lines)


def verify(case: Case) -> Verdict:
    settings = case.policy.imports
    touched = [path for one in case.change.landing for path in one.paths]
    timed = settings.startup if any(PurePosixPath(path).suffix.lower() not in PROSE for path in touched) else ()
    if not timed and not (settings.heavy and settings.paths and changed_files(case)):
        return not_applicable("no Python is touched, and no command's start-up time is asked for")
    receipts: list[GateReceipt] = []
    found, trouble = [*_by_reading(case)], ""
    try:
        found += _by_timing(case, timed, receipts)
    except _UndecidedError as error:
        trouble = str(error)
    verdict = judged(found, otherwise="no heavy package is newly imported at start", receipts=receipts)
    undecided = trouble and verdict.answer is Answer.PASS
    return inconclusive(trouble, *receipts) if undecided else verdict


# by reading


def _by_reading(case: Case) -> Iterator[Finding]:
    """Give one finding for each command and package, in the command's own file where that is what changed."""
    search = _Search(case)
    direct = [*_direct(search)]
    yield from direct
    told = {(finding.path, finding.actual) for finding in direct}
    files = sorted(changed_files(case), key=lambda file: not matches(file.path, case.policy.imports.paths))
    for command, finding in (one for file in files for one in _indirect(search, file)):
        if (command, finding.actual) not in told:
            told.add((command, finding.actual))
            yield finding


def _direct(search: _Search) -> Iterator[Finding]:
    """Give the heavy packages that a command's own file newly imports."""

    def find(path: str, tree: ast.Module) -> Iterator[Seen]:
        names: set[str] = set()
        for one in at_import(tree) if matches(path, search.case.policy.imports.paths) else ():
            if (name := search.package(path, one)) and name not in names:
                names.add(name)
                yield Seen(rule="imports.heavy", shown=name, node=one.node)

    for file, seen in fresh(search.case, find):
        if not search.reached_before(file.before_path or file.path, seen.shown):
            message = f"{file.path} imports {seen.shown} at module level, so that every start waits for it; import it where it is used"
            yield _heavy(file.path, seen.line, seen.shown, message)


def _indirect(search: _Search, file: PythonFile) -> Iterator[tuple[str, Finding]]:
    """Give each command that newly reaches a heavy package by an import that the file adds."""
    for one in _added(file):
        for package, way in _ways(search, file, one).items():
            if chain := _start(search, file, package):
                shown = " → ".join((*chain, *way))
                message = (
                    f"{chain[0]} now imports {package} at start: {shown}; import it inside the function that needs it"
                )
                yield chain[0], _heavy(file.path, one.line, package, message)


def _ways(search: _Search, file: PythonFile, one: Imported) -> dict[str, tuple[str, ...]]:
    """Give the heavy packages that one import leads to, each with the way from the file to it."""
    if name := search.package(file.path, one):
        return {name: (name,)}
    return search.reached(search.after, search.after.files(file.path, one))


def _start(search: _Search, file: PythonFile, package: str) -> tuple[str, ...]:
    """Give the way from a command to the file; nothing where no command newly reaches the package by it."""
    if matches(file.path, search.case.policy.imports.paths):
        return () if search.reached_before(file.before_path or file.path, package) else (file.path,)
    return _command_way(search, file.path, package)


def _added(file: PythonFile) -> Iterator[Imported]:
    known = {(one.name, one.level) for one in at_import(file.before_tree)} if file.before_tree else set()
    yield from (one for one in at_import(file.tree) if (one.name, one.level) not in known)


def _command_way(search: _Search, path: str, package: str) -> tuple[str, ...]:
    """Give the way by which a command that did not reach the package before imports the file; nothing where none does."""
    folder = PurePosixPath(path).parts
    commands = [one for one in search.after.paths if one != path and matches(one, search.case.policy.imports.paths)]
    near = sorted(commands, key=lambda one: (-_shared(PurePosixPath(one).parts, folder), one))
    for command in near[:MOST_COMMANDS]:
        way = next((visit.chain for visit in search.after.visit([command]) if visit.path == path), ())
        if way and not search.reached_before(command, package):
            return way if way[0] == command else (command, *way)
    return ()


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    return next((index for index, pair in enumerate(zip(one, other, strict=False)) if len({*pair}) > 1), len(one))


def _heavy(path: str, line: int, package: str, message: str) -> Finding:
    return Finding(
        rule="imports.heavy", path=path, line=line, message=message, limit="not at module level", actual=package
    )


# by timing


def _by_timing(case: Case, timed: tuple[StartUp, ...], receipts: list[GateReceipt]) -> list[Finding]:
    if not timed:
        return []
    with case.workshop.lease(case.change.base) as base, case.workshop.lease(case.change.commit) as change:
        return [finding for one in timed for finding in _timed(one, (base, change), receipts)]


def _timed(one: StartUp, leases: tuple[Lease, Lease], receipts: list[GateReceipt]) -> Iterator[Finding]:
    """Run the command on both trees in turn, so that whatever slows the machine down slows down both."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS + 1):
        for lease, times in zip(leases, seconds, strict=True):
            at_base = times is seconds[0]
            ran = _run(one, lease)
            if number == 0:
                receipts.append(ran.shown)
            if reason := not_judged(ran) or ("it fails" if at_base and not ran.ok else ""):
                where = "on the base" if at_base else "on the change"
                raise _UndecidedError(blocked(f"the start-up of `{_shown(one)}` {where}", ran, reason))
            if not ran.ok:
                yield failure("imports.start-up", f"`{_shown(one)}`, which works on the base,", ran)
                return
            if number:  # the first run only warms up
                times.append(ran.receipt.seconds)
    yield from _slower(one, *(median(times) for times in seconds))


def _run(one: StartUp, lease: Lease) -> Ran:
    # with compiled modules, as after the first start on a person's machine
    extra = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(lease.scratch / "compiled")}
    return lease.run(one.run, timeout_s=TIMEOUT_S, extra=extra)


def _slower(one: StartUp, before: float, after: float) -> Iterator[Finding]:
    if after > before * one.max_ratio and after - before > one.max_added_s:
        message = (
            f"`{_shown(one)}` takes {after:.2f} s to start, and {before:.2f} s at the base; "
            "import inside the functions what only they need (`python -X importtime` shows what takes long)"
        )
        limit = f"{max(before * one.max_ratio, before + one.max_added_s):.2f} s"
        yield Finding(rule="imports.start-up", message=message, limit=limit, actual=f"{after:.2f} s")


def _shown(one: StartUp) -> str:
    return " ".join(one.run)


GATE = Gate(name="imports", judges="tree", rule=rule, verify=verify, asks_ticket=False)
