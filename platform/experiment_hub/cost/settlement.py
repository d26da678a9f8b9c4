"""After an attempt: what it really cost is booked, what was held for it is let go."""

import math
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from experiment_hub.cost import ledger, money
from experiment_hub.cost.estimates import SECONDS_PER_HOUR
from experiment_hub.cost.stops import forget_permissions
from experiment_hub.errors import ConflictError, NotAllowedError
from experiment_hub.metadata.sessions import writing
from experiment_hub.metadata.tables import CostEntry


@dataclass(frozen=True)
class Settlement:
    usd: float
    """What the attempt cost."""
    held: float
    """What is still reserved for the job's further attempts."""
    overrun: float
    """By how much it cost more than one attempt should at worst."""
    fresh: bool
    """False where it had been settled before; then nothing was booked."""


def settle(
    engine: Engine,
    job_id: str,
    *,
    attempt: int,
    billed_seconds: float | None,
    usd: float | None = None,
    last: bool = True,
) -> Settlement:
    """Book one attempt, once; `last` lets go of everything that is held for the job.

    Without a bill (`billed_seconds` and `usd` both None) the whole worst case of the attempt counts as spent until
    `correct` learns better. Raises ConflictError where nothing was reserved for the job.
    """
    for name, figure in (("billed_seconds", billed_seconds), ("usd", usd)):
        if figure is not None and not (math.isfinite(figure) and figure >= 0):
            raise NotAllowedError(f"job {job_id}: {name}: expected a number from 0 on, got {figure!r}")
    with writing(engine, durable=True) as session:
        ledger.lock(session)
        base = _reservation(session, job_id)
        limit = float(base.detail["attempt_usd"])
        done = [row for row in ledger.entries(session, job_id, kinds=("spend",)) if row.attempt == attempt]
        if done:
            return Settlement(done[0].usd, ledger.held(session, job_id), _over(done[0].usd, limit), fresh=False)
        cost = _cost(base, billed_seconds, usd)
        detail = {"unknown_bill": billed_seconds is None and usd is None, "overrun_usd": _over(cost, limit)}
        ledger.add(session, base, attempt=attempt, kind="spend", usd=cost, seconds=billed_seconds, detail=detail)
        _let_go(session, base, attempt, "settled", limit=None if last else limit)
        forget_permissions(session, base, attempt)
        return Settlement(cost, ledger.held(session, job_id), _over(cost, limit), fresh=True)


def release(engine: Engine, job_id: str, *, attempt: int, why: str) -> float:
    """Let go of all that is held for a job that will not be started any more, or not now; gives the amount."""
    with writing(engine, durable=True) as session:
        ledger.lock(session)
        held = ledger.held(session, job_id)
        if held > 0:
            _let_go(session, _reservation(session, job_id), attempt, why, limit=None)
        return held


def correct(engine: Engine, job_id: str, *, attempt: int, billed_seconds: float) -> float:
    """The bill came later: book the difference to what was settled, once for an attempt; gives it."""
    with writing(engine, durable=True) as session:
        ledger.lock(session)
        rows = [row for row in ledger.entries(session, job_id, kinds=ledger.PAID) if row.attempt == attempt]
        base = _reservation(session, job_id)
        difference = money.rounded(_cost(base, billed_seconds, None) - sum(row.usd for row in rows))
        if not rows or len(rows) > 1 or not difference:
            return 0.0
        ledger.add(
            session,
            base,
            attempt=attempt,
            kind="adjust",
            usd=difference,
            seconds=billed_seconds,
            detail={"why": "bill"},
        )
        return difference


def _reservation(session: Session, job_id: str) -> CostEntry:
    """The newest one: a job that a person starts again has another."""
    rows = ledger.entries(session, job_id, kinds=("reserve",))
    if not rows:
        raise ConflictError(f"nothing was ever reserved for job {job_id}; there is nothing to settle")
    return rows[-1]


def _cost(base: CostEntry, billed_seconds: float | None, usd: float | None) -> float:
    if usd is not None:
        return money.rounded(usd)
    if billed_seconds is None:
        return float(base.detail["attempt_usd"])
    return money.rounded(base.detail["usd_per_hour"] * billed_seconds / SECONDS_PER_HOUR)


def _let_go(session: Session, base: CostEntry, attempt: int, why: str, *, limit: float | None) -> None:
    """Everything that is held, or at most `limit` of it."""
    held = ledger.held(session, base.job_id)
    amount = held if limit is None else min(held, limit)
    detail: dict[str, Any] = {"why": why}
    if amount > 0:
        ledger.add(session, base, attempt=attempt, kind="release", usd=-amount, detail=detail)


def _over(usd: float, limit: float) -> float:
    return max(0.0, money.rounded(usd - limit))
