"""Who needs which content; the one answer that reports and collections share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CTE, ColumnElement, CompoundSelect, Select, case, func, literal, or_, select, union, union_all

from experiment_hub.metadata.tables import ArtifactLink, ArtifactPart, Job, ModelVersion, Run

OVER = ("finished", "failed", "cancelled")
"""States of a job that needs nothing any more; every other one may still start or go on."""


@dataclass(frozen=True)
class Reason:
    rank: int
    name: str
    """For people."""


MODEL = Reason(1, "registered model")
BASELINE = Reason(2, "baseline")
AT_WORK = Reason(3, "running or waiting")
FOREVER = Reason(4, "kept for ever")
TRANSIENT = Reason(5, "kept for a while")
REASONS = {reason.rank: reason.name for reason in (MODEL, BASELINE, AT_WORK, FOREVER, TRANSIENT)}
_NAMING = ((ArtifactLink, ArtifactLink.digest), (ModelVersion, ModelVersion.digest))


def at_work() -> ColumnElement[bool]:
    """Links of runs that are running, and of jobs, and their runs, that are not over."""
    jobs = select(Job.id).where(Job.state.not_in(OVER))
    runs = select(Run.id).where(or_(Run.state == "running", Run.job_id.in_(jobs)))
    of_run = (ArtifactLink.owner_kind == "run") & ArtifactLink.owner.in_(runs)
    return of_run | ((ArtifactLink.owner_kind == "job") & ArtifactLink.owner.in_(jobs))


def registered() -> ColumnElement[bool]:
    """Links to content that a version of a registered model is."""
    return ArtifactLink.digest.in_(select(ModelVersion.digest))


def _rank() -> ColumnElement[int]:
    return case(
        (ArtifactLink.owner_kind == "model", MODEL.rank),
        (ArtifactLink.owner_kind == "baseline", BASELINE.rank),
        (at_work(), AT_WORK.rank),
        (ArtifactLink.keep == "forever", FOREVER.rank),
        else_=TRANSIENT.rank,
    )


def claims() -> CTE:
    """`digest`, `rank`: the strongest reason for each content that anything needs, parts of folders included."""
    direct = union_all(
        select(ModelVersion.digest.label("digest"), literal(MODEL.rank).label("rank")),
        select(ArtifactLink.digest, _rank()),
    ).cte("direct")
    parts = select(ArtifactPart.digest, direct.c.rank).join(direct, direct.c.digest == ArtifactPart.folder)
    everything = union_all(select(direct.c.digest, direct.c.rank), parts).subquery()
    return _strongest(select(everything.c.digest, func.min(everything.c.rank).label("rank")), everything.c.digest)


def _strongest(query: Select[Any], digest: ColumnElement[str]) -> CTE:
    return query.group_by(digest).cte("claims")


def needed_among(digests: Sequence[str]) -> CompoundSelect[Any]:
    """Those of a few contents that anything needs, found by index rather than by looking at everything."""
    parts = [select(ArtifactPart.digest).join(table, column == ArtifactPart.folder) for table, column in _NAMING]
    return union(
        *(select(column).where(column.in_(digests)) for _, column in _NAMING),
        *(query.where(ArtifactPart.digest.in_(digests)) for query in parts),
    )
