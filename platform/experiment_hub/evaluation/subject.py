"""What is evaluated: a run's model, a registered model by alias, stage or version, or an artifact by its digest."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select

from experiment_hub.artifacts.catalog import Catalog
from experiment_hub.errors import BadInputError
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.tables import ModelAlias, ModelVersion, Run

MODEL = "model"
STAGES = ("staging", "production")
DIGEST = "sha256:"


@dataclass(frozen=True)
class Subject:
    reference: str
    """As the person wrote it."""
    digest: str
    run_id: str | None


def subject(catalog: Catalog, reference: str) -> Subject:
    """Raises BadInputError."""
    name, at, which = reference.rpartition("@")
    if at:
        return _registered(catalog, reference, name, which)
    if reference.startswith(DIGEST):
        return Subject(reference, catalog.record(reference).digest, None)
    with reading(catalog.engine) as session:
        run = session.get(Run, reference)
    if run is None:
        raise BadInputError(f"{reference!r}: expected a run, MODEL@ALIAS, MODEL@VERSION or {DIGEST}DIGEST of this home")
    digests = [link.digest for link in catalog.links("run", run.id) if link.name == MODEL]
    if not digests:
        raise BadInputError(f"run {run.id} is {run.state} and left no model; only a finished run has one")
    return Subject(reference, digests[0], run.id)


def _registered(catalog: Catalog, reference: str, name: str, which: str) -> Subject:
    with reading(catalog.engine) as session:
        found: ModelVersion | None = session.scalars(_query(name, which)).first()
    if found is None:
        raise BadInputError(f"{reference!r}: model {name!r} has no alias, stage or version {which!r}")
    return Subject(reference, found.digest, found.run_id)


def _query(name: str, which: str) -> Select[Any]:
    query = select(ModelVersion).where(ModelVersion.model == name)
    if which.isdecimal():
        return query.where(ModelVersion.version == int(which))
    if which in STAGES:
        return query.where(ModelVersion.stage == which).order_by(ModelVersion.version.desc())
    alias = select(ModelAlias.version).where(ModelAlias.model == name, ModelAlias.alias == which)
    return query.where(ModelVersion.version == alias.scalar_subquery())
