"""What agents may spend: `[spend]` in the configuration, and the limits that follow for one attempt, ticket, feature and day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from tickets.documents import Strict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tickets.agents import Agent
    from tickets.model import Budget

Scope = Literal["attempt", "ticket", "feature", "day"]
Unit = Literal["usd", "tokens"]
SCOPES: tuple[Scope, ...] = ("attempt", "ticket", "feature", "day")
MICROS = 1_000_000
"""Money is counted in whole millionths of a dollar."""


def micros(usd: float) -> int:
    return round(usd * MICROS)


def shown(unit: Unit, amount: int) -> str:
    """Write an amount for a person: `$1.50`, `$0.0042`, `1,200 tokens`."""
    if unit == "tokens":
        return f"{amount:,} tokens"
    small = 0 < amount < MICROS // 10
    return f"${amount / MICROS:.{4 if small else 2}f}"


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The most that may be used in one scope."""

    scope: Scope
    unit: Unit
    most: int
    """In millionths of a dollar, or in tokens."""
    where: str
    """The setting that says so."""


class Spend(Strict):
    """Of agents' models; paid compute is bounded under [cost]."""

    attempt_usd: float = Field(default=2.0, ge=0)
    """For one run of an agent, planning and auditing ones too. 0: nothing that costs money is started."""
    ticket_usd: float = Field(default=5.0, ge=0)
    feature_usd: float = Field(default=20.0, ge=0)
    day_usd: float = Field(default=50.0, ge=0)
    """For a day of UTC."""
    attempt_tokens: NonNegativeInt = 0
    """Read and written together; 0: no limit."""
    ticket_tokens: NonNegativeInt = 0
    feature_tokens: NonNegativeInt = 0
    day_tokens: NonNegativeInt = 0
    warn_at: float = Field(default=0.8, gt=0, le=1)
    """Part of a limit from which on a warning is given."""
    max_age_days: PositiveInt = 90
    """From this age on the listed price of a model is used with a warning."""

    def limits(self, budget: Budget | None = None, *further: Limit) -> tuple[Limit, ...]:
        """Give the tightest limit of each scope and unit, with those of a ticket's budget, and `further` ones."""
        found: dict[tuple[Scope, Unit], Limit] = {}
        for limit in (*self._own(), *_of_ticket(budget), *further):
            key = (limit.scope, limit.unit)
            if key not in found or limit.most < found[key].most:
                found[key] = limit
        return tuple(found.values())

    def _own(self) -> Iterator[Limit]:
        for scope in SCOPES:
            usd, tokens = f"{scope}_usd", f"{scope}_tokens"
            yield Limit(scope=scope, unit="usd", most=micros(getattr(self, usd)), where=f"[spend] {usd}")
            if most := getattr(self, tokens):
                yield Limit(scope=scope, unit="tokens", most=most, where=f"[spend] {tokens}")


def of_agent(name: str, agent: Agent) -> Iterator[Limit]:
    """Give what an agent's own settings allow for one attempt."""
    if agent.max_usd is not None:
        yield Limit(scope="attempt", unit="usd", most=micros(agent.max_usd), where=f"[agents.{name}] max_usd")
    if agent.max_tokens is not None:
        yield Limit(scope="attempt", unit="tokens", most=agent.max_tokens, where=f"[agents.{name}] max_tokens")


def _of_ticket(budget: Budget | None) -> Iterator[Limit]:
    if budget and budget.usd is not None:
        yield Limit(scope="ticket", unit="usd", most=micros(budget.usd), where="the ticket's budget.usd")
    if budget and budget.tokens is not None:
        yield Limit(scope="ticket", unit="tokens", most=budget.tokens, where="the ticket's budget.tokens")
