"""Tables of the metadata database; `migrations/` creates them, these classes only use them."""

from typing import Any, ClassVar

from sqlalchemy import JSON, Double, ForeignKey, Index
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    type_annotation_map: ClassVar[dict[Any, Any]] = {dict[str, Any]: JSON, list[Any]: JSON, float: Double}


class Run(Base):
    """One training of one configuration with one seed."""

    __tablename__ = "runs"
    __table_args__ = (Index("runs_by_state", "state"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    """Name of the experiment."""
    state: Mapped[str]
    """running, finished, failed, nan or killed."""
    error: Mapped[str | None]
    seed: Mapped[int]
    smoke: Mapped[bool]
    config: Mapped[dict[str, Any]]
    """Resolved: after smoke settings and overrides."""
    overrides: Mapped[dict[str, Any]]
    folder: Mapped[str]
    """Relative to the home, so that a home can be moved."""
    created_at: Mapped[str]
    """UTC, ISO 8601."""
    ended_at: Mapped[str | None]
    seconds: Mapped[float | None]
    """Wall time of all attempts."""
    host: Mapped[str]
    pid: Mapped[int]
    process_started: Mapped[float]
    """Seconds since the epoch; with `pid` it tells a process from a later one of the same number."""
    git_commit: Mapped[str | None]
    git_tree: Mapped[str | None]
    git_dirty: Mapped[bool | None]
    source_hash: Mapped[str | None]
    dataset_hash: Mapped[str | None]
    environment: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    extensions: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """Module and content hash of the plugin, the dataset and each metric."""
    parameters_trainable: Mapped[int | None]
    parameters_total: Mapped[int | None]
    resumes: Mapped[list[Any]]
    """One entry per continuation: when, from which step, with which source."""


class MetricValue(Base):
    """One figure at the end of one epoch."""

    __tablename__ = "metric_values"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    """From 1."""
    split: Mapped[str] = mapped_column(primary_key=True)
    metric: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int]
    """Version of the metric's definition."""
    step: Mapped[int]
    value: Mapped[float]
