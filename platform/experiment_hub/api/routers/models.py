"""The model registry, with the registry's own rules."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from sqlalchemy import select

from experiment_hub.api.context import HubDep, Operator
from experiment_hub.api.paging import Cursor, Key, Limit, Order, Page, one_page
from experiment_hub.api.problems import documented
from experiment_hub.api.texts import Id, Name, Sentence
from experiment_hub.artifacts.catalog import catalog
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.tables import RegisteredModel
from experiment_hub.registry import models, moves
from experiment_hub.registry.gate import Grounds
from experiment_hub.registry.names import PRODUCTION

router = APIRouter(tags=["models"])
MOVES = documented(404, 409, 500)
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


class ModelOut(BaseModel, from_attributes=True):
    name: str
    description: str
    created_at: str


class VersionOut(BaseModel, from_attributes=True):
    version: int
    digest: str
    stage: str
    run_id: str | None
    dataset_hash: str | None
    git_commit: str | None
    notes: str | None
    facts: dict[str, Any]
    created_at: str


class AliasOut(BaseModel, from_attributes=True):
    alias: str
    version: int
    moved_at: str


class ModelEventOut(BaseModel, from_attributes=True):
    id: int
    kind: str
    subject: str
    before: int | None
    after: int | None
    evaluation_id: str | None
    reason: str | None
    actor: str
    at: str
    undone_by: int | None


class EvaluationOut(BaseModel, from_attributes=True):
    id: str
    digest: str
    dataset: str
    split: str
    samples: int
    metrics: dict[str, Any]
    created_at: str


class ModelDetail(ModelOut):
    versions: list[VersionOut]
    aliases: list[AliasOut]
    events: list[ModelEventOut]
    evaluations: list[EvaluationOut]


class VersionIn(BaseModel, extra="forbid"):
    """A model of a run, or any artifact."""

    run: Name | None = None
    digest: Name | None = None
    notes: Sentence | None = None


class PromotionIn(BaseModel, extra="forbid"):
    stage: Literal["none", "staging", "production"] = "production"
    evaluation: Name | None = Field(default=None, description="Default: the newest of this content.")
    minimum: dict[Name, float] = {}
    without_evaluation: bool = False
    reason: Sentence | None = None


class AliasIn(BaseModel, extra="forbid"):
    version: int = Field(ge=1, le=2**31 - 1)


class ReasonIn(BaseModel, extra="forbid"):
    reason: Sentence | None = None
    subject: Name = Field(default=PRODUCTION, description="A stage, or @ALIAS.")


class ArchiveIn(BaseModel, extra="forbid"):
    reason: Sentence | None = None


class MovedOut(BaseModel, from_attributes=True):
    model: str
    subject: str
    before: int | None
    after: int | None
    digest: str | None
    evaluation: str | None


@router.get("/models")
def every(hub: HubDep, limit: Limit = 100, cursor: Cursor = None) -> Page[ModelOut]:
    """By name."""
    query = select(*(getattr(RegisteredModel, name) for name in ModelOut.model_fields))
    with reading(hub.store.engine) as session:
        order = Order((Key(RegisteredModel.name, str),), label="models")
        rows, following = one_page(session, query, order, cursor, limit)
    return Page(items=[ModelOut.model_validate(row) for row in rows], next_cursor=following)


@router.get("/models/{name}", responses=documented(404))
def one(hub: HubDep, name: Id) -> ModelDetail:
    """Versions, aliases, evaluations and every move."""
    return model_detail(models.history(catalog(hub.home), name))


def model_detail(found: models.ModelHistory) -> ModelDetail:
    return ModelDetail(
        **ModelOut.model_validate(found.model).model_dump(),
        versions=[VersionOut.model_validate(each) for each in found.versions],
        aliases=[AliasOut.model_validate(each) for each in found.aliases],
        events=[ModelEventOut.model_validate(each) for each in found.events],
        evaluations=[EvaluationOut.model_validate(each) for rows in found.evaluations.values() for each in rows],
    )


@router.post("/models/{name}/versions", status_code=201, responses=MOVES)
def register(hub: HubDep, caller: Operator, name: Id, body: VersionIn) -> VersionOut:
    """The next version of a model; the first one makes the model."""
    found = catalog(hub.home)
    digest = body.digest or models.of_run(found, body.run or "")
    run = body.run or models.run_of(found, digest)
    candidate = models.Candidate(found.record(digest).digest, run, body.notes)
    return VersionOut.model_validate(models.register(found, name, candidate, actor=caller.name))


@router.post("/models/{name}/versions/{version}/promotion", responses=MOVES)
def promote(hub: HubDep, caller: Operator, name: Id, version: Number, body: PromotionIn) -> MovedOut:
    """Move a version to a stage; production needs an evaluation of exactly this content, or a reason."""
    grounds = Grounds(body.evaluation, body.minimum, body.without_evaluation, body.reason)
    moved = moves.promote(catalog(hub.home), name, version, stage=body.stage, grounds=grounds, actor=caller.name)
    return MovedOut.model_validate(moved)


@router.post("/models/{name}/versions/{version}/archive", responses=MOVES)
def archive(hub: HubDep, caller: Operator, name: Id, version: Number, body: ArchiveIn) -> MovedOut:
    """Out of use, but kept."""
    moved = moves.archive(catalog(hub.home), name, version, reason=body.reason, actor=caller.name)
    return MovedOut.model_validate(moved)


@router.post("/models/{name}/rollback", responses=MOVES)
def rollback(hub: HubDep, caller: Operator, name: Id, body: ReasonIn) -> MovedOut:
    """Take back exactly the last move of a stage or an alias."""
    moved = moves.rollback(catalog(hub.home), name, subject=body.subject, reason=body.reason, actor=caller.name)
    return MovedOut.model_validate(moved)


@router.put("/models/{name}/aliases/{alias}", responses=MOVES)
def point(hub: HubDep, caller: Operator, name: Id, alias: Id, body: AliasIn) -> MovedOut:
    """Let an alias mean a version."""
    return MovedOut.model_validate(moves.alias(catalog(hub.home), name, alias, body.version, actor=caller.name))
