"""Runs, and what was measured, set and said about them."""

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from experiment_hub.metadata.tables.base import Base


class Run(Base):
    """One training of one configuration with one seed, or one run of somebody's own script."""

    __tablename__ = "runs"
    __table_args__ = (
        Index("runs_by_state", "state"),
        Index("runs_by_project", "project", "created_at"),
        Index("runs_by_job", "job_id"),
        Index("runs_by_time", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    """Name of the experiment."""
    state: Mapped[str]
    """running, finished, failed, nan or killed."""
    error: Mapped[str | None]
    project: Mapped[str] = mapped_column(server_default="default", default="default")
    kind: Mapped[str] = mapped_column(server_default="train", default="train")
    """train (the hub's own loop), script (`hub.start`), evaluation or import."""
    notes: Mapped[str | None]
    parent_id: Mapped[str | None]
    """The run that this one continues, evaluates or was made from."""
    job_id: Mapped[str | None]
    """The job of the queue that it ran in."""
    seed: Mapped[int | None] = mapped_column(BigInteger)
    """None where a script did not say it."""
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
    """With `pid` it tells a process from a later one of the same number: seconds since the machine's start where
    `process_boot` is known, else since the epoch."""
    process_boot: Mapped[str | None]
    """Linux's name for that start of the machine."""
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
    summary: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """Figures and words that a script set for the whole run."""
    inputs: Mapped[list[Any] | None] = mapped_column(JSON)
    """What a script says it read: `name` with `digest` or `run`."""
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


class RunParameter(Base):
    """One leaf of a run's configuration, by dotted key, for filters and columns."""

    __tablename__ = "run_parameters"
    __table_args__ = (
        Index("run_parameters_by_number", "name", "number"),
        Index("run_parameters_by_text", "name", "text"),
    )

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[float | None]
    """The value where it is a number; true and false are 1 and 0."""
    text: Mapped[str]
    """The value as JSON, or as itself where it is text."""


class RunMetric(Base):
    """A summary of one curve; the points themselves are in the run's folder."""

    __tablename__ = "run_metrics"
    __table_args__ = (Index("run_metrics_by_last", "name", "last"),)

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    """As it was logged, for instance `val.accuracy`."""
    last: Mapped[float | None]
    """None for NaN and infinity, which databases do not agree about; `odd` then says which one it is."""
    odd: Mapped[str | None]
    last_step: Mapped[int] = mapped_column(BigInteger)
    minimum: Mapped[float | None]
    maximum: Mapped[float | None]
    """Of the finite points."""
    points: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[int | None]
    """Version of the metric's definition where the metric is a registered one."""


class RunTag(Base):
    __tablename__ = "run_tags"
    __table_args__ = (Index("run_tags_by_tag", "tag"),)

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(primary_key=True)
