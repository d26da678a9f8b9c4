"""The test suite of a tree: run once for each tree and kept, collected where that is enough, never believed unread."""

from __future__ import annotations

import hashlib
import secrets
import stat
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from gates.commands import blocked, not_judged
from gates.testing import canaries, junit, pytest_command
from gates.testing.canaries import Canaries, ForgedError, NoWitnessError, Testimony
from gates.testing.junit import Result
from gates.verdict import GateReceipt
from tickets.globs import matches
from worktrees.listings import listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from gates.protocol import Case
    from gates.workshop import Lease, Ran

REPORT_BYTES = 64 << 20
VERSION = "2"
"""Of what is kept of a run: raise it when runs are judged differently."""
_RED = frozenset({"failed", "error", "collection"})


class NotJudgedError(Exception):
    """The suite proves nothing, and why."""

    def __init__(self, reason: str, *receipts: GateReceipt) -> None:
        super().__init__(reason)
        self.reason = reason
        self.receipts = receipts


class ForgedRunError(NotJudgedError):
    """The suite says what is not so, and how that showed."""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """What became of every test that one run has seen."""

    results: tuple[Result, ...]
    exit: int
    receipt: GateReceipt
    odd: tuple[str, ...] = ()
    """Functions of the runner that were replaced, and files of the tree that became a part of it."""

    @property
    def states(self) -> dict[str, str]:
        return {result.id: result.state for result in self.results}

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Suite:
        results = tuple(Result(**result) for result in data["results"])
        receipt = GateReceipt(**data["receipt"])
        return cls(results=results, exit=data["exit"], receipt=receipt, odd=tuple(data["odd"]))


def of_change(case: Case) -> Suite:
    """Run everything on the change, and what the ticket selects besides."""
    command = case.policy.tests.run
    if pytest_command.is_pytest(command) and case.ticket:
        command = pytest_command.with_selection(command, case.ticket.tests.select, _paths(case, case.change.commit))
    return _whole(case, case.change.commit, command)


def ids_at_base(case: Case) -> frozenset[str]:
    """Give the ids that the base has: from a run that is known, from collecting, or else from a run of its suite."""
    command, base = case.policy.tests.run, case.change.base
    if known := _known(case, base, command):
        return frozenset(known.states)
    if not pytest_command.is_pytest(command):
        return frozenset(_whole(case, base, command).states)
    return frozenset(_collected(case)["ids"])


def odd_at_base(case: Case) -> frozenset[str]:
    """Give what is odd of the runner at the base already."""
    known = _known(case, case.change.base, case.policy.tests.run)
    return frozenset(known.odd if known else ()) | frozenset(_collected(case)["odd"])


def _collected(case: Case) -> dict[str, Any]:
    key = _key("collected", case, case.change.base, case.policy.tests.run)
    if stored := case.store.get(key):
        return stored
    found = _collect(case, case.change.base)
    case.store.put(key, found)
    return found


def states_at_base(case: Case, ids: Iterable[str]) -> dict[str, str]:
    """Give what becomes of exactly these tests at the base."""
    wanted, command, base = sorted(ids), case.policy.tests.run, case.change.base
    if not wanted:
        return {}
    known = _known(case, base, command)
    if known is None and not pytest_command.is_pytest(command):
        known = _whole(case, base, command)
    return (known or _only(case, base, wanted)).states


def alone(case: Case, identity: str) -> Suite:
    """Run one test of the change once more, by itself, in a clean tree."""
    return _only(case, case.change.commit, [identity])


def _paths(case: Case, commit: str) -> frozenset[str]:
    return frozenset(listing(case.repository, commit).paths)


def _key(what: str, case: Case, commit: str, command: Sequence[str]) -> str:
    parts = [VERSION, case.repository.tree(commit), *command, case.policy.tests.junit, case.workshop.environment_sha256]
    return f"tests:{what}:{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()}"


def _known(case: Case, commit: str, command: Sequence[str]) -> Suite | None:
    stored = case.store.get(_key("run", case, commit, command))
    return Suite.from_json(stored) if stored else None


def _whole(case: Case, commit: str, command: Sequence[str]) -> Suite:
    if known := _known(case, commit, command):
        return known
    run = _run_pytest if pytest_command.is_pytest(command) else _run_other
    suite = run(case, commit, command)
    if suite.exit in {0, 1} and suite.results:
        case.store.put(_key("run", case, commit, command), suite.to_json())
    return suite


def _only(case: Case, commit: str, ids: Sequence[str]) -> Suite:
    command = case.policy.tests.run
    return _pytest(case, commit, lambda report: pytest_command.running_only(command, ids, report))


def _run_pytest(case: Case, commit: str, command: Sequence[str]) -> Suite:
    return _pytest(case, commit, lambda report: pytest_command.running(command, report))


def _pytest(case: Case, commit: str, command: Callable[[str], Sequence[str]]) -> Suite:
    paths = _paths(case, commit)
    with case.workshop.lease(commit) as lease:
        report, own = _fresh_report(lease), canaries.plant(lease, paths)
        wanted = (*command(str(report)), *own.arguments)
        extra = own.environment(lease.environment.variables)
        ran = lease.run(wanted, timeout_s=case.policy.tests.timeout_s, extra=extra)
        _require_end(ran)
        _require_known(ran)
        results = () if ran.receipt.exit == pytest_command.NONE_COLLECTED else _read(report, ran, paths)
        said = _heard(own, ran)
    if not results:
        return Suite(results=(), exit=pytest_command.NONE_COLLECTED, receipt=ran.shown, odd=said.odd)
    return _without_own(own, ran, results, said)


def _without_own(own: Canaries, ran: Ran, results: tuple[Result, ...], said: Testimony) -> Suite:
    """Believe the run if the harness's own tests allow it, and leave those out of it."""
    if not any(result.state == "collection" for result in results):  # then none ran, and it is red anyway
        _weigh(own, ran, results, said)
    words = tuple(word for word in ran.receipt.command if word not in own.arguments or word == "-p")
    at = max(index for index, word in enumerate(words) if word == "-p")
    receipt = replace(ran.shown, command=" ".join(words[:at] + words[at + 1 :]), exit=said.exit)
    theirs = tuple(result for result in results if not own.owns(result.id))
    suite = _agreed(replace(ran, receipt=replace(ran.receipt, exit=said.exit)), theirs)
    return replace(suite, receipt=receipt, odd=said.odd)


def _weigh(own: Canaries, ran: Ran, results: tuple[Result, ...], said: Testimony) -> None:
    try:
        canaries.weigh(own, results, said)
    except ForgedError as error:
        raise ForgedRunError(f"the test suite cannot be believed: {error}", ran.shown) from error
    except NoWitnessError as error:
        raise NotJudgedError(blocked("the test suite", ran, str(error)), ran.shown) from error
    if ran.receipt.exit != pytest_command.FAILED:
        reason = f"its exit code is {ran.receipt.exit}, but tests of the harness failed in it"
        raise ForgedRunError(f"the test suite cannot be believed: {reason}", ran.shown)


def _heard(own: Canaries, ran: Ran) -> Testimony:
    try:
        return canaries.hear(own)
    except (NoWitnessError, ValueError) as error:
        raise NotJudgedError(blocked("the test suite", ran, str(error)), ran.shown) from error


def _require_known(ran: Ran) -> None:
    known = {pytest_command.COLLECTED, pytest_command.FAILED, pytest_command.INTERRUPTED, pytest_command.NONE_COLLECTED}
    if ran.receipt.exit not in known:
        raise NotJudgedError(blocked("the test suite", ran, f"pytest ended with {ran.receipt.exit}"), ran.shown)


def _run_other(case: Case, commit: str, command: Sequence[str]) -> Suite:
    with case.workshop.lease(commit) as lease:
        report, before = _fresh_report(lease), {found.path for found in lease.view.walk()}
        ran = lease.run(command, timeout_s=case.policy.tests.timeout_s, extra={"ORCHESTRATE_JUNIT": str(report)})
        _require_end(ran)
        reports = [report] if report.exists() else _written(case, lease, before)
        if not reports:
            where = (
                f"at `{case.policy.tests.junit}`"
                if case.policy.tests.junit
                else '(name its place: junit = "..." under [tests])'
            )
            raise NotJudgedError(blocked("the test suite", ran, f"it wrote no new JUnit report {where}"), ran.shown)
        paths = _paths(case, commit)
        results = tuple(result for place in reports for result in _read(place, ran, paths))
    return _agreed(ran, results)


def _fresh_report(lease: Lease) -> Path:
    """Name a file that no earlier command can have written."""
    return lease.scratch / f"junit-{secrets.token_hex(8)}.xml"


def _written(case: Case, lease: Lease, before: set[str]) -> list[Path]:
    """Find what the run wrote where the policy says: a report that was in the tree already is none of this run."""
    glob = case.policy.tests.junit
    found = sorted(one.path for one in lease.written() if one.path not in before and glob and matches(one.path, [glob]))
    return [place for path in found if (place := lease.view.find(path))]


def _require_end(ran: Ran) -> None:
    if reason := not_judged(ran):
        raise NotJudgedError(blocked("the test suite", ran, reason), ran.shown)
    if ran.receipt.exit is not None and ran.receipt.exit < 0:
        raise NotJudgedError(
            blocked("the test suite", ran, f"its runner died of signal {-ran.receipt.exit}"), ran.shown
        )


def _read(report: Path, ran: Ran, paths: Iterable[str]) -> tuple[Result, ...]:
    subtests = "subtests passed" in ran.tail(1) or "SUBFAILED" in ran.tail(40)
    try:
        return junit.read(_bytes(report), paths, subtests=subtests)
    except FileNotFoundError as error:
        raise NotJudgedError(
            blocked("the test suite", ran, f"exit code {ran.receipt.exit}, but no report"), ran.shown
        ) from error
    except junit.UnusableReportError as error:
        raise NotJudgedError(blocked("the test suite", ran, f"its report is not usable: {error}"), ran.shown) from error


def _bytes(report: Path) -> bytes:
    status = report.lstat()
    if not stat.S_ISREG(status.st_mode) or status.st_size > REPORT_BYTES:
        raise junit.UnusableReportError("it is not a regular file of a reasonable size")
    return report.read_bytes()


def _agreed(ran: Ran, results: tuple[Result, ...]) -> Suite:
    """Hold the exit code against the report: neither is believed alone."""
    code = ran.receipt.exit or 0
    red = [result for result in results if result.state in _RED]
    if code == 0 and red:
        reason = f"its exit code is 0, but its report says that {red[0].id} is not passed"
        raise NotJudgedError(blocked("the test suite", ran, reason), ran.shown)
    if code != 0 and not red:
        reason = f"its exit code is {code}, but its report names no test that failed (a coverage floor, a plugin, an early exit?)"
        raise NotJudgedError(blocked("the test suite", ran, reason), ran.shown)
    return Suite(results=results, exit=code, receipt=ran.shown)


def _collect(case: Case, commit: str) -> dict[str, Any]:
    paths = _paths(case, commit)
    command = pytest_command.without_missing(case.policy.tests.run, paths)
    if command is None:
        return {"ids": [], "odd": []}
    with case.workshop.lease(commit) as lease:
        own = canaries.plant(lease, paths)
        wanted = (*pytest_command.collecting(command), *own.arguments)
        extra = own.environment(lease.environment.variables)
        ran = lease.run(wanted, timeout_s=case.policy.tests.timeout_s, extra=extra)
        _require_end(ran)
        usable = {pytest_command.COLLECTED, pytest_command.INTERRUPTED, pytest_command.NONE_COLLECTED}
        if ran.receipt.exit not in usable:
            reason = f"collecting the tests of the base ended with {ran.receipt.exit}"
            raise NotJudgedError(blocked("the test suite", ran, reason), ran.shown)
        odd = _heard(own, ran).odd
    return {"ids": sorted(pytest_command.collected_ids(ran.output, paths)), "odd": list(odd)}
