"""Artifacts by content, and who needs them."""

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from experiment_hub.metadata.tables.base import Base


class Artifact(Base):
    """One piece of content in the artifact store."""

    __tablename__ = "artifacts"
    __table_args__ = (Index("artifacts_by_state", "state"),)

    digest: Mapped[str] = mapped_column(primary_key=True)
    """`sha256:` and 64 hexadecimal digits."""
    size: Mapped[int] = mapped_column(BigInteger)
    """Bytes; of a folder, the sum of its files."""
    kind: Mapped[str]
    """file, or folder: a manifest of files."""
    state: Mapped[str]
    """present, or condemned: marked by a first collection, removed by a later one unless it was needed again."""
    created_at: Mapped[str]
    condemned_at: Mapped[str | None]
    facts: Mapped[dict[str, Any]]


class ArtifactLink(Base):
    """Somebody's name for an artifact; what nobody names may be collected."""

    __tablename__ = "artifact_links"
    __table_args__ = (Index("artifact_links_by_digest", "digest"),)

    owner_kind: Mapped[str] = mapped_column(primary_key=True)
    """run, model, baseline, dataset, evaluation or job."""
    owner: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(ForeignKey("artifacts.digest"))
    role: Mapped[str]
    """checkpoint, model, curves, log, plot, input or output."""
    keep: Mapped[str]
    """forever, or transient: retention may drop the link."""
    created_at: Mapped[str]
