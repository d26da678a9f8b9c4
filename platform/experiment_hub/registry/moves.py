"""Moves of versions between stages and of aliases between versions: atomic, recorded, taken back step by step."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from experiment_hub.artifacts.catalog import Catalog
from experiment_hub.artifacts.names import plain_text
from experiment_hub.errors import BadInputError, ConflictError
from experiment_hub.metadata.sessions import reading, upsert, writing
from experiment_hub.metadata.tables import ModelAlias, ModelEvent, ModelVersion
from experiment_hub.registry.gate import Grounds, judge
from experiment_hub.registry.models import known_model
from experiment_hub.registry.names import ARCHIVED, NONE, PRODUCTION, STAGES, STAGING, alias_name
from experiment_hub.times import now

PROMOTED, ALIAS, ARCHIVE, ROLLED_BACK = "promoted", "alias", "archived", "rolled_back"
TAKEN_BACK = (PROMOTED, ALIAS)
Move = tuple[int, str, str]
"""A version, the stage that it left, the stage that it entered."""


@dataclass(frozen=True)
class Moved:
    """What a move did; `before` and `after` are the versions that the stage or alias meant."""

    model: str
    subject: str
    before: int | None
    after: int | None
    digest: str | None
    """Of the version that it means now."""
    evaluation: str | None = None


def promote(catalog: Catalog, model: str, version: int, *, stage: str, grounds: Grounds, actor: str) -> Moved:
    """Verify the content, then move in one transaction; the former production version stays, in stage `none`.

    Raises ConflictError if somebody else moved the stage meanwhile, NotAllowedError without sufficient grounds,
    CorruptError for damaged content.
    """
    if stage not in STAGES or stage == ARCHIVED:
        raise BadInputError(f"{stage!r} is no stage to promote to: expected {PRODUCTION}, {STAGING} or {NONE}")
    with reading(catalog.engine) as session:
        seen, chosen = _last(session, model, stage), _version(session, model, version)
        evaluation = judge(session, chosen, grounds) if stage == PRODUCTION or grounds.given else None
    catalog.verify(chosen.digest)
    with _alone(catalog, model) as session:
        _unmoved(session, model, stage, seen)
        former = _in_production(session, model) if stage == PRODUCTION else None
        moves = _promotion(_version(session, model, version), former, stage)
        _apply(session, model, moves)
        before = former.version if former else None
        event = ModelEvent(kind=PROMOTED, subject=stage, before=before, after=version, moves=moves, actor=actor)
        event.evaluation_id, event.reason = evaluation, plain_text(grounds.reason, "reason")
        _note(session, model, event)
    return Moved(model, stage, before, version, chosen.digest, evaluation)


def _promotion(chosen: ModelVersion, former: ModelVersion | None, stage: str) -> list[Move]:
    label = f"version {chosen.version} of model {chosen.model!r}"
    if chosen.stage == stage:
        raise ConflictError(f"{label} already is in stage {stage}")
    if chosen.stage == PRODUCTION:
        raise ConflictError(f"{label} is in production: roll back, or promote another one")
    leaving: list[Move] = [] if former is None else [(former.version, PRODUCTION, NONE)]
    return [*leaving, (chosen.version, chosen.stage, stage)]


def alias(catalog: Catalog, model: str, name: str, version: int, *, actor: str) -> Moved:
    """Let an alias mean this version from now on."""
    subject = f"@{alias_name(name)}"
    with _alone(catalog, model) as session:
        chosen, former = _version(session, model, version), session.get(ModelAlias, (model, name))
        before = former.version if former else None
        if before == version:
            raise ConflictError(f"{model}@{name} already means version {version}")
        _point(session, model, name, version)
        event = ModelEvent(kind=ALIAS, subject=subject, before=before, after=version, moves=[], actor=actor)
        _note(session, model, event)
    return Moved(model, subject, before, version, chosen.digest)


def archive(catalog: Catalog, model: str, version: int, *, reason: str | None, actor: str) -> Moved:
    """Out of use, but kept; what is in production is refused."""
    with _alone(catalog, model) as session:
        chosen = _version(session, model, version)
        if chosen.stage in {PRODUCTION, ARCHIVED}:
            raise ConflictError(f"version {version} of model {model!r} is in stage {chosen.stage} and not archived")
        moves = [(version, chosen.stage, ARCHIVED)]
        _apply(session, model, moves)
        event = ModelEvent(kind=ARCHIVE, subject=ARCHIVED, after=version, moves=moves, actor=actor)
        event.reason = plain_text(reason, "reason")
        _note(session, model, event)
    return Moved(model, ARCHIVED, None, version, chosen.digest)


def rollback(catalog: Catalog, model: str, *, subject: str, reason: str | None, actor: str) -> Moved:
    """Take back exactly the last move of a stage, or of an alias (`@NAME`), that was not taken back yet.

    Raises ConflictError if there is none or somebody else moved meanwhile, CorruptError if what it would bring back is
    damaged.
    """
    with reading(catalog.engine) as session:
        known_model(session, model)
        seen, last = _last(session, model, subject), _to_undo(session, model, subject)
        restored = _version(session, model, last.before) if last.before is not None else None
    if restored is not None:
        catalog.verify(restored.digest)
    with _alone(catalog, model) as session:
        _unmoved(session, model, subject, seen)
        undone = session.get_one(ModelEvent, last.id)
        moves = [_backwards(session, model, move) for move in reversed(undone.moves)]
        _apply(session, model, moves)
        if undone.kind == ALIAS:
            _point(session, model, subject[1:], undone.before)
        event = ModelEvent(kind=ROLLED_BACK, subject=subject, before=undone.after, after=undone.before, moves=moves)
        event.actor, event.reason = actor, plain_text(reason, "reason")
        undone.undone_by = _note(session, model, event)
    return Moved(model, subject, last.after, last.before, restored.digest if restored else None)


def _backwards(session: Session, model: str, move: Move) -> Move:
    """A version that left production may have gone to staging since; one that was archived is not brought back."""
    number, before, after = move
    now_in = _version(session, model, number).stage
    if now_in != after and (now_in, after) != (STAGING, NONE):
        raise ConflictError(
            f"version {number} of model {model!r} is in stage {now_in} now, not in {after}, so this move cannot be "
            "taken back; promote the version that you want"
        )
    return number, now_in, before


@contextmanager
def _alone(catalog: Catalog, model: str) -> Iterator[Session]:
    """One transaction that survives a power cut; nobody else moves this model's versions before its end."""
    with writing(catalog.engine, durable=True) as session:
        known_model(session, model, lock=True)
        yield session


def _note(session: Session, model: str, event: ModelEvent) -> int:
    event.model, event.at = model, now()
    session.add(event)
    session.flush()
    return event.id


def _to_undo(session: Session, model: str, subject: str) -> ModelEvent:
    query = select(ModelEvent).where(
        ModelEvent.model == model,
        ModelEvent.subject == subject,
        ModelEvent.kind.in_(TAKEN_BACK),
        ModelEvent.undone_by.is_(None),
    )
    found = session.scalar(query.order_by(ModelEvent.id.desc()).limit(1))
    if found is None:
        raise ConflictError(f"model {model!r}: no move of {subject} is left to take back")
    return found


def _last(session: Session, model: str, subject: str) -> int | None:
    query = select(ModelEvent.id).where(ModelEvent.model == model, ModelEvent.subject == subject)
    return session.scalar(query.order_by(ModelEvent.id.desc()).limit(1))


def _unmoved(session: Session, model: str, subject: str, seen: int | None) -> None:
    if _last(session, model, subject) != seen:
        raise ConflictError(f"model {model!r}: somebody else moved {subject} meanwhile; look at it, then say it again")


def _apply(session: Session, model: str, moves: Sequence[Move]) -> None:
    """In this order: the database itself refuses two versions in production, even for a moment."""
    for number, _, stage in moves:
        _version(session, model, number).stage = stage
        session.flush()


def _point(session: Session, model: str, name: str, version: int | None) -> None:
    if version is None:
        session.execute(delete(ModelAlias).where(ModelAlias.model == model, ModelAlias.alias == name))
    else:
        upsert(session, ModelAlias, [{"model": model, "alias": name, "version": version, "moved_at": now()}])


def _in_production(session: Session, model: str) -> ModelVersion | None:
    return session.scalar(select(ModelVersion).where(ModelVersion.model == model, ModelVersion.stage == PRODUCTION))


def _version(session: Session, model: str, number: int) -> ModelVersion:
    known_model(session, model)
    found = session.get(ModelVersion, (model, number))
    if found is None:
        raise BadInputError(f"model {model!r} has no version {number}")
    return found
