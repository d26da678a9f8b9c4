"""Artifacts by content, and who needs them."""

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
    """arriving (may be incomplete), present, condemned (by a first collection, unless needed again) or removed."""
    removals: Mapped[int]
    """How often it was removed; tells a writer that a collection came between."""
    created_at: Mapped[str]
    touched_at: Mapped[str]
    """When somebody stored or named it last; what is young stays."""
    condemned_at: Mapped[str | None]


class ArtifactPart(Base):
    """One content that a folder is made of."""

    __tablename__ = "artifact_parts"
    __table_args__ = (Index("artifact_parts_by_digest", "digest"),)

    folder: Mapped[str] = mapped_column(ForeignKey("artifacts.digest"), primary_key=True)
    digest: Mapped[str] = mapped_column(ForeignKey("artifacts.digest"), primary_key=True)


class ArtifactOwner(Base):
    """One row: what this database writes into a store to call it its own, because a store can have one collector only."""

    __tablename__ = "artifact_owner"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    token: Mapped[str]


class ArtifactLink(Base):
    """Somebody's name for an artifact; what nobody names may be collected."""

    __tablename__ = "artifact_links"
    __table_args__ = (Index("artifact_links_by_digest", "digest"),)

    owner_kind: Mapped[str] = mapped_column(primary_key=True)
    """run, model, baseline, dataset, evaluation, job or user."""
    owner: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(ForeignKey("artifacts.digest"))
    role: Mapped[str]
    """checkpoint, model, curves, log, plot, input or output."""
    keep: Mapped[str]
    """forever, or transient: retention may drop the link."""
    created_at: Mapped[str]
