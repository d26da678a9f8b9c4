"""What a plan comes to: what runs side by side, what it waits for longest, what it may cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tickets.graph import waves

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tickets.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Paid compute of a plan's tickets."""

    worst: Mapping[str, Decimal] = field(default_factory=dict)
    """US dollars at worst, by key."""
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Why a ticket's cost cannot be told, by key."""


@dataclass(frozen=True, kw_only=True)
class PlanReview:
    waves: tuple[tuple[str, ...], ...]
    """Each runs side by side, after the one before."""
    critical_path: tuple[str, ...]
    """The tickets that the whole plan waits for."""
    length: float
    """Of that path: minutes where `timed`, otherwise tickets one after another."""
    timed: bool
    cost: Mapping[str, float]
    """US dollars for each ticket that names any: its agent's estimate and its paid compute at worst."""
    usd: float
    tokens: int
    unknown: Mapping[str, str]
    """Tickets whose paid compute has no price, and why."""

    @property
    def path(self) -> str:
        """The critical path as a person reads it."""
        many = f"{len(self.critical_path)} ticket{'s' * (len(self.critical_path) != 1)}"
        return f"{' -> '.join(self.critical_path)} ({f'{self.length:g} minutes' if self.timed else many})"

    @property
    def money(self) -> str:
        """What the plan may cost, as a person reads it."""
        said = [f"${self.usd:.2f}"] if self.cost else []
        said += [f"{self.tokens} tokens"] if self.tokens else []
        said += [f"{key} has no price ({why})" for key, why in self.unknown.items()]
        return "; ".join(said) or "nothing was estimated"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def review(plan: Plan, prices: Prices) -> PlanReview:
    keys = {draft.key for draft in plan.tickets}
    edges = {draft.key: keys & set(draft.depends_on) for draft in plan.tickets}
    timed = all(draft.estimate.minutes for draft in plan.tickets)
    weights = {draft.key: (draft.estimate.minutes or 1.0) if timed else 1.0 for draft in plan.tickets}
    path = _critical(edges, weights)
    cost = _costs(plan, prices)
    return PlanReview(
        waves=tuple(tuple(wave) for wave in waves(edges)),
        critical_path=path,
        length=sum(weights[key] for key in path),
        timed=timed,
        cost=cost,
        usd=float(sum((Decimal(repr(usd)) for usd in cost.values()), Decimal())),
        tokens=sum(draft.estimate.tokens or 0 for draft in plan.tickets),
        unknown=prices.unknown,
    )


def _critical(edges: Mapping[str, set[str]], weights: Mapping[str, float]) -> tuple[str, ...]:
    """Give the longest way through the plan; of ways equally long the one whose tickets stand first."""
    best: dict[str, tuple[float, tuple[str, ...]]] = {}
    for key in (key for wave in waves(edges) for key in wave):
        before = max((best[other] for other in edges[key]), key=lambda way: way[0], default=(0.0, ()))
        best[key] = before[0] + weights[key], (*before[1], key)
    return max((best[key] for key in edges), key=lambda way: way[0], default=(0.0, ()))[1]


def _costs(plan: Plan, prices: Prices) -> dict[str, float]:
    found = {}
    for draft in plan.tickets:
        own = draft.estimate.usd
        if own is not None or draft.key in prices.worst:
            found[draft.key] = float(Decimal(repr(own or 0.0)) + prices.worst.get(draft.key, Decimal()))
    return found
