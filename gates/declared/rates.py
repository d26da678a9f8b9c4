"""The rate card: what an hour of a GPU costs, where that was read, and when.

    source = "https://example.com/pricing"   # where the prices were read
    date = 2026-11-01                        # when; older than [cost] max_age_days is out of date
    currency = "USD"                         # the one that the tiers are in

    [gpus]                                   # price of one GPU for one hour
    T4 = 0.59
    H100 = 3.95
    "A100-80GB" = 2.50

It is strict, because money follows from it: another key, another currency or a price of nothing is an error.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field

from tickets.documents import Strict, read_toml, validate
from tickets.errors import FileError
from tickets.model import FilledLine

if TYPE_CHECKING:
    from tickets.model import Cost

TIMES = " \N{MULTIPLICATION SIGN} "
AHEAD = timedelta(days=1)
"""Where the card was written it may be tomorrow already."""


def _price(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"a price in USD per hour as a number, not {value!r}")  # noqa: TRY004 - pydantic wants ValueError
    price = Decimal(repr(value))  # as it was written: Decimal(3.95) would be 3.9500000000000001776...
    if not price.is_finite() or price <= 0:
        raise ValueError(f"a price above 0, not {value}")
    return price


def _day(value: object) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise ValueError(f"a date such as 2026-11-01, not {value!r}") from error
    if type(value) is not date:
        raise ValueError(f"a date such as 2026-11-01, not {value}")
    return value


class RateCard(Strict):
    source: FilledLine
    """Where the prices were read."""
    date: Annotated[date, BeforeValidator(_day)]
    currency: Literal["USD"]
    gpus: dict[FilledLine, Annotated[Decimal, BeforeValidator(_price)]] = Field(min_length=1)
    """Price of one GPU for one hour."""


def read_rates(text: str, name: str, *, max_age_days: int) -> RateCard:
    """Read a rate card that is in force today; raise FileError with every reason why it is not one."""
    document = read_toml(text, name)
    card = validate(RateCard, document)
    age = datetime.now(UTC).date() - card.date
    if age < -AHEAD:
        raise FileError(document.problem(("date",), f"expected a date that is not in the future, not {card.date}"))
    if age.days > max_age_days:
        expected = f"expected prices of the last {max_age_days} days; these are {age.days} days old ({card.date})"
        raise FileError(document.problem(("date",), expected))
    return card


def worst_case(cost: Cost, rate: Decimal) -> Decimal:
    """Give what is spent when every attempt uses all its hours."""
    return cost.count * Decimal(repr(cost.hours)) * rate * (1 + cost.retries)


def asked_for(cost: Cost) -> str:
    attempts = 1 + cost.retries
    tries = f"{attempts} attempt{'s' * (attempts != 1)}"
    return TIMES.join((str(cost.count), cost.gpu, f"{cost.hours:g} h", tries))


def arithmetic(cost: Cost, rate: Decimal) -> str:
    """Show how the worst case comes about: what is asked for, at which rate, and the sum."""
    return f"{asked_for(cost)} at {dollars(rate)}/h = {dollars(worst_case(cost, rate))}"


def estimate_sha256(cost: Cost, card: str) -> str:
    """Identify an estimate by all that goes into it, the rate card's text included."""
    return hashlib.sha256(f"{cost.model_dump_json()}\0{card}".encode(errors="backslashreplace")).hexdigest()


def dollars(amount: Decimal) -> str:
    """Show an amount in cents, or with all its digits where cents would hide some."""
    cents = amount.quantize(Decimal("0.01"))
    return f"${cents}" if cents == amount else f"${amount.normalize():f}"
