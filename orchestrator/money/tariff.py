"""What a run's tokens cost: by the agent's own price, by what its client says, or by the list of prices. Unknown is not free."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from agents.prices import cost, known
from tickets.agents import Price
from tickets.policy import POLICY_FILE

if TYPE_CHECKING:
    from agents.prices import Listed
    from agents.usage import Usage
    from tickets.agents import Agent

FREE_KINDS = frozenset({"recipes", "scripted", "replay"})
"""Kinds of agent that no model stands behind."""
MOST = 1_000_000_000_000
"""Tokens or dollars that no run can come to."""
_NOTHING = Price(input=0.0, output=0.0)


@dataclass(frozen=True, kw_only=True)
class Tariff:
    name: str
    """Of the agent, in the configuration."""
    agent: Agent
    usage: Literal["tokens+usd", "tokens", "none"]
    """What the agent's client says of it."""
    max_age_days: int

    @property
    def measured(self) -> bool:
        return self.usage != "none"

    @property
    def free(self) -> bool:
        """Whether nothing that the agent's model does costs money."""
        price = self._price("") if self.usage != "tokens+usd" else self.agent.price
        return price is not None and not (price.input or price.output or price.cached)

    def trouble(self) -> str:
        """Say why the agent must not start; empty where what it costs can be told."""
        if self.usage != "tokens" or self._price("") is not None:
            return ""
        asked = (
            f"the price of {self.agent.model!r}"
            if self.agent.model
            else "the price of the client's own choice of model"
        )
        return f"{asked} is unknown, so {self.name} is not started; {self._remedy}"

    def unknown(self, used: Usage) -> str:
        """Say that nobody knows what was used costs."""
        model = used.model or self.agent.model or "the model"
        return f"the price of {model!r} is unknown, and its client names none; {self._remedy}"

    def usd(self, used: Usage) -> float | None:
        """Give what was used in US dollars; None where nobody knows."""
        if self.agent.price is None and used.usd is not None:
            return used.usd
        price = self._price(used.model)
        if price is None:
            return None if used.tokens else 0.0
        return cost(used, price)

    @staticmethod
    def possible(used: Usage) -> bool:
        """Say whether these can be amounts at all: a client may say anything."""
        counts = (used.input, used.cached, used.output)
        return all(0 <= count < MOST for count in counts) and (used.usd is None or 0 <= used.usd < MOST)

    def warnings(self) -> tuple[str, ...]:
        """Say where the listed price is an old one."""
        listed = self._listed("") if self.agent.price is None else None
        if listed is None or listed.age_days() <= self.max_age_days:
            return ()
        age = f"{listed.age_days()} days old ({listed.source}, {listed.date})"
        return (f"the listed price of {listed.model} is {age}; {self._remedy}",)

    @property
    def _remedy(self) -> str:
        price = "price = { input = ..., output = ... }"
        return f"set {price} under [agents.{self.name}] in {POLICY_FILE} (US dollars for a million tokens)"

    def _listed(self, answered: str) -> Listed | None:
        return known(answered) or known(self.agent.model)

    def _price(self, answered: str) -> Price | None:
        if self.agent.price is not None:
            return self.agent.price
        if listed := self._listed(answered):
            return listed.price
        return _NOTHING if _here(self.agent.base_url) else None


def _here(url: str) -> bool:
    """Say whether the model is served on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
