"""`acceptance`: every acceptance command of the ticket ends with exit code 0 on the exact tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gates.commands import blocked, failure, not_judged
from gates.protocol import Case, Gate
from gates.verdict import Finding, Verdict, inconclusive, judged, not_applicable

if TYPE_CHECKING:
    from gates.verdict import GateReceipt
    from tickets.model import Ticket
    from tickets.policy import Policy


def rule(ticket: Ticket, _policy: Policy) -> str:
    lines = (f"- `{command.shown}` within {command.timeout_s:g} s" for command in ticket.acceptance)
    return (
        "\n".join(["Your work is accepted when each of these ends with exit code 0:", *lines])
        if ticket.acceptance
        else ""
    )


def verify(case: Case) -> Verdict:
    if case.ticket is None:
        return not_applicable("no ticket was named")
    if not case.ticket.acceptance:
        return not_applicable("the ticket has no acceptance command")
    found: list[Finding] = []
    receipts: list[GateReceipt] = []
    unclear: list[str] = []
    for command in case.ticket.acceptance:
        with case.workshop.lease(case.change.commit) as lease:
            ran = lease.run(command.argv, timeout_s=command.timeout_s)
        receipts.append(ran.shown)
        if reason := not_judged(ran):
            unclear.append(blocked(f"`{command.shown}`", ran, reason))
        elif not ran.ok:
            found.append(failure("acceptance.failed", f"`{command.shown}`", ran))
    if unclear and not found:
        return inconclusive("; ".join(unclear), *receipts)
    count = len(receipts)
    return judged(
        found, otherwise=f"{count} acceptance command{'s' * (count != 1)} ended with exit code 0", receipts=receipts
    )


GATE = Gate(name="acceptance", judges="tree", rule=rule, verify=verify)
