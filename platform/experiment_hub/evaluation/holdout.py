"""The hidden final split: each look at it is written down before it happens, and the number of looks is bounded."""

import getpass

from sqlalchemy import Engine, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from experiment_hub.datasets.splits import FINAL
from experiment_hub.errors import BadInputError, ConflictError, NotAllowedError
from experiment_hub.evaluation.frozen import FrozenSplit
from experiment_hub.metadata.sessions import reading, writing
from experiment_hub.metadata.tables import HoldoutUse
from experiment_hub.times import now

ID_DIGITS = 16


def claim(engine: Engine, frozen: FrozenSplit, *, reason: str, allowed: int) -> str:
    """One use, recorded and counted whatever becomes of it; raises NotAllowedError when all are used up.

    Its id holds its number, so of two that claim the same number the database lets one through.
    """
    if not reason.strip():
        raise BadInputError("--reason: say in a sentence why the final split is looked at now")
    same = or_(HoldoutUse.split_hash == frozen.split_hash, HoldoutUse.dataset_hash == frozen.dataset_hash)
    try:
        with writing(engine, durable=True) as session:
            used = session.scalar(select(func.count()).select_from(HoldoutUse).where(same)) or 0
            if used >= allowed:
                raise NotAllowedError(
                    f"the final split of {frozen.dataset} was used {used} times and may be used {allowed} times "
                    "(hub.yaml: evaluation.final_uses); each further look makes its figures less honest"
                )
            use = HoldoutUse(
                id=f"h-{frozen.split_hash[:ID_DIGITS]}-{used + 1}",
                dataset_hash=frozen.dataset_hash,
                split=FINAL,
                split_hash=frozen.split_hash,
                evaluation_id=None,
                actor=getpass.getuser(),
                reason=reason,
                at=now(),
            )
            session.add(use)
    except IntegrityError as error:
        raise ConflictError(f"the final split of {frozen.dataset} is being used by somebody else") from error
    return use.id


def conclude(engine: Engine, use_id: str, evaluation_id: str) -> None:
    with writing(engine) as session:
        session.execute(update(HoldoutUse).where(HoldoutUse.id == use_id).values(evaluation_id=evaluation_id))


def uses(engine: Engine) -> list[HoldoutUse]:
    """Oldest first."""
    with reading(engine) as session:
        return list(session.scalars(select(HoldoutUse).order_by(HoldoutUse.at, HoldoutUse.id)))
