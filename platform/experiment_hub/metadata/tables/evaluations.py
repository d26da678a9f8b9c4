"""Evaluations that the hub itself made."""

from typing import Any

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from experiment_hub.metadata.tables.base import Base


class Evaluation(Base):
    """Figures of one artifact on one frozen split; rows are added, never changed."""

    __tablename__ = "evaluations"
    __table_args__ = (Index("evaluations_by_digest", "digest"), Index("evaluations_by_run", "run_id"))

    id: Mapped[str] = mapped_column(primary_key=True)
    """`e-` and the start of the SHA-256 over everything that was measured."""
    digest: Mapped[str]
    """Of the artifact that was evaluated."""
    run_id: Mapped[str | None]
    dataset: Mapped[str]
    dataset_hash: Mapped[str]
    split: Mapped[str]
    split_hash: Mapped[str]
    samples: Mapped[int] = mapped_column(BigInteger)
    metrics: Mapped[dict[str, Any]]
    """`{name: {"value", "version", "low", "high"}}`."""
    details: Mapped[dict[str, Any]]
    """Confusion, calibration, slices; plain data."""
    outputs_hash: Mapped[str]
    """SHA-256 of the outputs; evaluation is run twice and must agree."""
    source_hash: Mapped[str | None]
    created_at: Mapped[str]
