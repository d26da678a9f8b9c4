"""Dataset manifests."""

from typing import Any

from sqlalchemy import BigInteger, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from experiment_hub.metadata.tables.base import Base


class DatasetVersion(Base):
    """One registered state of one dataset; rows are added, never changed."""

    __tablename__ = "dataset_versions"
    __table_args__ = (
        UniqueConstraint("name", "version"),
        Index("dataset_versions_by_name", "name"),
        Index("dataset_versions_by_fingerprint", "fingerprint"),
    )

    hash: Mapped[str] = mapped_column(primary_key=True)
    """SHA-256 over the manifest's canonical form."""
    name: Mapped[str]
    version: Mapped[int]
    fingerprint: Mapped[str]
    """SHA-256 over the samples themselves: what a run records as its `dataset_hash`."""
    samples: Mapped[int] = mapped_column(BigInteger)
    manifest: Mapped[dict[str, Any]]
    """Content hashes, counts, class balance, lineage, and what decides the splits; never samples."""
    parent_hash: Mapped[str | None]
    """The state it was made from."""
    created_at: Mapped[str]


class HoldoutUse(Base):
    """One look at a split that may be looked at a counted number of times."""

    __tablename__ = "holdout_uses"
    __table_args__ = (Index("holdout_uses_by_split", "dataset_hash", "split"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    dataset_hash: Mapped[str]
    split: Mapped[str]
    split_hash: Mapped[str]
    """SHA-256 over the split's samples: other data around them does not make it another split."""
    evaluation_id: Mapped[str | None]
    actor: Mapped[str]
    reason: Mapped[str]
    at: Mapped[str]
