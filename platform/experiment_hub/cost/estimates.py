"""What a job may cost, before it starts: GPUs x hours x rate, at worst and as far as can be expected."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from sqlalchemy.orm import Session

from experiment_hub.canonical import content_hash
from experiment_hub.configuration.settings import CostSettings
from experiment_hub.cost import money
from experiment_hub.cost.rates import RateCard
from experiment_hub.cost.request import Request
from experiment_hub.errors import CorruptError, NotAllowedError, UnknownNameError
from experiment_hub.metadata.sessions import upsert
from experiment_hub.metadata.tables import Estimate

Tier = Literal["auto", "ask", "stop"]
SHORTEST_PREFIX = 8
SHOWN_CHARACTERS = 12
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class Quote:
    """Identified by its hash: other work, figures or prices are another quote."""

    request: Request
    rate: dict[str, Any]
    """`usd_per_hour` of one attempt, `currency`, and its `lines`."""
    hash: str
    worst_usd: float
    """Of all attempts, each running until its time-out."""
    attempt_usd: float
    """Of one of them."""


def quote(request: Request, card: RateCard, *, today: date) -> Quote:
    """Raises NotAllowedError where a price is missing, stale or of another currency."""
    lines = list(_lines(request, card, today))
    per_hour = sum(line["quantity"] * line["price"] for line in lines)
    if per_hour <= 0:
        raise NotAllowedError(
            f"launcher {request.launcher} would cost nothing by the rate card, which cannot be true: "
            "say which `gpu` the job needs"
        )
    rate = {"usd_per_hour": per_hour, "currency": "USD", "lines": lines}
    attempt = money.rounded_up(per_hour * request.timeout_s / SECONDS_PER_HOUR)
    worst = money.rounded(attempt * request.attempts)
    return Quote(request, rate, _hash(request.bound(), rate), worst, attempt)


def formula(rate: dict[str, Any], request: dict[str, Any]) -> str:
    """How the worst case comes about, for people: the sum in words."""
    parts = " + ".join(
        f"{line['quantity']:g} {line['item']} x {money.shown(line['price'])}/h" for line in rate["lines"]
    )
    attempts = f" x {request['attempts']} attempts" if request["attempts"] > 1 else ""
    return f"({parts}) x {request['timeout_s'] / SECONDS_PER_HOUR:.4g} h{attempts}"


def tier(limits: CostSettings, usd: float) -> Tier:
    """`auto` runs, `ask` needs an approval, `stop` one with a reason and a verified variant before it."""
    if usd >= limits.stop_from:
        return "stop"
    return "ask" if usd >= limits.ask_from else "auto"


def demand(tier: Tier, limits: CostSettings, hash_: str) -> str:
    """What a tier asks of a person, with the commands."""
    short = hash_[:SHOWN_CHARACTERS]
    if tier == "ask":
        return (
            f"from {money.shown(limits.ask_from)} on a person decides: "
            f"`hub cost approve {short}` or `hub cost deny {short}`"
        )
    return (
        f"from {money.shown(limits.stop_from)} on a person decides and says why, after a small variant has been "
        f"verified: `hub cost approve {short} --reason ...` or `hub cost deny {short}`"
    )


def keep(session: Session, quoted: Quote, *, expected_usd: float, weighed: Tier, at: str) -> None:
    row = {
        "hash": quoted.hash,
        "project": quoted.request.project,
        "request": quoted.request.bound(),
        "rate": quoted.rate,
        "expected_usd": expected_usd,
        "worst_usd": quoted.worst_usd,
        "tier": weighed,
    }
    if session.get(Estimate, quoted.hash) is None:
        row["created_at"] = at
        session.add(Estimate(**row))
    else:
        upsert(session, Estimate, [{**row, "created_at": at}])


def find(session: Session, hash_: str) -> Estimate:
    """By its hash or the beginning of it; raises UnknownNameError, and CorruptError where it was edited."""
    if len(hash_) < SHORTEST_PREFIX:
        raise NotAllowedError(f"estimate {hash_!r}: give at least the first {SHORTEST_PREFIX} characters of its hash")
    found = session.query(Estimate).filter(Estimate.hash.startswith(hash_, autoescape=True)).limit(2).all()
    if len(found) != 1:
        raise UnknownNameError("estimate", hash_, [each.hash[:12] for each in found])
    if _hash(found[0].request, found[0].rate) != found[0].hash:
        raise CorruptError(f"estimate {found[0].hash[:12]} was edited in the database; it cannot be agreed to")
    return found[0]


def _lines(request: Request, card: RateCard, today: date) -> Iterator[dict[str, Any]]:
    """One for each thing that costs; `quantity` is over all nodes."""
    asked = {"cpu": request.cpus, "memory": request.memory_gib, "storage": request.storage_gib}
    if request.gpu and request.gpus:
        asked = {request.gpu: float(request.gpus), **asked}
    for item, quantity in asked.items():
        known = card.rates.get((request.launcher, item))
        billed = max(quantity, known.minimum if known else 0.0)
        if not billed:
            continue
        rate = card.rate(request.launcher, item, today=today)
        if rate.price is not None:
            yield {
                "item": item,
                "quantity": billed * request.nodes,
                "price": rate.price,
                "source": rate.source,
                "as_of": rate.as_of.isoformat(),
            }


def _hash(request: dict[str, Any], rate: dict[str, Any]) -> str:
    # What is expected is not in it: that moves with every job that ends, and nobody agrees to a guess
    return content_hash({"request": request, "rate": rate})
