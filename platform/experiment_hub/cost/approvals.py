"""A person's word: on exactly one estimate or on stopping one attempt of one job; used once, void after a time."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from experiment_hub.canonical import content_hash
from experiment_hub.cost.ledger import clock
from experiment_hub.errors import CorruptError
from experiment_hub.metadata.tables import Approval

NONCE_CHARACTERS = 16
LASTING = ("kind", "estimate_hash", "job_id", "answer", "reason", "actor", "at", "expires_at")
"""Columns that never change after a row was written; the id is their digest."""


@dataclass(frozen=True)
class Word:
    answer: str
    """approved or denied."""
    actor: str
    reason: str | None
    hours: float


def record(
    session: Session, word: Word, *, kind: str, estimate_hash: str | None = None, job_id: str | None = None
) -> Approval:
    now = clock(session)
    row = Approval(
        kind=kind,
        estimate_hash=estimate_hash,
        job_id=job_id,
        answer=word.answer,
        reason=word.reason,
        actor=word.actor,
        at=_stamp(now),
        expires_at=_stamp(now + timedelta(hours=word.hours)),
        used_by=None,
    )
    row.id = _identity(row, secrets.token_hex(NONCE_CHARACTERS // 2))
    session.add(row)
    return row


def standing(
    session: Session, *, kind: str, estimate_hash: str | None = None, job_id: str | None = None
) -> Approval | None:
    """The newest word that is neither used nor expired; raises CorruptError where a row was edited."""
    query = select(Approval).where(
        Approval.kind == kind,
        Approval.used_by.is_(None),
        Approval.expires_at > _stamp(clock(session)),
        Approval.estimate_hash == estimate_hash if estimate_hash else Approval.job_id == job_id,
    )
    found = session.scalars(query.order_by(Approval.at.desc(), Approval.id).limit(1)).first()
    if found is not None and _identity(found, found.id[:NONCE_CHARACTERS]) != found.id:
        raise CorruptError(f"approval {found.id[:NONCE_CHARACTERS]} was edited in the database; it counts for nothing")
    return found


def use(session: Session, approval: Approval, *, by: str) -> bool:
    """Whether it was still free."""
    taken = (
        update(Approval)
        .where(Approval.id == approval.id, Approval.used_by.is_(None))
        .values(used_by=by)
        .returning(Approval.id)
    )
    return session.execute(taken).first() is not None


def _identity(row: Approval, nonce: str) -> str:
    return f"{nonce}{content_hash({'nonce': nonce, **{name: getattr(row, name) for name in LASTING}})}"


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")
