"""Looking at what is stored: who needs it, and whether it still is what was stored."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select

from experiment_hub.artifacts.catalog import Catalog
from experiment_hub.artifacts.claims import REASONS, claims
from experiment_hub.artifacts.ledger import PRESENT
from experiment_hub.configuration.settings import settings
from experiment_hub.errors import CorruptError
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.tables import Artifact, ArtifactLink, ArtifactPart, ModelVersion
from experiment_hub.times import later


@dataclass(frozen=True)
class Damage:
    digest: str
    problem: str
    users: list[str]


def users(catalog: Catalog, digest: str) -> list[str]:
    """Who names this content, or a folder that it is part of, as sentences."""
    folders = select(ArtifactPart.folder).where(ArtifactPart.digest == digest)
    links = select(ArtifactLink).where(or_(ArtifactLink.digest == digest, ArtifactLink.digest.in_(folders)))
    versions = select(ModelVersion).where(or_(ModelVersion.digest == digest, ModelVersion.digest.in_(folders)))
    with reading(catalog.engine) as session:
        models = [
            f"registered model {row.model!r} version {row.version}, stage {row.stage}"
            for row in session.scalars(versions.order_by(ModelVersion.model, ModelVersion.version))
        ]
        named = [
            f"{row.owner_kind} {row.owner!r} names it {row.name!r} ({row.role}, kept {row.keep}, since {row.created_at})"
            for row in session.scalars(links.order_by(ArtifactLink.created_at))
            if row.owner_kind != "model"
        ]
    return models + named


def why(catalog: Catalog, digest: str) -> dict[str, Any]:
    """Everything that decides whether this content stays."""
    record = catalog.record(digest)
    strongest = claims()
    with reading(catalog.engine) as session:
        row = session.get_one(Artifact, record.digest)
        rank = session.scalar(select(strongest.c.rank).where(strongest.c.digest == record.digest))
    grace = settings(catalog.home).retention.grace_hours
    return {
        "digest": row.digest,
        "size": row.size,
        "kind": row.kind,
        "state": row.state,
        "reason": None if rank is None else REASONS[rank],
        "users": users(catalog, record.digest),
        "stored_at": row.created_at,
        "touched_at": row.touched_at,
        "condemned_at": row.condemned_at,
        "removed_from": None if row.condemned_at is None else later(row.condemned_at, hours=grace),
    }


def damages(catalog: Catalog, digest: str | None = None) -> Iterator[Damage]:
    """Read everything that is stored, or one artifact with its parts; damaged and missing content with its users."""
    for each in _all(catalog) if digest is None else _parts(catalog, digest):
        try:
            catalog.content.check(each)
        except CorruptError as error:
            if _present(catalog, each):  # a collection may have removed it meanwhile
                yield Damage(each, str(error), users(catalog, each))


def _present(catalog: Catalog, digest: str) -> bool:
    with reading(catalog.engine) as session:
        return session.get_one(Artifact, digest).state == PRESENT


def _all(catalog: Catalog) -> list[str]:
    query = select(Artifact.digest).where(Artifact.state == PRESENT).order_by(Artifact.digest)
    with reading(catalog.engine) as session:
        return list(session.scalars(query))


def _parts(catalog: Catalog, digest: str) -> list[str]:
    whole = catalog.record(digest).digest
    query = select(ArtifactPart.digest).where(ArtifactPart.folder == whole).order_by(ArtifactPart.digest)
    with reading(catalog.engine) as session:
        return [whole, *session.scalars(query)]
