"""The rate card: what one unit of a launcher costs for one hour, who says so, and since when."""

import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path

from pydantic import Field

from experiment_hub.configuration.document import Document
from experiment_hub.configuration.settings import CostSettings
from experiment_hub.errors import ConfigurationError, NotAllowedError
from experiment_hub.strict import StrictModel

CURRENCY = "USD"
SHIPPED = "rates.toml"


class Rate(StrictModel):
    launcher: str
    item: str
    """A GPU type, `cpu`, `memory` or `storage`."""
    price: float | None = Field(default=None, gt=0)
    """Of one GPU, core or GiB for one hour."""
    included: bool = False
    """Instead of a price: paid with the GPU."""
    minimum: float = Field(default=0.0, ge=0)
    """Billed even where less was asked for."""
    currency: str
    source: str
    as_of: date
    fixed: bool = False
    """Never grows stale: a price that nobody else sets."""


@dataclass(frozen=True)
class RateCard:
    rates: dict[tuple[str, str], Rate]
    max_age_days: int

    def rate(self, launcher: str, item: str, *, today: date) -> Rate:
        """A rate that may be used today; raises NotAllowedError in words for people."""
        found = self.rates.get((launcher, item))
        if found is None:
            known = ", ".join(sorted(known for name, known in self.rates if name == launcher)) or "nothing"
            raise NotAllowedError(
                f"the rate card has no price for {item} of launcher {launcher} (it knows {known}); "
                "put one into the file that cost.rates of hub.yaml names"
            )
        objection = self.objection(found, today=today)
        if objection:
            raise NotAllowedError(objection)
        return found

    def objection(self, rate: Rate, *, today: date) -> str:
        """Why a rate must not be used today; empty when it may."""
        name = f"the price for {rate.item} of launcher {rate.launcher}"
        age = (today - rate.as_of).days
        if rate.currency != CURRENCY:
            return f"{name} is in {rate.currency}; caps and the ledger are in {CURRENCY}: convert it"
        if age < -1:  # a day of grace for time zones
            return f"{name} is dated {rate.as_of}, in the future"
        if age > self.max_age_days and not rate.fixed:
            return (
                f"{name} is {age} days old (from {rate.as_of}; at most {self.max_age_days} are allowed): "
                f"look at {rate.source} and enter it with today's date in the file that cost.rates of hub.yaml names"
            )
        return ""


def load_card(home: Path, limits: CostSettings) -> RateCard:
    """The shipped rates, replaced by the home's own where it has them; raises ConfigurationError."""
    rates = _read(files("experiment_hub.cost").joinpath(SHIPPED).read_text(encoding="utf-8"), SHIPPED)
    if limits.rates is not None:
        path = home / limits.rates
        try:
            rates |= _read(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"rate card {path} cannot be read: {error}") from error
    return RateCard(rates, limits.max_age_days)


def _read(text: str, source: str) -> dict[tuple[str, str], Rate]:
    try:
        data = json.loads(json.dumps(tomllib.loads(text), default=str))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"rate card {source}: not TOML: {error}") from error
    if set(data) != {"rates"} or not isinstance(data["rates"], list):
        raise ConfigurationError(f"rate card {source}: expected nothing but tables named [[rates]]")
    document = Document(data, f"rate card {source}")
    rates = [document.parse(Rate, entry, ("rates", index)) for index, entry in enumerate(data["rates"])]
    return dict(_keyed(rates, source))


def _keyed(rates: Sequence[Rate], source: str) -> Iterator[tuple[tuple[str, str], Rate]]:
    seen = set()
    for rate in rates:
        key = (rate.launcher, rate.item)
        if key in seen:
            raise ConfigurationError(f"rate card {source}: two prices for {rate.item} of launcher {rate.launcher}")
        if (rate.price is None) != rate.included:
            raise ConfigurationError(f"rate card {source}: {rate.launcher} {rate.item}: give price, or included = true")
        seen.add(key)
        yield key, rate
