"""`tests`: every test of the base still runs, none is newly skipped, none fails, and what the ticket selects passed.

Every test runs, whatever the ticket selects. Ids, skips and failures are compared with the base commit.

Tests of the harness run among them (`gates.testing.canaries`): one that must pass, two that must fail. The tree runs with its own configuration and
conftest files, as the gate `tamper` lets none of them change unless the ticket names it, and with the plugins that are installed.

Not covered here: tests whose assertions were weakened (`tamper`); product code that knows a test's name and forges its result without touching
the runner (`acceptance`); a test that fails once on purpose and passes when run again is named flaky, not refused; base files that cannot be
collected have no ids to be compared; runners other than pytest have no tests of the harness among them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gates.protocol import Case, Gate
from gates.testing import suite
from gates.testing.pytest_command import is_pytest
from gates.testing.suite import ForgedRunError, NotJudgedError
from gates.verdict import Answer, Finding, Verdict, inconclusive, judged, not_applicable
from tickets.grants import Need

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gates.testing.junit import Result
    from gates.testing.suite import Suite
    from gates.verdict import GateReceipt
    from tickets.model import Ticket
    from tickets.policy import Policy

RERUN_AT_MOST = 5
NOTHING_COLLECTED = "no tests were collected; set run = [] under [tests] if this repository has none"
OLD = "fails on the base as well"


def rule(ticket: Ticket, policy: Policy) -> str:
    if not policy.tests.run:
        return ""
    lines = [
        f"`{' '.join(policy.tests.run)}` runs on your tree within {policy.tests.timeout_s:g} s. No test may fail.",
        "Every test of the base must still run under its id: do not remove, rename, deselect, skip or xfail any.",
        "(A whole test file may be renamed.)",
    ]
    if ticket.tests.select:
        chosen = ", ".join(f"`{entry}`" for entry in ticket.tests.select)
        lines.append(f"Each of these must be among the tests that passed: {chosen}.")
    if ticket.tests.floor:
        lines.append(f"At least {ticket.tests.floor} of them must have passed.")
    return "\n".join(lines)


def verify(case: Case) -> Verdict:
    if not case.policy.tests.run:
        if case.ticket and case.ticket.tests.select:
            return inconclusive(
                "the ticket selects tests, but the repository names no test command (run under [tests])"
            )
        return not_applicable("the repository names no test command")
    try:
        return _judge(case, suite.of_change(case))
    except ForgedRunError as error:
        return judged([Finding(rule="tests.canary", message=error.reason)], otherwise="", receipts=error.receipts)
    except NotJudgedError as error:
        return inconclusive(error.reason, *error.receipts)


def _judge(case: Case, ran: Suite) -> Verdict:
    if broken := [_red(result) for result in ran.results if result.state == "collection"]:
        return judged(broken, otherwise="", receipts=[ran.receipt])
    base = {_moved(case, identity): identity for identity in suite.ids_at_base(case)}
    found = [*_odd(case, ran), *_removed(case, base, ran)]
    if not ran.results and not found:
        return inconclusive(NOTHING_COLLECTED, ran.receipt)
    if any(result.state in {"failed", "error"} for result in ran.results):
        case.workshop.failing()
    flaky, receipts = _run_again(case, ran)
    states = {**ran.states, **dict.fromkeys(flaky, "passed")}
    changed, unclear = _compared(case, ran, base, flaky)
    found += [*changed, *_selected(case, states)]
    receipts = (ran.receipt, *receipts)
    if unclear and not found:
        return inconclusive(unclear, *receipts)
    return judged(found, otherwise="", receipts=receipts) if found else _passed(states, base, flaky, receipts)


def _passed(
    states: dict[str, str], base: dict[str, str], flaky: tuple[str, ...], receipts: tuple[GateReceipt, ...]
) -> Verdict:
    counts = {state: sum(one == state for one in states.values()) for state in ("passed", "skipped", "xfailed")}
    shown = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    notes = tuple(
        Finding(
            rule="tests.flaky", path=one.partition("::")[0], message=f"flaky: failed once, passed when run again: {one}"
        )
        for one in flaky
    )
    reason = "; ".join([f"{shown}; all {len(base)} tests of the base ran", *(note.message for note in notes)])
    return Verdict(answer=Answer.PASS, reason=reason, findings=notes, receipts=receipts)


def _moved(case: Case, identity: str) -> str:
    """Give the id that a test of the base has now: a whole file may be renamed."""
    path, mark, rest = identity.partition("::")
    new = next((change.path for change in case.change.landing if change.old_path == path), path)
    return f"{new}{mark}{rest}"


def _odd(case: Case, ran: Suite) -> Iterator[Finding]:
    """Name what reached into the runner and did not at the base."""
    before = {_moved(case, name) for name in suite.odd_at_base(case)} if ran.odd else set()
    for name in sorted(set(ran.odd) - before):
        what = f"{name} became a part of the test runner" if name.endswith(".py") else f"{name} was replaced"
        message = f"{what} while the tests ran; what they say then proves nothing: leave the runner as it is installed"
        need = Need(kind="tamper", subject=name, bound=case.change.tree)
        yield Finding(rule="tests.runner", message=message, limit="as installed", actual=name, need=need)


def _removed(case: Case, base: dict[str, str], ran: Suite) -> Iterator[Finding]:
    for now, identity in sorted(base.items()):
        if now not in ran.states:
            message = f"{identity} ran at the base and does not run now (removed, renamed, deselected or not collected)"
            yield Finding(
                rule="tests.removed",
                path=identity.partition("::")[0],
                message=message,
                limit="runs",
                actual="did not run",
                need=Need(kind="tests", subject=identity, bound=case.change.tree),
            )


def _run_again(case: Case, ran: Suite) -> tuple[tuple[str, ...], tuple[GateReceipt, ...]]:
    """Run each of a few failed tests once more, alone; give those that then passed, and the receipts."""
    red = [result.id for result in ran.results if result.state in {"failed", "error"}]
    if len(red) > RERUN_AT_MOST or not is_pytest(case.policy.tests.run):
        return (), ()
    flaky: list[str] = []
    receipts: list[GateReceipt] = []
    for identity in red:
        try:
            again = suite.alone(case, identity)
        except NotJudgedError as error:
            receipts += error.receipts  # no second chance: it stays failed
            continue
        receipts.append(again.receipt)
        if again.states.get(identity) == "passed" and again.exit == 0:
            flaky.append(identity)
    return tuple(flaky), tuple(receipts)


def _compared(case: Case, ran: Suite, base: dict[str, str], flaky: tuple[str, ...]) -> tuple[list[Finding], str]:
    """Hold what did not pass against the base; the second value says why that could not be done."""
    odd = [result for result in ran.results if result.state != "passed" and result.id not in flaky]
    try:
        before = suite.states_at_base(case, (base[result.id] for result in odd if result.id in base))
    except NotJudgedError as error:
        return [_red(result) for result in odd if result.state in {"failed", "error"}], f"at the base, {error.reason}"
    found = []
    for result in odd:
        was = before.get(base.get(result.id, ""), "")
        if result.state in {"failed", "error"}:
            old = was in {"failed", "error"}
            need = Need(kind="known-red", subject=f"test {result.id}", bound=case.repository.tree(case.change.base))
            found.append(replace(_red(result, note=OLD if old else ""), need=need if old else None))
        elif result.id in base and was not in {"skipped", "xfailed"}:
            found.append(_silenced(result, was))
    return found, ""


def _red(result: Result, *, note: str = "") -> Finding:
    what = (
        "could not be collected"
        if result.state == "collection"
        else f"{result.state} ({note})"
        if note
        else result.state
    )
    rule_name = "tests.collection" if result.state == "collection" else "tests.failed"
    path = result.path or result.id.partition("::")[0]
    message = f"{result.id} {what}: {result.message}"
    return Finding(rule=rule_name, path=path, line=result.line, message=message, limit="passed", actual=result.state)


def _silenced(result: Result, was: str) -> Finding:
    message = (
        f"{result.id} is {result.state} now ({result.message or 'no reason given'}); at the base it {was or 'was not'}"
    )
    path = result.id.partition("::")[0]
    return Finding(rule=f"tests.newly-{result.state}", path=path, message=message, limit=was, actual=result.state)


def _selected(case: Case, states: dict[str, str]) -> Iterator[Finding]:
    wanted = case.ticket.tests if case.ticket else None
    if wanted is None or not (wanted.select or wanted.floor):
        return
    passed = {identity for identity, state in states.items() if state == "passed"}
    hits = {entry: {identity for identity in passed if _selects(entry, identity)} for entry in wanted.select}
    for entry in (entry for entry, ids in hits.items() if not ids):
        message = f"the ticket asks for `{entry}`, but no test of that name ran and passed"
        yield Finding(
            rule="tests.select", path=entry.partition("::")[0], message=message, limit="1 passed", actual="0 passed"
        )
    count = len(set().union(*hits.values())) if hits else len(passed)
    if count < wanted.floor:
        message = f"{count} of the tests that the ticket asks for passed; at least {wanted.floor} must"
        yield Finding(rule="tests.floor", message=message, limit=str(wanted.floor), actual=str(count))


def _selects(entry: str, identity: str) -> bool:
    plain = entry.removeprefix("./").rstrip("/")
    return identity == plain or identity.startswith((f"{plain}/", f"{plain}::", f"{plain}["))


GATE = Gate(name="tests", judges="tree", rule=rule, verify=verify, version="2")
