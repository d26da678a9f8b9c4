"""`cost`: what the ticket could cost at worst, by a dated rate card, and what its agents have spent. Unknown is not free."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING

from gates.declared.rates import arithmetic, asked_for, dollars, estimate_sha256, read_rates, worst_case
from gates.protocol import Case, Gate
from gates.verdict import Finding, Verdict, inconclusive, judged, not_applicable
from tickets.errors import FileError, InconclusiveError
from tickets.grants import Need

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tickets.model import Cost, Ticket
    from tickets.policy import Policy

_NOTHING_SAID = re.compile(r"(?:none\b.*|no|nothing|n/?a|-+|tbd|todo|\?+|)[.!]?", re.IGNORECASE)
"""What stands under Cost in the risk notes of a ticket that gives no reason."""


class _UnknownError(InconclusiveError):
    """The worst case cannot be told; says why and what to do."""


def rule(ticket: Ticket, policy: Policy) -> str:
    lines = []
    if ticket.cost:
        tiers = policy.cost
        lines += [
            f"- at worst: {asked_for(ticket.cost)}, at the rates of `{tiers.rates}`; launch nothing beyond that",
            f"- below ${tiers.auto_below_usd:g} it runs, from there on a person is asked,",
            f"  from ${tiers.stop_from_usd:g} on with a reason and one verified variant",
        ]
    if ticket.budget and ticket.budget.usd is not None:
        lines.append(f"- your own work may cost at most ${ticket.budget.usd:g}")
    if ticket.budget and ticket.budget.tokens is not None:
        lines.append(f"- your own work may use at most {ticket.budget.tokens} tokens")
    return "\n".join(lines)


def verify(case: Case) -> Verdict:
    cap = _agents_cap(case)
    if case.ticket is None or not (case.ticket.cost or case.ticket.budget or cap is not None):
        return not_applicable("the ticket launches nothing that is paid for and sets no budget")
    if not math.isfinite(case.spent.usd) or case.spent.usd < 0 or case.spent.tokens < 0:
        said = f"{case.spent.usd} USD and {case.spent.tokens} tokens"
        return inconclusive(f"the agent's client reported {said} as spent, which is no amount; look at its log")
    found = [*_overspent(case, cap)]
    figures = [_spending(case)]
    try:
        if case.ticket.cost:
            rates = case.read_base(case.policy.cost.rates)
            shown, asked = _estimated(case.ticket, case.policy, case.ticket.cost, rates)
            figures.insert(0, shown)
            found = [*asked, *found]
    except _UnknownError as error:
        # without the findings: a grant for those must not pass for a price that nobody knows
        return inconclusive("; besides: ".join((str(error), *(finding.message for finding in found))))
    return judged(found, otherwise="; ".join(figures))


def asked_beforehand(ticket: Ticket, policy: Policy, rates: str | None) -> list[Finding]:
    """Give what a person has to agree to before anybody works on the ticket; raise InconclusiveError without a price."""
    return _estimated(ticket, policy, ticket.cost, rates)[1] if ticket.cost else []


def _estimated(ticket: Ticket, policy: Policy, cost: Cost, text: str | None) -> tuple[str, list[Finding]]:
    """Give the arithmetic of the worst case, and what it asks of a person."""
    name = policy.cost.rates
    if text is None:
        raise _UnknownError(
            f"the price of {cost.gpu} is unknown: there is no rate card {name} at the base; "
            "commit one with source, date, currency and [gpus]"
        )
    try:
        card = read_rates(text, name, max_age_days=policy.cost.max_age_days)
    except FileError as error:
        raise _UnknownError(
            f"the price of {cost.gpu} is unknown, because the rate card cannot be used: {error}"
        ) from error
    if cost.gpu not in card.gpus:
        raise _UnknownError(
            f"the price of {cost.gpu} is unknown: {name} has {', '.join(sorted(card.gpus))}; add it, or correct the ticket"
        )
    rate = card.gpus[cost.gpu]
    shown = arithmetic(cost, rate)
    need = Need(kind="spend", subject=shown, bound=estimate_sha256(cost, text))
    usd = worst_case(cost, rate)
    return shown, [*_tier(policy, usd, need), *_reason(policy, ticket, usd)]


def _tier(policy: Policy, usd: Decimal, need: Need) -> Iterator[Finding]:
    """Give what a person has to agree to; one permission for the estimate answers both."""
    tiers = policy.cost
    auto, stop, cap = (_exact(figure) for figure in (tiers.auto_below_usd, tiers.stop_from_usd, tiers.day_cap_usd))
    if usd >= stop:
        message = f"at worst {need.subject}; from {dollars(stop)} on, a person has to agree to it, with a reason"
        yield _finding("stop", message, limit=stop, actual=usd, need=need)
    elif usd >= auto:
        message = f"at worst {need.subject}; from {dollars(auto)} on, a person has to agree to it"
        yield _finding("asks", message, limit=auto, actual=usd, need=need)
    if usd > cap:
        message = f"at worst {need.subject}, which is more than may be spent in a whole day ({dollars(cap)})"
        yield _finding("day-cap", message, limit=cap, actual=usd, need=need)


def _reason(policy: Policy, ticket: Ticket, usd: Decimal) -> Iterator[Finding]:
    if usd >= _exact(policy.cost.stop_from_usd) and _NOTHING_SAID.fullmatch(ticket.risk.cost.strip()):
        message = (
            f"the ticket gives no reason for {dollars(usd)}: say under risk, cost, what it is for "
            "and which one variant was verified first"
        )
        yield Finding(
            rule="cost.reason", message=message, limit="a reason and one verified variant", actual=ticket.risk.cost
        )


def _agents_cap(case: Case) -> Decimal | None:
    """Give what the role's agent may spend in all attempts so far."""
    if case.ticket is None:
        return None
    each = case.policy.agent(case.policy.agent_for(case.ticket.role)).max_usd
    return None if each is None else _exact(each) * max(1, case.attempt)


def _overspent(case: Case, cap: Decimal | None) -> Iterator[Finding]:
    budget = case.ticket.budget if case.ticket else None
    spent = _exact(case.spent.usd)
    if budget and budget.usd is not None and spent > (allowed := _exact(budget.usd)):
        subject = f"{dollars(spent)} for agents, where the ticket's budget is {dollars(allowed)}"
        yield _over("budget-usd", subject, limit=dollars(allowed), actual=dollars(spent))
    if budget and budget.tokens is not None and case.spent.tokens > budget.tokens:
        subject = f"{case.spent.tokens} tokens, where the ticket's budget is {budget.tokens}"
        yield _over("budget-tokens", subject, limit=str(budget.tokens), actual=str(case.spent.tokens))
    if cap is not None and spent > cap:
        subject = (
            f"{dollars(spent)} for agents, where max_usd allows {dollars(cap)} for {max(1, case.attempt)} attempts"
        )
        yield _over("agent-usd", subject, limit=dollars(cap), actual=dollars(spent))


def _over(name: str, subject: str, *, limit: str, actual: str) -> Finding:
    need = Need(kind="spend", subject=subject, bound=f"{limit} {actual}")
    return Finding(
        rule=f"cost.{name}", message=f"the ticket's attempts used {subject}", limit=limit, actual=actual, need=need
    )


def _finding(name: str, message: str, *, limit: Decimal, actual: Decimal, need: Need) -> Finding:
    return Finding(rule=f"cost.{name}", message=message, limit=dollars(limit), actual=dollars(actual), need=need)


def _spending(case: Case) -> str:
    return f"agents have used {dollars(_exact(case.spent.usd))} and {case.spent.tokens} tokens"


def _exact(figure: float) -> Decimal:
    """Give the amount as it was written, without the digits that binary fractions add."""
    return Decimal(repr(figure))


GATE = Gate(name="cost", judges="change", rule=rule, verify=verify)
