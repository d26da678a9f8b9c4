"""What a person does with an estimate: look at it, approve it, deny it."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from experiment_hub.cost import approvals, estimates, money, variants
from experiment_hub.cost.approvals import Word
from experiment_hub.cost.desk import Terms
from experiment_hub.cost.ledger import clock
from experiment_hub.cost.request import Request
from experiment_hub.errors import ConflictError, NotAllowedError, WaitsForPersonError
from experiment_hub.metadata.sessions import reading, writing
from experiment_hub.metadata.tables import Approval, Estimate, Job


@dataclass(frozen=True)
class Waiting:
    """A job that waits for a person's word on its estimate."""

    job_id: str
    name: str
    fan_out: str | None
    estimate_hash: str
    worst_usd: float
    expected_usd: float
    tier: str
    formula: str
    reason: str | None
    since: str


def approve(engine: Engine, now: Terms, hash_: str, word: Word) -> Estimate:
    """Good for one reservation of exactly this; raises what is missing, and ConflictError where nothing has to be agreed to."""
    with writing(engine, durable=True) as session:
        estimate = estimates.find(session, hash_)
        request = Request(job_id="", **estimate.request)
        _same_price(session, now, estimate, request)
        if estimate.tier == "auto":
            raise ConflictError(f"estimate {estimate.hash[:12]} needs no approval: {money.shown(estimate.worst_usd)}")
        if estimate.tier == "stop":
            _check_large(session, estimate, request, word)
        _withdraw_denials(session, estimate)
        approvals.record(session, word, kind="spend", estimate_hash=estimate.hash)
    return estimate


def deny(engine: Engine, hash_: str, word: Word) -> Estimate:
    """Holds until it expires or the same estimate is approved after all."""
    with writing(engine, durable=True) as session:
        estimate = estimates.find(session, hash_)
        approvals.record(session, word, kind="spend", estimate_hash=estimate.hash)
    return estimate


def waiting(engine: Engine) -> list[Waiting]:
    """Jobs whose estimate no person has agreed to yet, oldest first."""
    query = (
        select(Job, Estimate)
        .join(Estimate, Job.estimate_hash == Estimate.hash)
        .where(Job.state == "waiting", Estimate.tier != "auto")
        .order_by(Job.created_at, Job.number)
    )
    with reading(engine) as session:
        found = [(job, estimate) for job, estimate in session.execute(query)]
        return [_waiting(job, estimate) for job, estimate in found if not _approved(session, estimate)]


def waiting_in(engine: Engine, fan_out: str) -> list[str]:
    """Hashes of the estimates that wait in one fan-out."""
    return [each.estimate_hash for each in waiting(engine) if each.fan_out == fan_out]


def card(estimate: Estimate) -> dict[str, Any]:
    """Everything that a person agrees to."""
    return {
        "hash": estimate.hash,
        "worst_usd": estimate.worst_usd,
        "expected_usd": estimate.expected_usd,
        "tier": estimate.tier,
        "formula": estimates.formula(estimate.rate, estimate.request),
        "request": estimate.request,
        "rate": estimate.rate,
    }


def _same_price(session: Session, now: Terms, estimate: Estimate, request: Request) -> None:
    again = estimates.quote(request, now.card, today=clock(session).date())
    if again.hash != estimate.hash:
        raise ConflictError(
            f"prices have changed since estimate {estimate.hash[:12]}; the same would now cost up to "
            f"{money.shown(again.worst_usd)} and is another estimate: `hub cost waiting` shows it as soon as it was asked for"
        )


def _check_large(session: Session, estimate: Estimate, request: Request, word: Word) -> None:
    amount = money.shown(estimate.worst_usd)
    if not (word.reason or "").strip():
        raise NotAllowedError(f"estimate {estimate.hash[:12]} ({amount}) needs a reason: --reason TEXT")
    if not variants.verified(session, request):
        raise WaitsForPersonError(f"estimate {estimate.hash[:12]} ({amount}): {variants.none_verified(request)}")


def _withdraw_denials(session: Session, estimate: Estimate) -> None:
    """Or else an old denial would count again once the approval is used up."""
    open_ones = (Approval.estimate_hash == estimate.hash, Approval.answer == "denied", Approval.used_by.is_(None))
    session.execute(update(Approval).where(*open_ones).values(used_by="withdrawn"))


def _approved(session: Session, estimate: Estimate) -> bool:
    word = approvals.standing(session, kind="spend", estimate_hash=estimate.hash)
    return word is not None and word.answer == "approved"


def _waiting(job: Job, estimate: Estimate) -> Waiting:
    return Waiting(
        job_id=job.id,
        name=job.name,
        fan_out=job.fan_out,
        estimate_hash=estimate.hash,
        worst_usd=estimate.worst_usd,
        expected_usd=estimate.expected_usd,
        tier=estimate.tier,
        formula=estimates.formula(estimate.rate, estimate.request),
        reason=job.reason,
        since=job.created_at,
    )
