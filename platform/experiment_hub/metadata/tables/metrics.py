"""Definitions of metrics, every version that ever counted."""

from sqlalchemy.orm import Mapped, mapped_column

from experiment_hub.metadata.tables.base import Base


class MetricVersion(Base):
    """One version of one metric's definition; rows are added, never changed."""

    __tablename__ = "metric_versions"

    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    unit: Mapped[str]
    direction: Mapped[str]
    """min or max: which values are better."""
    formula: Mapped[str]
    aggregation: Mapped[str]
    """How the figures of several seeds or groups become one."""
    source: Mapped[str]
    definition_hash: Mapped[str]
    """SHA-256 over all fields above."""
    code_hash: Mapped[str | None]
    """SHA-256 of the module that computed it when it was first used."""
    added_at: Mapped[str]
