"""What became of bringing a landing to where others see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from orchestrator.train.landing import Step


@dataclass(frozen=True, kw_only=True)
class Sent:
    """It stands there."""

    steps: tuple[Step, ...]
    """What stands there: fewer than were asked for where each goes by itself, and with the commit that the service made."""


@dataclass(frozen=True, kw_only=True)
class Behind:
    """Somebody else was first; everything is predicted anew."""


@dataclass(frozen=True, kw_only=True)
class Later:
    """It did not get through; it is tried again."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Stuck:
    """A person has to do something first."""

    reason: str
    everybody: bool
    """Whether no other change could land either."""


Published: TypeAlias = Sent | Behind | Later | Stuck
