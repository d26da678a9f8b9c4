"""What a plan's paid compute costs at worst, by the rate card at the base."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gates.declared.rates import read_rates, worst_case
from tickets.errors import FileError
from tickets.plans.review import PlanReview, Prices, review

if TYPE_CHECKING:
    from decimal import Decimal

    from gates.declared.rates import RateCard
    from orchestrator.workspace import Workspace
    from tickets.plan import Plan


def reviewed(workspace: Workspace, plan: Plan, base: str) -> PlanReview:
    return review(plan, priced(workspace, plan, base))


def priced(workspace: Workspace, plan: Plan, base: str) -> Prices:
    """Give the worst case of each ticket that launches something; what has no price is named, never taken for free."""
    paid = [draft for draft in plan.tickets if draft.cost]
    if not paid:
        return Prices()
    card, trouble = _card(workspace, base)
    worst: dict[str, Decimal] = {}
    unknown: dict[str, str] = {}
    for draft in paid:
        rate = card.gpus.get(draft.cost.gpu) if card and draft.cost else None
        if rate is None or draft.cost is None:
            unknown[draft.key] = trouble or f"no rate for {draft.cost.gpu if draft.cost else ''}"
        else:
            worst[draft.key] = worst_case(draft.cost, rate)
    return Prices(worst=worst, unknown=unknown)


def _card(workspace: Workspace, base: str) -> tuple[RateCard | None, str]:
    cost = workspace.policy.cost
    data = workspace.repository.read(base, cost.rates)
    if data is None:
        return None, f"there is no rate card {cost.rates}"
    try:
        return read_rates(data.decode(errors="replace"), cost.rates, max_age_days=cost.max_age_days), ""
    except FileError as error:
        return None, str(error)
