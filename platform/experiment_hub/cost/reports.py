"""Looking back: the ledger's rows, and how estimates compare with what was paid."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, func, select

from experiment_hub.configuration.settings import Settings
from experiment_hub.cost import ledger, money
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.tables import CostEntry

COLUMNS = (
    "id",
    "at",
    "day",
    "job_id",
    "attempt",
    "kind",
    "usd",
    "seconds",
    "launcher",
    "gpu",
    "fan_out",
    "estimate_hash",
)


@dataclass
class Account:
    """What jobs of one launcher and GPU were thought to cost, and did."""

    launcher: str
    gpu: str | None
    jobs: int = 0
    """With closed accounts; the others are not over yet."""
    reserved_usd: float = 0.0
    paid_usd: float = 0.0
    overruns: int = 0
    unknown_bills: int = 0

    @property
    def share(self) -> float | None:
        """Paid of reserved: what corrects the next estimate."""
        return self.paid_usd / self.reserved_usd if self.reserved_usd else None


def rows(engine: Engine, *, job_id: str | None = None, day: str | None = None) -> list[dict[str, Any]]:
    """The ledger, oldest first."""
    query = select(CostEntry).order_by(CostEntry.id)
    if job_id:
        query = query.where(CostEntry.job_id == job_id)
    if day:
        query = query.where(CostEntry.day == day)
    with reading(engine) as session:
        return [
            {**{name: getattr(row, name) for name in COLUMNS}, "detail": row.detail} for row in session.scalars(query)
        ]


def accounts(engine: Engine) -> list[Account]:
    """One for each launcher and GPU, over jobs that are settled."""
    still_open = open_jobs(engine)
    with reading(engine) as session:
        found: dict[tuple[str, str], Account] = {}
        jobs: dict[tuple[str, str], set[str]] = {}
        for row in session.scalars(select(CostEntry).order_by(CostEntry.id)):
            if row.job_id not in still_open:
                key = (row.launcher, row.gpu or "")
                jobs.setdefault(key, set()).add(row.job_id)
                _book(found.setdefault(key, Account(row.launcher, row.gpu)), row)
    for key, account in found.items():
        account.jobs = len(jobs[key])
    return [found[key] for key in sorted(found)]


def balance(engine: Engine, settings: Settings) -> ledger.Balance:
    with reading(engine) as session:
        return ledger.balance(session, settings, settings.project)


def open_jobs(engine: Engine) -> dict[str, float]:
    """Jobs that money is held for, with the amount."""
    held = func.sum(CostEntry.usd)
    query = select(CostEntry.job_id, held).where(CostEntry.kind.in_(ledger.HELD)).group_by(CostEntry.job_id)
    with reading(engine) as session:
        return {job: money.rounded(usd) for job, usd in session.execute(query) if money.rounded(usd)}


def _book(account: Account, row: CostEntry) -> None:
    if row.kind == "reserve":
        account.reserved_usd = money.rounded(account.reserved_usd + row.usd)
    elif row.kind in ledger.PAID:
        account.paid_usd = money.rounded(account.paid_usd + row.usd)
        account.overruns += bool(row.detail.get("overrun_usd"))
        account.unknown_bills += bool(row.detail.get("unknown_bill"))
