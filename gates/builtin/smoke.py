"""`smoke`: the ticket's short run really ends in time, and really produces what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gates.commands import blocked, failure, not_judged
from gates.protocol import Case, Gate
from gates.verdict import Finding, Verdict, inconclusive, judged, not_applicable
from tickets.globs import matches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gates.workshop import Lease, Ran
    from tickets.model import Smoke, Ticket
    from tickets.policy import Policy


def rule(ticket: Ticket, _policy: Policy) -> str:
    if ticket.smoke is None:
        return ""
    text = f"`{ticket.smoke.shown}` must end with exit code 0 within {ticket.smoke.timeout_s:g} s"
    made = ", ".join(f"`{glob}`" for glob in ticket.smoke.produces)
    return f"{text} and leave these, which must not exist before and not be empty afterwards: {made}" if made else text


def verify(case: Case) -> Verdict:
    if case.ticket is None or case.ticket.smoke is None:
        return not_applicable("the ticket has no smoke run" if case.ticket else "no ticket was named")
    smoke = case.ticket.smoke
    with case.workshop.lease(case.change.commit) as lease:
        if early := tuple(_there_before(smoke, lease)):
            return judged(early, otherwise="")
        ran = lease.run(smoke.argv, timeout_s=smoke.timeout_s)
        return _judge(smoke, lease, ran)


def _there_before(smoke: Smoke, lease: Lease) -> Iterator[Finding]:
    for found in lease.view.walk():
        if glob := matches(found.path, smoke.produces):
            message = f"{found.path} is in the tree before the smoke run that should produce it (`{glob}`): it would prove nothing"
            yield Finding(
                rule="smoke.there-before", path=found.path, message=message, limit="not there", actual="there"
            )


def _judge(smoke: Smoke, lease: Lease, ran: Ran) -> Verdict:
    what = f"`{smoke.shown}`"
    if ran.receipt.ending == "timeout":
        limit, actual = f"{smoke.timeout_s:g} s", f"stopped after {ran.receipt.seconds:.1f} s"
        message = f"{what} was still running after {limit}, its limit"
        return judged(
            [Finding(rule="smoke.too-slow", message=message, limit=limit, actual=actual)],
            otherwise="",
            receipts=[ran.shown],
        )
    if reason := not_judged(ran):
        return inconclusive(blocked(what, ran, reason), ran.shown)
    found = [failure("smoke.failed", what, ran)] if not ran.ok else [*_not_produced(smoke, lease)]
    made = f" and produced {', '.join(smoke.produces)}" if smoke.produces else ""
    return judged(
        found, otherwise=f"{what} ended with exit code 0 in {ran.receipt.seconds:.1f} s{made}", receipts=[ran.shown]
    )


def _not_produced(smoke: Smoke, lease: Lease) -> Iterator[Finding]:
    there = lease.written()  # nothing that matches was there before
    real = [found.path for found in there if found.mode.startswith("100") and found.size > 0]
    for glob in smoke.produces:
        if any(matches(path, [glob]) for path in real):
            continue
        near = next((found for found in there if matches(found.path, [glob])), None)
        actual = (
            "nothing"
            if near is None
            else f"{near.path}, {'empty' if near.mode.startswith('100') else 'not a regular file'}"
        )
        message = f"`{smoke.shown}` ended with exit code 0 but left no file with content at `{glob}` ({actual})"
        yield Finding(
            rule="smoke.not-produced", path=glob, message=message, limit="a regular file, not empty", actual=actual
        )


GATE = Gate(name="smoke", judges="tree", rule=rule, verify=verify)
