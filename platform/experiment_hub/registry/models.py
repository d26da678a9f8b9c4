"""Registered models and their versions: each is one artifact, with where it came from."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from experiment_hub.artifacts.catalog import ArtifactRecord, Catalog, Link
from experiment_hub.artifacts.names import plain_text
from experiment_hub.errors import BadInputError, ConflictError, UnknownNameError
from experiment_hub.metadata.sessions import reading, upsert
from experiment_hub.metadata.tables import (
    ArtifactLink,
    Evaluation,
    ModelAlias,
    ModelEvent,
    ModelVersion,
    RegisteredModel,
    Run,
)
from experiment_hub.registry.names import NONE, STAGES, model_name, reference
from experiment_hub.times import now

DESCRIPTION, FORMAT = "model.json", 1
DESCRIPTION_BYTES = 4_000_000


@dataclass(frozen=True)
class Candidate:
    """What shall become a version."""

    digest: str
    run_id: str | None
    notes: str | None = None
    description: str | None = None
    """Of the model as a whole; None leaves what is there."""


@dataclass(frozen=True)
class ModelHistory:
    """Everything about one model."""

    model: RegisteredModel
    versions: list[ModelVersion]
    aliases: list[ModelAlias]
    events: list[ModelEvent]
    evaluations: dict[str, list[Evaluation]]
    """By digest, oldest first."""
    runs: dict[str, Run]


def of_run(catalog: Catalog, run_id: str) -> str:
    """Digest of the model that a run made; raises BadInputError where it made none, or several."""
    found = [link for link in catalog.links("run", run_id) if link.role == "model"]
    if len(found) != 1:
        names = ", ".join(f"{link.name!r} {link.digest}" for link in found)
        raise BadInputError(
            f"run {run_id!r} stored several models, choose one by its digest: {names}"
            if found
            else f"run {run_id!r} left no model in this home; only a finished run has one"
        )
    return found[0].digest


def run_of(catalog: Catalog, digest: str) -> str | None:
    """The run that stored this model, as the hub itself recorded it; None where that is not one run."""
    query = select(ArtifactLink.owner).where(
        ArtifactLink.digest == digest, ArtifactLink.owner_kind == "run", ArtifactLink.role == "model"
    )
    with reading(catalog.engine) as session:
        found = set(session.scalars(query))
    return found.pop() if len(found) == 1 else None


def register(catalog: Catalog, name: str, candidate: Candidate, *, actor: str) -> ModelVersion:
    """The next version; its artifact is verified and from now on never collected.

    Raises ConflictError if this very content already is a version of the model, CorruptError if it is damaged.
    """
    model_name(name)
    record = catalog.record(candidate.digest)
    plain_text(candidate.notes, "note")
    plain_text(candidate.description, "description")
    catalog.verify(record.digest)
    facts = describe(catalog, record)
    made: list[ModelVersion] = []

    def add(session: Session) -> Link:
        version = _add(session, name, record, candidate)
        version.facts = facts
        session.add(
            ModelEvent(
                model=name, kind="registered", subject=NONE, after=version.version, moves=[], actor=actor, at=now()
            )
        )
        made.append(version)
        return Link("model", name, f"version {version.version}", "model", "forever")

    catalog.link_and(record.digest, add)
    return made[-1]


def _add(session: Session, name: str, record: ArtifactRecord, candidate: Candidate) -> ModelVersion:
    model = session.get(RegisteredModel, name, with_for_update=True)
    if model is None:
        upsert(session, RegisteredModel, [{"name": name, "description": "", "created_at": now()}])
        model = session.get_one(RegisteredModel, name, with_for_update=True)
    if candidate.description is not None:
        model.description = candidate.description
    query = select(ModelVersion.digest, ModelVersion.version).where(ModelVersion.model == name)
    known = dict(session.execute(query).all())
    if record.digest in known:
        raise ConflictError(f"{record.digest} already is version {known[record.digest]} of model {name!r}")
    run = session.get(Run, candidate.run_id) if candidate.run_id else None
    version = ModelVersion(
        model=name,
        version=max(known.values(), default=0) + 1,
        digest=record.digest,
        stage=NONE,
        run_id=run.id if run else None,
        dataset_hash=run.dataset_hash if run else None,
        git_commit=run.git_commit if run else None,
        notes=candidate.notes,
        facts={},
        created_at=now(),
    )
    session.add(version)
    return version


def resolve(catalog: Catalog, text: str) -> ModelVersion:
    """The version that NAME@production, NAME@staging (the newest there), NAME@ALIAS or NAME@NUMBER means now."""
    name, which = reference(text)
    query = select(ModelVersion).where(ModelVersion.model == name).order_by(ModelVersion.version.desc()).limit(1)
    if which in STAGES:
        query = query.where(ModelVersion.stage == which)
    elif which.isdecimal() and which.isascii():
        query = query.where(ModelVersion.version == int(which[:9]))
    else:
        alias = select(ModelAlias.version).where(ModelAlias.model == name, ModelAlias.alias == which)
        query = query.where(ModelVersion.version == alias.scalar_subquery())
    with reading(catalog.engine) as session:
        found = session.scalar(query)
        if found is None:
            known_model(session, name)
            raise BadInputError(f"model {name!r} has no {which!r}: expected a stage in use, an alias or a number")
    return found


def known_model(session: Session, name: str, *, lock: bool = False) -> RegisteredModel:
    """With `lock`, nobody else moves its versions before the transaction ends; raises UnknownNameError."""
    model = session.get(RegisteredModel, name, with_for_update=lock or None)
    if model is None:
        raise UnknownNameError("registered model", name, list(session.scalars(select(RegisteredModel.name))))
    return model


def fetch(catalog: Catalog, text: str, target: Path) -> ModelVersion:
    """A verified copy of exactly what the reference means."""
    version = resolve(catalog, text)
    catalog.fetch(version.digest, target)
    return version


def models(catalog: Catalog) -> list[RegisteredModel]:
    with reading(catalog.engine) as session:
        return list(session.scalars(select(RegisteredModel).order_by(RegisteredModel.name)))


def versions(catalog: Catalog) -> list[ModelVersion]:
    """Of all models, by name and number."""
    with reading(catalog.engine) as session:
        return list(session.scalars(select(ModelVersion).order_by(ModelVersion.model, ModelVersion.version)))


def history(catalog: Catalog, name: str) -> ModelHistory:
    """Raises UnknownNameError."""
    with reading(catalog.engine) as session:
        model = known_model(session, name)
        found = list(
            session.scalars(select(ModelVersion).where(ModelVersion.model == name).order_by(ModelVersion.version))
        )
        digests = [each.digest for each in found]
        measured: dict[str, list[Evaluation]] = {digest: [] for digest in digests}
        for row in session.scalars(
            select(Evaluation).where(Evaluation.digest.in_(digests)).order_by(Evaluation.created_at)
        ):
            measured[row.digest].append(row)
        runs = session.scalars(select(Run).where(Run.id.in_([each.run_id for each in found])))
        return ModelHistory(
            model,
            found,
            list(session.scalars(select(ModelAlias).where(ModelAlias.model == name).order_by(ModelAlias.alias))),
            list(session.scalars(select(ModelEvent).where(ModelEvent.model == name).order_by(ModelEvent.id))),
            measured,
            {run.id: run for run in runs},
        )


def describe(catalog: Catalog, record: ArtifactRecord) -> dict[str, Any]:
    """`model.json` of a model's folder; other content is accepted as it is and has no facts."""
    own = [entry for entry in catalog.entries(record.digest) if entry.path == DESCRIPTION]
    if not own:
        return {}
    if own[0].size > DESCRIPTION_BYTES:
        raise BadInputError(f"{DESCRIPTION} of {record.digest} has {own[0].size} bytes; that is no model's description")
    with catalog.open(own[0].digest) as stream:
        try:
            facts = json.loads(stream.read(), parse_constant=_refused)
        except (ValueError, RecursionError) as error:
            raise BadInputError(f"{DESCRIPTION} of {record.digest} is no JSON: {error}") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise BadInputError(f"{DESCRIPTION} of {record.digest} is not of format {FORMAT}")
    return facts


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no number that JSON knows")
