"""`denylist`: what the policy of the repository protects from every ticket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gates.protocol import Call, Case, Gate
from gates.verdict import Finding, Verdict, judged
from tickets.globs import matches
from tickets.grants import Need
from tickets.policy import POLICY_FILE

if TYPE_CHECKING:
    from tickets.model import Ticket
    from tickets.policy import Policy


def protected(policy: Policy) -> tuple[str, ...]:
    """Give the globs that are denied to everybody: the policy's, and always the policy itself and our own state."""
    return tuple(dict.fromkeys((*policy.scope.deny, POLICY_FILE, f"{policy.state.dir}/**")))


def rule(_ticket: Ticket, policy: Policy) -> str:
    return "These are protected in this repository, even where your scope would allow them: " + ", ".join(
        f"`{glob}`" for glob in protected(policy)
    )


def permits(call: Call, _ticket: Ticket, policy: Policy) -> str | None:
    denied = matches(call.path, protected(policy)) if call.kind == "write" else None
    return f"{call.path} is protected by the policy ({denied})" if denied else None


def verify(case: Case) -> Verdict:
    globs = protected(case.policy)
    found = []
    for change in case.change.changes:
        for path in change.paths:
            if denied := matches(path, globs):
                message = f"{path} is protected by the policy ({denied})"
                need = Need(kind="scope", subject=f"{path} (protected)", bound=change.kind)
                found.append(
                    Finding(
                        rule="denylist.protected",
                        path=path,
                        message=message,
                        limit=denied,
                        actual=change.kind,
                        need=need,
                    )
                )
    return judged(found, otherwise="nothing protected was touched")


GATE = Gate(name="denylist", judges="change", rule=rule, permits=permits, verify=verify)
