"""What models cost, by the list beside this module, and whether two names mean the same model."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from tickets.agents import Price
from tickets.documents import Strict, read_toml, validate
from tickets.model import FilledLine

if TYPE_CHECKING:
    from agents.usage import Usage

MILLION = 1_000_000
FILE = Path(__file__).with_name("prices.toml")
FAMILIES = frozenset({"fable", "haiku", "opus", "sonnet"})
"""Names that stand for whichever model of the family the client takes."""
ANY = frozenset({"", "auto", "best", "default", "opusplan"})
"""Names that leave the choice to the client."""
_SUFFIX = re.compile(
    r"(?:\[1m\]|:latest|-latest|-v[0-9]+:[0-9]+|[@-](?:20[0-9]{6}|20[0-9]{2}-[0-9]{2}-[0-9]{2})|(?<=-4)-0)$"
)

_MONTH = re.compile(r"(?<=[a-z])-[0-9]{4}$|(?<=-[0-9])-[0-9]{4}$")


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A price, where it was read, and when."""

    model: str
    price: Price
    source: str
    date: dt.date

    def age_days(self) -> int:
        return (dt.datetime.now(dt.UTC).date() - self.date).days


class _List(Strict):
    source: FilledLine
    date: dt.date
    models: dict[FilledLine, Price] = Field(min_length=1)


class _Prices(Strict):
    currency: Literal["USD"]
    lists: tuple[_List, ...]


def known(model: str) -> Listed | None:
    """Give the listed price of the model; of a family's name the dearest one, so that nothing is counted too low."""
    name = normal(model)
    if name in FAMILIES:
        family = [listed for listed in _listed().values() if name in listed.model.split("-")]
        return max(family, key=lambda listed: (listed.price.output, listed.price.input), default=None)
    return _listed().get(name)


def cost(used: Usage, price: Price) -> float:
    """Give what the tokens cost, in US dollars."""
    cached = price.input if price.cached is None else price.cached
    fresh = max(0, used.input - used.cached)
    return (fresh * price.input + used.cached * cached + used.output * price.output) / MILLION


def same_model(asked: str, answered: str) -> bool:
    """Say whether the model that answered may be the one that was asked for, under another way to write its name."""
    one, other = normal(asked), normal(answered)
    if one in ANY or not other or (one in FAMILIES and one in other.split("-")):
        return True
    (stem, tag), (stem_too, tag_too) = _bare(one), _bare(other)
    return stem == stem_too and (tag == tag_too or not tag or not tag_too)


def _bare(name: str) -> tuple[str, str]:
    """Split the tag of a local model off, and what services write behind a name: a file's ending, a month."""
    stem, _, tag = _MONTH.sub("", name.removesuffix(".gguf")).partition(":")
    return stem, tag


def normal(model: str) -> str:
    """Strip what names of the same model differ in: the provider before it, the date and the like behind it."""
    name = model.strip().lower().rpartition("/")[2]
    name = re.sub(r"^(?:[a-z]{2,6}\.)?anthropic\.", "", name)
    while (shorter := _SUFFIX.sub("", name)) != name:
        name = shorter
    return name


@lru_cache(maxsize=1)
def _listed() -> dict[str, Listed]:
    prices = validate(_Prices, read_toml(FILE.read_text(encoding="utf-8"), FILE.name))
    return {
        model: Listed(model=model, price=price, source=one.source, date=one.date)
        for one in prices.lists
        for model, price in one.models.items()
    }
