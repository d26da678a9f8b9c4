"""Evaluations in the database: added, never changed; the same measurement twice is one row."""

from sqlalchemy import Engine, or_, select

from experiment_hub.errors import BadInputError
from experiment_hub.metadata.sessions import reading, writing
from experiment_hub.metadata.tables import Evaluation

SHORTEST = 6


def keep(engine: Engine, row: Evaluation) -> Evaluation:
    """The row, or the one that says the same already."""
    with writing(engine, durable=True) as session:
        known = session.get(Evaluation, row.id)
        if known is not None:
            return known
        session.add(row)
    return row


def evaluations(engine: Engine, reference: str | None = None) -> list[Evaluation]:
    """Oldest first; of one run or artifact where a reference is given."""
    query = select(Evaluation).order_by(Evaluation.created_at, Evaluation.id)
    if reference is not None:
        query = query.where(or_(Evaluation.run_id == reference, Evaluation.digest == reference))
    with reading(engine) as session:
        return list(session.scalars(query))


def evaluation(engine: Engine, start: str) -> Evaluation:
    """By its id or the start of it; raises BadInputError."""
    query = select(Evaluation).where(Evaluation.id.startswith(start, autoescape=True)).limit(2)
    with reading(engine) as session:
        found = list(session.scalars(query)) if len(start) >= SHORTEST else []
    if len(found) != 1:
        raise BadInputError(f"{'several evaluations begin' if found else 'no evaluation begins'} with {start!r}")
    return found[0]
