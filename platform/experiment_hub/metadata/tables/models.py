"""The model registry."""

from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from experiment_hub.metadata.tables.base import Base


class RegisteredModel(Base):
    __tablename__ = "registered_models"

    name: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str]
    created_at: Mapped[str]


class ModelVersion(Base):
    __tablename__ = "model_versions"
    __table_args__ = (
        Index("model_versions_by_digest", "digest"),
        Index(
            "one_version_in_production",
            "model",
            unique=True,
            sqlite_where=text("stage = 'production'"),
            postgresql_where=text("stage = 'production'"),
        ),
    )

    model: Mapped[str] = mapped_column(ForeignKey("registered_models.name"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    """From 1, without gaps."""
    digest: Mapped[str] = mapped_column(ForeignKey("artifacts.digest"))
    """What was evaluated is what is promoted: both go by this digest."""
    stage: Mapped[str]
    """none, staging, production or archived."""
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id"))
    dataset_hash: Mapped[str | None]
    git_commit: Mapped[str | None]
    notes: Mapped[str | None]
    facts: Mapped[dict[str, Any]]
    created_at: Mapped[str]


class ModelAlias(Base):
    """A name that moves, for instance `champion`."""

    __tablename__ = "model_aliases"

    model: Mapped[str] = mapped_column(ForeignKey("registered_models.name"), primary_key=True)
    alias: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int]
    moved_at: Mapped[str]


class ModelEvent(Base):
    """Every change of a stage or an alias, so that one command can take it back."""

    __tablename__ = "model_events"
    __table_args__ = (Index("model_events_by_model", "model"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    model: Mapped[str] = mapped_column(ForeignKey("registered_models.name"))
    kind: Mapped[str]
    """registered, promoted, alias, archived or rolled_back."""
    subject: Mapped[str]
    """The stage or alias that moved; an alias with `@` before it."""
    before: Mapped[int | None]
    after: Mapped[int | None]
    """Versions that the subject meant."""
    moves: Mapped[list[Any]]
    """Every version whose stage changed: `[version, stage before, stage after]`."""
    undone_by: Mapped[int | None]
    """The event that took this one back."""
    evaluation_id: Mapped[str | None]
    reason: Mapped[str | None]
    actor: Mapped[str]
    at: Mapped[str]
