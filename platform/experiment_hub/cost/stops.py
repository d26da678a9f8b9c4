"""The anti-stop guard: a paid job at work is not stopped by the way, only after a person has seen what would be lost."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from experiment_hub.configuration.settings import Settings
from experiment_hub.cost import approvals, estimates, ledger, money
from experiment_hub.cost.approvals import Word
from experiment_hub.errors import ConflictError, NotAllowedError, UnknownNameError
from experiment_hub.metadata.sessions import reading, writing
from experiment_hub.metadata.tables import Approval, CostEntry, Estimate, Job, Run, RunMetric

AT_WORK = ("starting", "running")


@dataclass(frozen=True)
class StopCard:
    """What a person should see before a paid job is stopped."""

    job_id: str
    name: str
    attempt: int
    elapsed_s: float
    remaining_s: float
    """Until its time-out, which ends it in any case."""
    spent_usd: float
    """So far, by its running time and the reserved rate; the bill is settled afterwards."""
    held_usd: float
    step: int | None
    """Last one that a run of it recorded."""
    checkpoint_age_s: float | None
    """None where no checkpoint can be seen from here."""

    def lines(self) -> list[str]:
        saved = "none can be seen" if self.checkpoint_age_s is None else f"{self.checkpoint_age_s:.0f} s old"
        return [
            f"job {self.job_id} ({self.name}), attempt {self.attempt}",
            f"at work for {self.elapsed_s:.0f} s, ends by its time-out in {self.remaining_s:.0f} s at the latest",
            f"spent about {money.shown(self.spent_usd)} of {money.shown(self.held_usd)} that are reserved",
            f"last recorded step {'none' if self.step is None else self.step}, newest checkpoint: {saved}",
        ]

    def document(self) -> dict[str, Any]:
        return asdict(self)


def may_stop(engine: Engine, home: Path, job_id: str) -> str:
    """Empty, or why a person has to agree first; jobs that cost nothing or are not at work may always be stopped."""
    card = stop_card(engine, home, job_id)
    if card is None:
        return ""
    with reading(engine) as session:
        word = approvals.standing(session, kind="stop", job_id=_attempt_name(job_id, card.attempt))
    if word is not None:
        return ""
    return f"{'; '.join(card.lines())}. To stop it all the same: `hub cost allow-stop {job_id} --reason ...`"


def allow_stop(engine: Engine, home: Path, job_id: str, word: Word) -> StopCard:
    """A person's word on stopping the attempt that is at work now; raises NotAllowedError without a reason."""
    if not (word.reason or "").strip():
        raise NotAllowedError(f"stopping paid job {job_id} needs --reason")
    card = stop_card(engine, home, job_id)
    if card is None:
        raise ConflictError(f"job {job_id} is not a paid job at work; it may be stopped without this")
    with writing(engine, durable=True) as session:
        approvals.record(session, word, kind="stop", job_id=_attempt_name(job_id, card.attempt))
    return card


def stop_card(engine: Engine, home: Path, job_id: str) -> StopCard | None:
    """None for a job that costs nothing or is not at work."""
    with reading(engine) as session:
        job = session.get(Job, job_id)
        if job is None:
            raise UnknownNameError("job", job_id, [])
        held = ledger.held(session, job_id)
        if held <= 0 or job.state not in AT_WORK:
            return None
        reserved = ledger.entries(session, job_id, kinds=("reserve",))[-1]
        runs = list(session.scalars(select(Run).where(Run.job_id == job_id)))
        return StopCard(
            job_id=job_id,
            name=job.name,
            attempt=job.attempt,
            elapsed_s=job.seconds,
            remaining_s=max(0.0, job.timeout_s - job.seconds),
            spent_usd=money.rounded(reserved.detail["usd_per_hour"] * job.seconds / estimates.SECONDS_PER_HOUR),
            held_usd=held,
            step=_last_step(session, [run.id for run in runs]),
            checkpoint_age_s=_checkpoint_age(home, runs),
        )


def runaway(engine: Engine, limits: Settings, job_id: str, *, billed_seconds: float) -> str:
    """Why this job shall be stopped without asking; empty unless a person wrote `cost.runaway_factor` into hub.yaml."""
    factor = limits.cost.runaway_factor
    if factor is None:
        return ""
    with reading(engine) as session:
        rows = ledger.entries(session, job_id, kinds=("reserve",))
        estimate = session.get(Estimate, rows[-1].estimate_hash) if rows else None
    if estimate is None:
        return ""
    spent = rows[-1].detail["usd_per_hour"] * billed_seconds / estimates.SECONDS_PER_HOUR
    if spent <= factor * estimate.expected_usd:
        return ""
    return (
        f"cost {money.shown(spent)} so far, more than {factor:g} x the {money.shown(estimate.expected_usd)} that were "
        "expected (cost.runaway_factor in hub.yaml)"
    )


def forget_permissions(session: Session, base: CostEntry, attempt: int) -> None:
    """An attempt that is over needs no permission to stop; one that was not used must not serve another."""
    name = _attempt_name(base.job_id, attempt)
    unused = (Approval.kind == "stop", Approval.job_id == name, Approval.used_by.is_(None))
    session.execute(update(Approval).where(*unused).values(used_by=name))


def _attempt_name(job_id: str, attempt: int) -> str:
    return f"{job_id}#{attempt}"


def _last_step(session: Session, run_ids: list[str]) -> int | None:
    return session.execute(select(func.max(RunMetric.last_step)).where(RunMetric.run_id.in_(run_ids))).scalar_one()


def _checkpoint_age(home: Path, runs: list[Run]) -> float | None:
    """By the files of the runs, where this machine has them."""
    stamps = [path.stat().st_mtime for run in runs for path in (home / run.folder).rglob("*checkpoint*")]
    return max(0.0, time.time() - max(stamps)) if stamps else None
