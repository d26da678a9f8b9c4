"""Rows of contents: announced before their bytes are stored, confirmed afterwards.

The order keeps writers and the collector (removal.py) apart without holding a lock while bytes are on their way. A
writer announces its contents in one transaction (nothing announced is removed at that moment, because a collector
holds the rows while it removes bytes), then stores the bytes, then confirms them in the transaction that names them.
Confirming fails where a collection removed one of them in between, which `removals` tells; the writer then begins anew.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Engine, Table, case, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from experiment_hub.errors import ConflictError
from experiment_hub.metadata.sessions import reading, upsert, writing
from experiment_hub.metadata.tables import Artifact, ArtifactOwner, ArtifactPart, Base
from experiment_hub.times import now

ARRIVING, PRESENT, CONDEMNED, REMOVED = "arriving", "present", "condemned", "removed"
BATCH = 500  # values in one IN, which databases limit
ATTEMPTS = 20

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
Announced = Mapping[str, int]
"""Digests with how often each was removed before."""


@dataclass(frozen=True)
class Piece:
    digest: str
    size: int
    kind: str


@dataclass(frozen=True)
class Arrival:
    """One artifact with everything that it is made of."""

    whole: Piece
    parts: tuple[Piece, ...] = ()


class _CollectedError(ConflictError):
    pass


def settle(
    engine: Engine, arrival: Arrival, store: Callable[[], None], conclude: Callable[[Session], ResultT]
) -> ResultT:
    """Announce, store the bytes, confirm and conclude in one transaction; again if a collection came between."""
    for _ in range(ATTEMPTS):
        announced = _announce(engine, arrival)
        store()
        try:
            with writing(engine) as session:
                _confirm(session, announced)
                return conclude(session)
        except _CollectedError:
            continue
    raise ConflictError(
        f"{arrival.whole.digest} was collected {ATTEMPTS} times while it was stored; give retention.grace_hours more"
    )


def _announce(engine: Engine, arrival: Arrival) -> Announced:
    whole, moment = arrival.whole, now()
    pieces = sorted({piece.digest: piece for piece in (*arrival.parts, whole)}.values(), key=lambda each: each.digest)
    rows = [
        {**vars(piece), "state": ARRIVING, "removals": 0, "created_at": moment, "touched_at": moment}
        for piece in pieces
    ]
    with writing(engine) as session:
        _insert_or_touch(session, rows)
        upsert(session, ArtifactPart, [{"folder": whole.digest, "digest": part.digest} for part in arrival.parts])
        found: dict[str, int] = {}
        for batch in batches([piece.digest for piece in pieces]):
            query = select(Artifact.digest, Artifact.removals).where(Artifact.digest.in_(batch))
            found.update(dict(session.execute(query).all()))
    return found


def _insert_or_touch(session: Session, rows: list[dict[str, object]]) -> None:
    statement = insert_into(session)
    touched = {name: statement.excluded[name] for name in ("size", "kind", "touched_at")}
    state = case((Artifact.state == PRESENT, PRESENT), else_=ARRIVING)
    values = {**touched, "condemned_at": None, "state": state}
    session.execute(statement.on_conflict_do_update(index_elements=["digest"], set_=values), rows)


def identity(engine: Engine) -> str:
    """What tells this database from any other one; the first who asks decides it."""
    with reading(engine) as session:
        known = session.get(ArtifactOwner, 1)
    if known is None:
        with writing(engine) as session:
            row = {"id": 1, "token": secrets.token_hex(16)}
            session.execute(insert_into(session, ArtifactOwner).on_conflict_do_nothing(), [row])
            known = session.get_one(ArtifactOwner, 1)
    return known.token


def insert_into(session: Session, kind: type[Base] = Artifact) -> sqlite.Insert | postgresql.Insert:
    """An insert that can say what happens where a row is there already."""
    table = kind.__table__
    assert isinstance(table, Table)  # noqa: S101 -- every mapped class of ours has one
    return (sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert)(table)


def _confirm(session: Session, announced: Announced) -> None:
    for batch in batches(sorted(announced)):
        chosen = Artifact.digest.in_(batch), Artifact.state.in_((ARRIVING, PRESENT))
        held = select(Artifact.digest, Artifact.removals).where(*chosen).order_by(Artifact.digest).with_for_update()
        if dict(session.execute(held).all()) != {digest: announced[digest] for digest in batch}:
            raise _CollectedError
        session.execute(update(Artifact).where(*chosen).values(state=PRESENT, touched_at=now()))


def batches(items: Sequence[ItemT], size: int = BATCH) -> Iterator[Sequence[ItemT]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
