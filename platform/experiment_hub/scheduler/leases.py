"""Named resources with a number of slots each; a slot's fencing token goes up with every holder."""

from collections.abc import Sequence

from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.orm import Session

from experiment_hub.errors import BadInputError, ConflictError
from experiment_hub.metadata.sessions import reading, upsert, writing
from experiment_hub.metadata.tables import NamedLease

LONGEST_NAME = 200
Held = dict[str, dict[str, int]]
"""`{name: {"slot": 0, "token": 7}}`."""


def ensure(session: Session, names: Sequence[str]) -> None:
    """A name that nobody has set up has one slot."""
    known = set(session.scalars(select(NamedLease.name).where(NamedLease.name.in_(names))))
    for name in names:
        if name not in known:
            upsert(session, NamedLease, [{"name": name, "slot": 0}])
    session.flush()


def take(session: Session, job: str, names: Sequence[str]) -> Held | None:
    """One slot of each name, or None and nothing taken."""
    slots = []
    for name in sorted(names):
        free = select(NamedLease).where(NamedLease.name == name, NamedLease.job_id.is_(None)).limit(1)
        slot = session.scalars(free.order_by(NamedLease.slot).with_for_update(skip_locked=True)).first()
        if slot is None:
            return None
        slots.append(slot)
    for slot in slots:
        slot.job_id = job
        slot.token += 1
    session.flush()
    return {slot.name: {"slot": slot.slot, "token": slot.token} for slot in slots}


def give_back(session: Session, jobs: Sequence[str]) -> None:
    session.execute(update(NamedLease).where(NamedLease.job_id.in_(jobs)).values(job_id=None))


def listing(engine: Engine) -> list[NamedLease]:
    with reading(engine) as session:
        return list(session.scalars(select(NamedLease).order_by(NamedLease.name, NamedLease.slot)))


def resize(engine: Engine, name: str, slots: int) -> None:
    """Raises ConflictError where a slot that would go is held."""
    if not 0 < len(name) <= LONGEST_NAME:
        raise BadInputError(f"a named resource: expected a name of 1 to {LONGEST_NAME} characters, got {len(name)}")
    with writing(engine) as session:
        beyond = (NamedLease.name == name, NamedLease.slot >= slots)
        held = session.scalar(select(func.count()).where(*beyond, NamedLease.job_id.is_not(None)))
        if held:
            raise ConflictError(f"{held} of the slots of {name!r} that would go are held; wait for their jobs to end")
        session.execute(delete(NamedLease).where(*beyond))
        known = set(session.scalars(select(NamedLease.slot).where(NamedLease.name == name)))
        for slot in range(slots):
            if slot not in known:
                session.add(NamedLease(name=name, slot=slot, job_id=None, token=0))
