"""How much is at stake with one job: its own worst case, or that of its whole fan-out."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from experiment_hub.cost import money, variants
from experiment_hub.cost.ledger import fan_out_spent
from experiment_hub.cost.request import Request
from experiment_hub.metadata.tables import Estimate, Job

ENDED = ("finished", "failed", "cancelled")


def weight(session: Session, asked: Request, worst_usd: float) -> float:
    """Many small variants are one large expense; while only the first of them may run, it counts alone."""
    if asked.fan_out is None or not variants.verified(session, asked):
        return worst_usd
    others = (
        select(func.coalesce(func.sum(Estimate.worst_usd), 0.0))
        .join(Job, Job.estimate_hash == Estimate.hash)
        .where(
            Job.project == asked.project,
            Job.fan_out == asked.fan_out,
            Job.state.not_in(ENDED),
            Job.id != asked.job_id,
        )
    )
    planned = session.execute(others).scalar_one()
    return money.rounded(worst_usd + planned + fan_out_spent(session, asked.project, asked.fan_out))
