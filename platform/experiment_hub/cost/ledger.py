"""The ledger: rows are only ever added, and what is reserved and spent is their sum."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from experiment_hub.configuration.settings import Settings
from experiment_hub.cost import money
from experiment_hub.metadata.clock import seconds
from experiment_hub.metadata.tables import CostEntry
from experiment_hub.times import at

LOCK = 0x5163_C057  # PostgreSQL's advisory locks are known by numbers; this one is ours
HELD = ("reserve", "release")
PAID = ("spend", "adjust")


@dataclass(frozen=True)
class Balance:
    """In US dollars; reservations count until they are settled, whatever day they are from."""

    day: str
    spent_today: float
    spent_project: float
    reserved: float
    reserved_project: float
    day_cap: float
    project_cap: float | None

    @property
    def head_room(self) -> float:
        """What may still be reserved; negative after an overrun, and then nothing may start."""
        rooms = [self.day_cap - self.spent_today - self.reserved]
        if self.project_cap is not None:
            rooms.append(self.project_cap - self.spent_project - self.reserved_project)
        return money.rounded(min(rooms))


def lock(session: Session) -> None:
    """Until the transaction ends nobody else changes the ledger; on SQLite a writing transaction alone does that."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": LOCK})


def clock(session: Session) -> datetime:
    """UTC, by the database's clock where several machines share one."""
    return datetime.fromtimestamp(seconds(session), UTC)


def stamp(session: Session) -> str:
    """The same as rows keep it."""
    return at(seconds(session))


def day(session: Session) -> str:
    """Today, or the ledger's newest day if the clock has gone back: it must not make room under a cap."""
    newest = session.execute(select(func.max(CostEntry.day))).scalar_one()
    return max(clock(session).date().isoformat(), newest or "")


def balance(session: Session, settings: Settings, project: str) -> Balance:
    today = day(session)
    here = CostEntry.project == project
    return Balance(
        day=today,
        spent_today=_sum(session, CostEntry.kind.in_(PAID), CostEntry.day == today),
        spent_project=_sum(session, CostEntry.kind.in_(PAID), here),
        reserved=_sum(session, CostEntry.kind.in_(HELD)),
        reserved_project=_sum(session, CostEntry.kind.in_(HELD), here),
        day_cap=settings.cost.day_cap,
        project_cap=settings.cost.project_cap,
    )


def held(session: Session, job_id: str) -> float:
    """What is reserved for a job and neither spent nor released."""
    return _sum(session, CostEntry.kind.in_(HELD), CostEntry.job_id == job_id)


def fan_out_spent(session: Session, project: str, fan_out: str) -> float:
    return _sum(session, CostEntry.kind.in_(PAID), CostEntry.project == project, CostEntry.fan_out == fan_out)


def entries(session: Session, job_id: str, *, kinds: Sequence[str]) -> list[CostEntry]:
    """Oldest first."""
    query = select(CostEntry).where(CostEntry.job_id == job_id, CostEntry.kind.in_(kinds))
    return list(session.scalars(query.order_by(CostEntry.id)))


def add(session: Session, like: CostEntry, **changes: Any) -> CostEntry:
    """A row about the same job as another one, with today's date; a second of its kind and attempt is refused."""
    about = ("job_id", "attempt", "project", "launcher", "gpu", "fan_out", "estimate_hash")
    values = {"seconds": None, "detail": {}, **{name: getattr(like, name) for name in about}, **changes}
    values["usd"] = money.rounded(values["usd"])
    row = CostEntry(**values, day=day(session), at=stamp(session))
    session.add(row)
    session.flush()
    return row


def _sum(session: Session, *conditions: Any) -> float:
    total = session.execute(select(func.coalesce(func.sum(CostEntry.usd), 0.0)).where(*conditions)).scalar_one()
    return money.rounded(total)
