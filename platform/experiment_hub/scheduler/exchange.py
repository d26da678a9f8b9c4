"""A round of a worker in one transaction: what started, what ended, what it takes on next."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from experiment_hub.metadata.sessions import writing
from experiment_hub.scheduler import attempts, claims
from experiment_hub.scheduler.attempts import Outcome, Started
from experiment_hub.scheduler.claims import Claim, Offer


@dataclass(frozen=True)
class Exchanged:
    accepted: frozenset[str] = frozenset()
    """Of the starts; the others belong to somebody else."""
    states: tuple[tuple[str, str], ...] = ()
    """New state of each job whose end was accepted."""
    claims: tuple[Claim, ...] = ()


def exchange(
    engine: Engine, worker: str, *, starts: Sequence[Started], ends: Sequence[Outcome], offer: Offer | None
) -> Exchanged:
    """`offer` is what is free once the ends are recorded; None claims nothing."""
    wanted = offer is not None and offer.jobs > 0 and claims.anything(engine)
    if not (starts or ends or wanted):
        return Exchanged()
    with writing(engine, durable=bool(ends)) as session:
        accepted = attempts.record_starts(session, starts)
        states = attempts.record_ends(session, ends)
        taken = claims.take(session, worker, offer) if offer is not None else []
    return Exchanged(frozenset(accepted), tuple(states.items()), tuple(taken))
