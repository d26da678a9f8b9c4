"""Paid compute: what was estimated, agreed to, reserved and spent."""

from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from experiment_hub.metadata.tables.base import Base

PAID_KINDS = "kind IN ('spend', 'adjust')"  # whatever else goes wrong, no attempt is paid for twice


class Estimate(Base):
    """What a job may cost at worst; identified by all that it depends on."""

    __tablename__ = "estimates"

    hash: Mapped[str] = mapped_column(primary_key=True)
    """SHA-256 over request and rate: another quote is another hash."""
    project: Mapped[str]
    request: Mapped[dict[str, Any]]
    """All that it depends on besides prices; the fields of `experiment_hub.cost.request.Request` without the job's name."""
    rate: Mapped[dict[str, Any]]
    """`usd_per_hour` of one attempt, and its `lines`: item, quantity, price, source, as_of, currency."""
    expected_usd: Mapped[float]
    """Corrected by how earlier estimates turned out."""
    worst_usd: Mapped[float]
    """Rate x time-out x attempts; what is reserved."""
    tier: Mapped[str]
    """auto, ask or stop."""
    created_at: Mapped[str]


class Approval(Base):
    """A person's word on exactly one estimate, or on stopping one job."""

    __tablename__ = "approvals"
    __table_args__ = (Index("approvals_by_estimate", "estimate_hash"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    """A random part and a digest of all the columns that never change, so that an edited row is noticed."""
    kind: Mapped[str]
    """spend or stop."""
    estimate_hash: Mapped[str | None] = mapped_column(ForeignKey("estimates.hash"))
    job_id: Mapped[str | None]
    answer: Mapped[str]
    """approved or denied."""
    reason: Mapped[str | None]
    actor: Mapped[str]
    at: Mapped[str]
    expires_at: Mapped[str]
    used_by: Mapped[str | None]
    """`JOB#ATTEMPT` that used it up; an approval is good for one reservation or one stop."""


class CostEntry(Base):
    """The ledger; rows are added, never changed."""

    __tablename__ = "cost_entries"
    __table_args__ = (
        Index("cost_entries_by_job", "job_id"),
        Index(
            "cost_entries_once",
            "job_id",
            "attempt",
            "kind",
            unique=True,
            sqlite_where=text(PAID_KINDS),
            postgresql_where=text(PAID_KINDS),
        ),
        Index("cost_entries_by_day", "day", "project"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job_id: Mapped[str]
    attempt: Mapped[int]
    project: Mapped[str]
    kind: Mapped[str]
    """reserve (positive), release (negative), spend (positive), or adjust (either) where the bill came later; the last two once for an attempt."""
    usd: Mapped[float]
    seconds: Mapped[float | None]
    launcher: Mapped[str]
    gpu: Mapped[str | None]
    fan_out: Mapped[str | None]
    estimate_hash: Mapped[str | None]
    day: Mapped[str]
    """UTC date that the entry counts for; never earlier than the newest one in the ledger."""
    at: Mapped[str]
    detail: Mapped[dict[str, Any]]


class FanOut(Base):
    """Variants of one job: all but the first wait until one has been verified."""

    __tablename__ = "fan_outs"

    project: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    launcher: Mapped[str]
    first_job: Mapped[str | None]
    """The variant that goes ahead; None when nobody does."""
    state: Mapped[str]
    """open, verified or failed."""
    why: Mapped[str]
    at: Mapped[str]
