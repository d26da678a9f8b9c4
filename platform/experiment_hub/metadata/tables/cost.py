"""Paid compute: what was estimated, agreed to, reserved and spent."""

from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from experiment_hub.metadata.tables.base import Base


class Estimate(Base):
    """What a job may cost at worst; identified by all that it depends on."""

    __tablename__ = "estimates"

    hash: Mapped[str] = mapped_column(primary_key=True)
    """SHA-256 over request and rate: another quote is another hash."""
    project: Mapped[str]
    request: Mapped[dict[str, Any]]
    """`launcher`, `gpu`, `count`, `hours`, `retries`, `variants`."""
    rate: Mapped[dict[str, Any]]
    """`usd_per_hour`, `source`, `as_of`, `currency`."""
    expected_usd: Mapped[float]
    """Corrected by how earlier estimates turned out."""
    worst_usd: Mapped[float]
    """GPUs x time-out x rate x attempts; what is reserved."""
    tier: Mapped[str]
    """auto, ask or stop."""
    created_at: Mapped[str]


class Approval(Base):
    """A person's word on exactly one estimate, or on stopping one job."""

    __tablename__ = "approvals"
    __table_args__ = (Index("approvals_by_estimate", "estimate_hash"),)

    id: Mapped[str] = mapped_column(primary_key=True)
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
    """The job that used it up; an approval is good for one."""


class CostEntry(Base):
    """The ledger; rows are added, never changed."""

    __tablename__ = "cost_entries"
    __table_args__ = (Index("cost_entries_by_job", "job_id"), Index("cost_entries_by_day", "project", "day"))

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job_id: Mapped[str]
    attempt: Mapped[int]
    project: Mapped[str]
    kind: Mapped[str]
    """reserve (positive), release (negative) or spend (positive)."""
    usd: Mapped[float]
    seconds: Mapped[float | None]
    launcher: Mapped[str]
    gpu: Mapped[str | None]
    estimate_hash: Mapped[str | None]
    day: Mapped[str]
    """UTC date that the entry counts for."""
    at: Mapped[str]
    detail: Mapped[dict[str, Any]]
