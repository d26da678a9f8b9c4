"""Retention and garbage collection, in two phases.

First, names that were only to be kept for a while and got old are dropped, and content that nothing needs is condemned.
Content that stayed condemned for the grace period is removed by a later collection. Whatever stores or names condemned
content meanwhile takes it back, and a name never points to removed content: see ledger.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Delete, case, delete, func, literal, select, update
from sqlalchemy.orm import Session

from experiment_hub.artifacts.catalog import Catalog
from experiment_hub.artifacts.claims import REASONS, at_work, claims, needed_among, registered
from experiment_hub.artifacts.ledger import ARRIVING, CONDEMNED, PRESENT, REMOVED, batches, insert_into
from experiment_hub.artifacts.protocol import Store, Stored
from experiment_hub.artifacts.staging import FILE
from experiment_hub.configuration.settings import settings
from experiment_hub.metadata.sessions import reading, writing
from experiment_hub.metadata.tables import Artifact, ArtifactLink, ArtifactPart
from experiment_hub.times import later, now

HOURS_OF_DAY = 24
REMOVAL_BATCH = 50  # contents removed under one lock; writers of the same contents wait so long
YOUNG, WAITING = 98, 99
NAMES = {**REASONS, YOUNG: "stored a short time ago", WAITING: "condemned, waiting for the grace period"}


@dataclass(frozen=True)
class Amount:
    count: int = 0
    bytes: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.count + other.count, self.bytes + other.bytes)


@dataclass(frozen=True)
class Collection:
    """What one collection did, or with `dry_run` would do; amounts count files, because folders consist of them."""

    dry_run: bool
    removed: Amount
    condemned: Amount
    rescued: int
    """Condemned before and needed again."""
    dropped_names: int
    adopted: int
    """Contents that the database does not know, for instance since it was restored from a backup: condemned first."""
    kept: dict[str, Amount]
    """By reason."""
    leftovers: int
    """Bytes that interrupted writers left, and what the cache had for long."""


@dataclass(frozen=True)
class _Limits:
    condemned: str
    """Removed are those that were condemned until then; condemned are those that were touched until then."""
    transient: str
    """Names made until then and kept for a while only are dropped."""


def collect(catalog: Catalog, *, dry_run: bool) -> Collection:
    """Remove what was condemned long enough ago, then condemn what nothing needs now."""
    retention, moment = settings(catalog.home).retention, now()
    limits = _Limits(
        later(moment, hours=-retention.grace_hours),
        later(moment, hours=-retention.checkpoints_days * HOURS_OF_DAY),
    )
    catalog.claim()
    removed = _remove(catalog, limits, dry_run=dry_run)
    adopted = 0 if dry_run else _adopt_all(catalog, moment)
    marked = _mark(catalog, limits, moment, dry_run=dry_run)
    return replace(
        marked, removed=removed, adopted=adopted, leftovers=0 if dry_run else _tidy(catalog, retention.checkpoints_days)
    )


def _tidy(catalog: Catalog, days: int) -> int:
    cache = catalog.content.cache
    return catalog.content.store.tidy() + (cache.trim(days) if cache else 0)


def _remove(catalog: Catalog, limits: _Limits, *, dry_run: bool) -> Amount:
    due = select(Artifact.digest).where(_due(limits)).order_by(Artifact.digest)
    with reading(catalog.engine) as session:
        if dry_run:
            return _amount(session, _due(limits) & Artifact.digest.not_in(select(claims().c.digest)))
        digests = list(session.scalars(due))
    total = Amount()
    for batch in batches(digests, REMOVAL_BATCH):
        with writing(catalog.engine) as session:
            total += _remove_batch(session, catalog.content.store, Artifact.digest.in_(batch) & _due(limits))
    return total


def _due(limits: _Limits) -> ColumnElement[bool]:
    return (Artifact.state == CONDEMNED) & (Artifact.condemned_at <= limits.condemned)


def _remove_batch(session: Session, store: Store, chosen: ColumnElement[bool]) -> Amount:
    """Rows are held while bytes go, so that whoever stores or names the same content waits and then sees it removed.

    Killed in between, the rows stay condemned: a later collection removes them, a writer stores them again.
    """
    held = session.execute(select(Artifact.digest).where(chosen).order_by(Artifact.digest).with_for_update())
    digests = [digest for (digest,) in held]
    needed = set(session.scalars(needed_among(digests)))
    gone = [digest for digest in digests if digest not in needed]
    rows = Artifact.digest.in_(gone)
    amount = _amount(session, rows)
    store.remove(gone)
    session.execute(delete(ArtifactPart).where(ArtifactPart.folder.in_(gone)))
    session.execute(update(Artifact).where(rows).values(state=REMOVED, removals=Artifact.removals + 1))
    return amount


def _adopt_all(catalog: Catalog, moment: str) -> int:
    return sum([_adopt(catalog, batch, moment) for batch in batches(list(catalog.content.store.listing()))])


def _adopt(catalog: Catalog, found: Sequence[Stored], moment: str) -> int:
    """Content without a row, or whose removal was not finished, is condemned like any other."""
    digests = Artifact.digest.in_([each.digest for each in found])
    with reading(catalog.engine) as session:
        query = select(Artifact.digest, Artifact.state).where(digests)
        known = dict(session.execute(query).all())
    strange = [each for each in found if known.get(each.digest, REMOVED) == REMOVED]
    if not strange:
        return 0
    times = {"created_at": moment, "touched_at": moment, "condemned_at": moment}
    rows = [{**vars(each), "kind": FILE, "state": CONDEMNED, "removals": 0, **times} for each in strange]
    with writing(catalog.engine) as session:
        session.execute(insert_into(session).on_conflict_do_nothing(), rows)
        again = Artifact.digest.in_([each.digest for each in strange]) & (Artifact.state == REMOVED)
        session.execute(update(Artifact).where(again).values(state=CONDEMNED, condemned_at=moment))
    return len(strange)


def _mark(catalog: Catalog, limits: _Limits, moment: str, *, dry_run: bool) -> Collection:
    """Drop old names, rescue, condemn, and count, in one transaction that a dry run takes back."""
    with writing(catalog.engine) as session:
        dropped = len(session.scalars(_old_names(limits).returning(ArtifactLink.digest)).all())
        needed = Artifact.digest.in_(select(claims().c.digest))
        again = update(Artifact).where(Artifact.state == CONDEMNED, needed)
        again = again.values(state=ARRIVING, condemned_at=None)
        rescued = len(session.scalars(again.returning(Artifact.digest)).all())
        idle = Artifact.state.in_((PRESENT, ARRIVING)) & ~needed & (Artifact.touched_at <= limits.condemned)
        condemned = _amount(session, idle)
        session.execute(update(Artifact).where(idle).values(state=CONDEMNED, condemned_at=moment))
        kept = _kept(session)
        if dry_run:
            session.rollback()
    return Collection(dry_run, Amount(), condemned, rescued, dropped, 0, kept, 0)


def _old_names(limits: _Limits) -> Delete:
    return delete(ArtifactLink).where(
        ArtifactLink.keep == "transient",
        ArtifactLink.created_at <= limits.transient,
        ArtifactLink.owner_kind.not_in(("model", "baseline")),
        ~at_work(),
        ~registered(),
    )


def _amount(session: Session, chosen: ColumnElement[bool]) -> Amount:
    query = select(func.count(), func.coalesce(func.sum(Artifact.size), 0)).where(chosen, Artifact.kind == FILE)
    count, size = session.execute(query).one()
    return Amount(int(count), int(size))


def _kept(session: Session) -> dict[str, Amount]:
    strongest = claims()
    waiting = case((Artifact.state == CONDEMNED, literal(WAITING)), else_=literal(YOUNG))
    reason = func.coalesce(strongest.c.rank, waiting)
    query = (
        select(reason, func.count(), func.sum(Artifact.size))
        .join(strongest, strongest.c.digest == Artifact.digest, isouter=True)
        .where(Artifact.kind == FILE, Artifact.state != REMOVED)
        .group_by(reason)
        .order_by(reason)
    )
    return {NAMES[rank]: Amount(int(count), int(size)) for rank, count, size in session.execute(query)}
