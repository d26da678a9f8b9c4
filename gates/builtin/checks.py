"""`checks`: the repository's own gate scripts, run on the exact tree.

Which commands run is read from the base; a script of the tree that they call is the change's own. Whoever keeps the
script in the tree denies it in [scope].deny.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gates.commands import blocked, failure, not_judged
from gates.protocol import Case, Gate
from gates.verdict import Finding, Verdict, inconclusive, judged, not_applicable

if TYPE_CHECKING:
    from gates.verdict import GateReceipt
    from gates.workshop import Ran
    from tickets.model import Ticket
    from tickets.policy import Check, Policy

OLD = "also fails on the base: not this ticket's doing"


def rule(_ticket: Ticket, policy: Policy) -> str:
    if not policy.checks:
        return ""
    lines = (f"- {check.name}: `{' '.join(check.run)}` within {check.timeout_s:g} s" for check in policy.checks)
    return "\n".join(["These must end with exit code 0 on your tree:", *lines])


def verify(case: Case) -> Verdict:
    if not case.policy.checks:
        return not_applicable("the repository has no [[checks]]")
    found: list[Finding] = []
    receipts: list[GateReceipt] = []
    unclear: list[str] = []
    for check in case.policy.checks:
        ran = _run(case, check, case.change.commit)
        receipts.append(ran.shown)
        if reason := not_judged(ran):
            unclear.append(blocked(f"check {check.name}", ran, reason))
        elif not ran.ok:
            found.append(_finding(case, check, ran))
    if unclear and not found:
        return inconclusive("; ".join(unclear), *receipts)
    names = ", ".join(check.name for check in case.policy.checks)
    return judged(found, otherwise=f"exit code 0: {names}", receipts=receipts)


def _run(case: Case, check: Check, commit: str) -> Ran:
    with case.workshop.lease(commit) as lease:
        return lease.run(check.run, timeout_s=check.timeout_s)


def _finding(case: Case, check: Check, ran: Ran) -> Finding:
    # its receipt is not shown: receipts speak of the change
    before = _run(case, check, case.change.base)
    old = not_judged(before) is None and not before.ok
    return failure(f"checks.{check.name}", f"check {check.name}: `{' '.join(check.run)}`", ran, note=OLD if old else "")


GATE = Gate(name="checks", judges="tree", rule=rule, verify=verify)
