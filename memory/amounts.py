"""The words of the ledger: amounts, runs, reservations, refusals, sums."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tickets.spending import MICROS, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from memory.events import About
    from tickets.spending import Limit, Unit

Purpose = Literal["work", "plan", "challenge", "audit"]
LEAST = 0.25
"""Part of what a run may need that must be left: with less it would only be broken off."""


def fits(asked: int, left: int) -> bool:
    """Say whether what is left is enough to begin with."""
    return left > 0 and left >= asked * LEAST


@dataclass(frozen=True, kw_only=True)
class Amount:
    usd: int = 0
    """In millionths of a dollar."""
    tokens: int = 0

    def of(self, unit: Unit) -> int:
        return self.usd if unit == "usd" else self.tokens

    def __bool__(self) -> bool:
        return bool(self.usd or self.tokens)

    def to_json(self) -> dict[str, Any]:
        return {"usd": self.usd / MICROS, "tokens": self.tokens}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of an agent, as the ledger knows it."""

    purpose: Purpose
    about: About
    agent: str
    owner: str
    """The process that pays attention to it."""
    limits: tuple[Limit, ...] = field(default=(), repr=False)
    warn_at: float = 0.8


@dataclass(frozen=True, kw_only=True)
class Reservation:
    id: int
    run: Run
    amount: Amount
    """The most that the run may use."""
    bound: Mapping[Unit, Limit] = field(default_factory=dict)
    """The limit that made it so, for each unit that is bounded."""


@dataclass(frozen=True, kw_only=True)
class Booking:
    """What a run has used in the end."""

    used: Amount
    measured: bool
    note: str


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """There is no room for the run under a limit."""

    limit: Limit
    asked: int
    settled: int
    """Used for good."""
    held: int
    """Reserved by runs that go on at the moment."""

    @property
    def passing(self) -> bool:
        """Whether there may be room once those runs are settled."""
        return fits(self.asked, self.limit.most - self.settled)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A limit that the use in its scope has come to, or close to."""

    limit: Limit
    used: int

    def __str__(self) -> str:
        unit = self.limit.unit
        return f"{shown(unit, self.used)} of the {shown(unit, self.limit.most)} of {self.limit.where} are used"


@dataclass(frozen=True, kw_only=True)
class Count:
    """What one more count has brought."""

    warned: tuple[Mark, ...]
    """Limits whose warning mark was passed just now."""
    ended: tuple[Mark, ...]
    """Limits that are used up."""


@dataclass(frozen=True, kw_only=True)
class Sum:
    """What runs came to, all in all."""

    runs: int
    used: Amount
    reserved: Amount
    """At their start: the estimate, as the worst case."""
    held: Amount
    """Of it, by runs that go on."""
    unmeasured: int
    """Runs whose client named no usage."""
