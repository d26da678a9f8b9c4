"""How earlier estimates turned out, and what follows for the next one."""

from collections.abc import Sequence
from statistics import median

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from experiment_hub.cost import money
from experiment_hub.cost.estimates import Quote
from experiment_hub.cost.ledger import HELD, PAID
from experiment_hub.metadata.tables import CostEntry

FEWEST_JOBS = 3  # fewer say nothing yet
NEWEST_JOBS = 20


def expected(session: Session, quoted: Quote) -> float:
    """The worst case times what such jobs used of theirs, by the median of the newest; never above the worst case."""
    shares = used_shares(session, quoted.request.launcher, quoted.request.gpu)
    share = median(shares) if len(shares) >= FEWEST_JOBS else 1.0
    return money.rounded(quoted.worst_usd * min(share, 1.0))


def used_shares(session: Session, launcher: str, gpu: str | None) -> Sequence[float]:
    """Paid / reserved of the newest jobs whose accounts are closed."""
    total = func.sum(CostEntry.usd)
    here = (CostEntry.launcher == launcher, CostEntry.gpu == gpu if gpu else CostEntry.gpu.is_(None))
    closed = (
        select(CostEntry.job_id)
        .where(*here, CostEntry.kind.in_(HELD))
        .group_by(CostEntry.job_id)
        .having(func.round(total * 1000) == 0)
    )
    newest = closed.order_by(func.max(CostEntry.id).desc()).limit(NEWEST_JOBS).subquery()
    sums = (
        select(CostEntry.job_id, CostEntry.kind, total)
        .where(CostEntry.job_id.in_(select(newest.c.job_id)))
        .group_by(CostEntry.job_id, CostEntry.kind)
    )
    by_job: dict[str, dict[str, float]] = {}
    for job_id, kind, usd in session.execute(sums):
        by_job.setdefault(job_id, {})[kind] = usd
    return [sum(each.get(kind, 0.0) for kind in PAID) / each["reserve"] for each in by_job.values()]
