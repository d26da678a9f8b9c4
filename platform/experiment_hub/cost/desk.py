"""Where the queue asks for money; the only door that launching jobs goes through.

The order for a job of a paid launcher: `admit` when it is submitted (and again while it waits), `hold_back` and
`reserve` before a start, `note_health` and `runaway` while it runs, `may_stop` before it is stopped, `settle` after
every attempt, `note_end` after the last. Every one may be called again after a crash; nothing is paid twice.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from experiment_hub.configuration.settings import Settings, settings
from experiment_hub.cost import approvals, estimates, ledger, money, variants
from experiment_hub.cost.estimates import Quote, Tier
from experiment_hub.cost.history import expected
from experiment_hub.cost.rates import RateCard, load_card
from experiment_hub.cost.request import Request, request_for
from experiment_hub.cost.settlement import release, settle
from experiment_hub.cost.stops import may_stop, runaway
from experiment_hub.cost.variants import hold_back, note_end, note_health
from experiment_hub.cost.weighing import weight
from experiment_hub.errors import ConflictError, CorruptError, NotAllowedError, WaitsForPersonError
from experiment_hub.metadata.sessions import reading, writing
from experiment_hub.metadata.tables import Approval, CostEntry

__all__ = [
    "Admission",
    "Request",
    "Reservation",
    "Terms",
    "admit",
    "hold_back",
    "may_stop",
    "note_end",
    "note_health",
    "release",
    "request_for",
    "reserve",
    "runaway",
    "settle",
    "terms",
]


@dataclass(frozen=True)
class Terms:
    """What holds right now; read again for each decision, because prices and limits change."""

    settings: Settings
    card: RateCard


@dataclass(frozen=True)
class Admission:
    state: Literal["go", "waits", "refused"]
    """go: queue it; waits: ask again later, a person or tomorrow may change it; refused: not with this content."""
    estimate_hash: str
    """Empty where no price could be found."""
    reason: str
    """A sentence for people; empty for go."""
    worst_usd: float = 0.0
    tier: Tier = "auto"


@dataclass(frozen=True)
class Reservation:
    job_id: str
    attempt: int
    estimate_hash: str
    usd: float
    """What is held for the job now."""
    fresh: bool
    """False where an earlier call or attempt had reserved it already."""


def terms(home: Path) -> Terms:
    """Raises ConfigurationError where hub.yaml or a rate card is wrong."""
    limits = settings(home)
    return Terms(limits, load_card(home, limits.cost))


def admit(engine: Engine, now: Terms, request: Request) -> Admission:
    """Whether a job may be queued; changes nothing but the record of its estimate."""
    try:
        quoted = _quote(engine, now, request)
    except NotAllowedError as error:
        return Admission("refused", "", str(error))
    with reading(engine) as session:
        if ledger.held(session, request.job_id) > 0:
            return Admission("go", quoted.hash, "", quoted.worst_usd)
        word = approvals.standing(session, kind="spend", estimate_hash=quoted.hash)
        tier = estimates.tier(now.settings.cost, weight(session, request, quoted.worst_usd))
        denied = _denial(word)
        reason = denied or _missing(session, now, quoted, tier, word) or _no_room(session, now, quoted)
    state: Literal["go", "waits", "refused"] = "refused" if denied else "waits" if reason else "go"
    return Admission(state, quoted.hash, reason, quoted.worst_usd, tier)


def reserve(engine: Engine, now: Terms, request: Request, *, attempt: int) -> Reservation:
    """Hold the worst case of all attempts that are left; the sum is checked in the transaction that adds to it.

    Raises WaitsForPersonError where an approval is missing, NotAllowedError where a cap or a denial says no, and
    ConflictError where this attempt has been settled already.
    """
    quoted = _quote(engine, now, request)
    with writing(engine, durable=True) as session:
        ledger.lock(session)
        if attempt in {row.attempt for row in ledger.entries(session, request.job_id, kinds=("spend",))}:
            raise ConflictError(f"attempt {attempt} of job {request.job_id} has been paid for already")
        held = ledger.held(session, request.job_id)
        if held > 0:
            return Reservation(request.job_id, attempt, quoted.hash, held, fresh=False)
        approval = _approved(session, now, quoted, attempt)
        room = _no_room(session, now, quoted)
        if room:
            raise NotAllowedError(room)
        ledger.add(
            session,
            _first_entry(quoted, attempt),
            kind="reserve",
            usd=quoted.worst_usd,
            detail=_detail(quoted, approval),
        )
        return Reservation(request.job_id, attempt, quoted.hash, quoted.worst_usd, fresh=True)


def _quote(engine: Engine, now: Terms, request: Request) -> Quote:
    """The estimate by today's prices, on record so that somebody can agree to it."""
    with writing(engine) as session:
        ledger.lock(session)  # or else two who ask for the same at once would both add its row
        quoted = estimates.quote(request, now.card, today=ledger.clock(session).date())
        weighed = estimates.tier(now.settings.cost, weight(session, request, quoted.worst_usd))
        at = ledger.stamp(session)
        estimates.keep(session, quoted, expected_usd=expected(session, quoted), weighed=weighed, at=at)
    return quoted


def _approved(session: Session, now: Terms, quoted: Quote, attempt: int) -> Approval | None:
    """The approval that was used up by this; None where the tier needs none."""
    word = approvals.standing(session, kind="spend", estimate_hash=quoted.hash)
    if denied := _denial(word):
        raise NotAllowedError(denied)
    tier = estimates.tier(now.settings.cost, weight(session, quoted.request, quoted.worst_usd))
    if missing := _missing(session, now, quoted, tier, word):
        raise WaitsForPersonError(missing)
    if tier == "auto" or word is None:
        return None
    _never_used(session, word)
    approvals.use(session, word, by=f"{quoted.request.job_id}#{attempt}")
    return word


def _missing(session: Session, now: Terms, quoted: Quote, tier: Tier, word: Approval | None) -> str:
    """What a person still has to say; empty when nothing."""
    if tier == "auto":
        return ""
    demand = estimates.demand(tier, now.settings.cost, quoted.hash)
    cost = f"costs up to {money.shown(quoted.worst_usd)} ({estimates.formula(quoted.rate, quoted.request.bound())})"
    if word is None or (tier == "stop" and not word.reason):
        return f"{cost}; {demand}"
    if tier == "stop" and not variants.verified(session, quoted.request):
        return f"{cost}; {variants.none_verified(quoted.request)}"
    return ""


def _denial(word: Approval | None) -> str:
    if word is None or word.answer != "denied":
        return ""
    return f"denied by {word.actor}" + (f": {word.reason}" if word.reason else "")


def _no_room(session: Session, now: Terms, quoted: Quote) -> str:
    stand = ledger.balance(session, now.settings, quoted.request.project)
    if quoted.worst_usd <= stand.head_room:
        return ""
    project = (
        ""
        if stand.project_cap is None
        else (
            f"; project cap {money.shown(stand.project_cap)}, spent {money.shown(stand.spent_project)}, "
            f"reserved {money.shown(stand.reserved_project)}"
        )
    )
    return (
        f"costs up to {money.shown(quoted.worst_usd)}, but there is room for {money.shown(stand.head_room)}: day cap "
        f"{money.shown(stand.day_cap)}, spent today {money.shown(stand.spent_today)}, reserved "
        f"{money.shown(stand.reserved)}{project} (`cost` in hub.yaml)"
    )


def _never_used(session: Session, word: Approval) -> None:
    """The ledger remembers which approvals were used, whatever their own rows say."""
    rows = session.query(CostEntry).filter_by(estimate_hash=word.estimate_hash, kind="reserve")
    if word.id in {row.detail.get("approval") for row in rows}:
        raise CorruptError(f"approval {word.id[:12]} was used before; its row was edited and counts for nothing")


def _first_entry(quoted: Quote, attempt: int) -> CostEntry:
    asked = quoted.request
    return CostEntry(
        job_id=asked.job_id,
        attempt=attempt,
        project=asked.project,
        launcher=asked.launcher,
        gpu=asked.gpu,
        fan_out=asked.fan_out,
        estimate_hash=quoted.hash,
    )


def _detail(quoted: Quote, approval: Approval | None) -> dict[str, object]:
    return {
        "usd_per_hour": quoted.rate["usd_per_hour"],
        "attempt_usd": quoted.attempt_usd,
        "timeout_s": quoted.request.timeout_s,
        "approval": approval.id if approval else None,
    }
