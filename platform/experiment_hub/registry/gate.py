"""What was evaluated is what is promoted: the door to production."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from experiment_hub.errors import BadInputError, NotAllowedError
from experiment_hub.metadata.tables import Evaluation, ModelVersion


@dataclass(frozen=True)
class Grounds:
    """Why a version may go to production."""

    evaluation: str | None = None
    """Id of an evaluation; None takes the newest one of the version's own content."""
    minimum: Mapping[str, float] = field(default_factory=dict)
    """Least good value by metric; at most that much where less is better."""
    without_evaluation: bool = False
    reason: str | None = None

    @property
    def given(self) -> bool:
        """Somebody wants them looked at, whatever the stage."""
        return bool(self.evaluation or self.minimum)


def judge(session: Session, version: ModelVersion, grounds: Grounds) -> str | None:
    """Id of the evaluation that carries the promotion, None where a person takes the responsibility.

    Raises NotAllowedError where the grounds do not suffice.
    """
    if grounds.without_evaluation:
        if grounds.evaluation or grounds.minimum or not (grounds.reason or "").strip():
            raise BadInputError("--without-evaluation needs --reason, and neither --evaluation nor --minimum")
        return None
    found = _evaluation(session, version, grounds.evaluation)
    for name, limit in grounds.minimum.items():
        _compare(found, name, limit)
    return found.id


def _evaluation(session: Session, version: ModelVersion, wanted: str | None) -> Evaluation:
    label = f"version {version.version} of model {version.model!r}"
    if wanted is None:
        query = select(Evaluation).where(Evaluation.digest == version.digest)
        newest = session.scalar(query.order_by(Evaluation.created_at.desc(), Evaluation.id).limit(1))
        if newest is None:
            raise NotAllowedError(
                f"{label} was never evaluated: run `hub eval {version.model}@{version.version}` first, "
                "or say --without-evaluation --reason WHY"
            )
        return newest
    found = session.get(Evaluation, wanted)
    if found is None:
        raise BadInputError(f"there is no evaluation {wanted!r}")
    if found.digest != version.digest:
        raise NotAllowedError(f"evaluation {wanted} is of {found.digest}, but {label} is {version.digest}")
    return found


def _compare(found: Evaluation, name: str, limit: float) -> None:
    from experiment_hub.metrics.registry import metric  # brings numpy, which a promotion without limits does not need

    definition = metric(name)
    if name not in found.metrics:
        raise NotAllowedError(f"evaluation {found.id} has no {name}; it has {', '.join(sorted(found.metrics))}")
    value = found.metrics[name]["value"]
    if value is None or not math.isfinite(value) or definition.improvement(limit, value) < 0:
        word = "at least" if definition.direction == "max" else "at most"
        raise NotAllowedError(f"evaluation {found.id}: {name} is {value}, expected {word} {limit}")
