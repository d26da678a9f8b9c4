"""Single variant first: of a fan-out one job goes ahead, the others wait until it has been verified."""

import json
from pathlib import Path
from typing import Literal

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from experiment_hub.cost.ledger import lock, stamp
from experiment_hub.cost.request import Request
from experiment_hub.errors import ConflictError, UnknownNameError
from experiment_hub.metadata.sessions import writing
from experiment_hub.metadata.tables.cost import FanOut

CHECKS = ("finite_loss", "gradient_flow", "checkpoint")
Outcome = Literal["finished", "failed", "cancelled"]


def hold_back(engine: Engine, request: Request) -> str:
    """Why this variant has to wait; empty when it may start, and then it is the one that goes ahead if nobody did."""
    if request.fan_out is None:
        return ""
    with writing(engine) as session:
        lock(session)
        row = _row(session, request)
        if row.state == "verified" or row.first_job == request.job_id:
            return ""
        if row.first_job is None:
            row.first_job, row.launcher, row.at = request.job_id, request.launcher, stamp(session)
            return ""
        return _why_wait(row)


def read_health(file: Path) -> tuple[Literal["unknown", "passed", "failed"], str]:
    """What a run wrote to HUB_HEALTH_FILE: `finite_loss`, `gradient_flow` and `checkpoint`, each true or false."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return "unknown", "no health check has been written yet"
    if not (isinstance(found, dict) and all(isinstance(found.get(name), bool) for name in CHECKS)):
        return "failed", f"its health check lacks {', '.join(CHECKS)} as true or false"
    broken = [name for name in CHECKS if not found[name]]
    return (
        ("failed", f"its health check failed: {', '.join(broken)}") if broken else ("passed", "passed its health check")
    )


def note_health(engine: Engine, request: Request, file: Path) -> bool:
    """Whether this job's health check has just opened its fan-out, so that the variants that wait may go on."""
    state, why = read_health(file)
    if request.fan_out is None or state == "unknown":
        return False
    return _settle(engine, request, "verified" if state == "passed" else "failed", why)


def note_end(engine: Engine, request: Request, outcome: Outcome, why: str = "") -> bool:
    """The same at the end of a job, after its last attempt; a cancelled one lets another variant go ahead."""
    if request.fan_out is None:
        return False
    if outcome == "cancelled":
        return _give_way(engine, request)
    return _settle(engine, request, "verified" if outcome == "finished" else "failed", why or outcome)


def let_another(engine: Engine, fan_out: str, *, actor: str, reason: str) -> None:
    """After a failed first variant a person lets the next one go ahead, which is as little verified as the first was."""
    with writing(engine) as session:
        rows = list(session.scalars(select(FanOut).where(FanOut.name == fan_out)))
        if not rows:
            raise UnknownNameError("fan-out", fan_out, list(session.scalars(select(FanOut.name))))
        for row in rows:
            if row.state != "failed":
                raise ConflictError(f"fan-out {fan_out} is {row.state}: there is nothing to let go of")
            row.state, row.first_job, row.why, row.at = "open", None, f"{actor}: {reason}", stamp(session)


def verified(session: Session, request: Request) -> bool:
    """Whether a variant of the same fan-out has been verified on the same launcher."""
    row = session.get(FanOut, (request.project, request.fan_out)) if request.fan_out else None
    return row is not None and row.state == "verified" and row.launcher == request.launcher


def none_verified(request: Request) -> str:
    """What to do about it, for people."""
    name = request.fan_out or "NAME"
    return (
        f"no variant has been verified on launcher {request.launcher}: send a small one first (a short time-out, a few "
        f"steps) as fan-out {name}, and this job as fan-out {name} too"
    )


def _settle(engine: Engine, request: Request, state: str, why: str) -> bool:
    with writing(engine) as session:
        lock(session)
        row = _row(session, request)
        if row.state == "verified" or row.first_job not in {None, request.job_id}:
            return False
        row.state, row.first_job, row.why = state, request.job_id, why
        row.launcher, row.at = request.launcher, stamp(session)
        return state == "verified"


def _give_way(engine: Engine, request: Request) -> bool:
    with writing(engine) as session:
        lock(session)
        row = _row(session, request)
        if row.state != "open" or row.first_job != request.job_id:
            return False
        row.first_job, row.why, row.at = None, f"{request.job_id} was cancelled", stamp(session)
        return True


def _row(session: Session, request: Request) -> FanOut:
    row = session.get(FanOut, (request.project, request.fan_out))
    if row is None:
        row = FanOut(
            project=request.project,
            name=request.fan_out,
            launcher=request.launcher,
            first_job=None,
            state="open",
            why="nobody went ahead yet",
            at=stamp(session),
        )
        session.add(row)
    return row


def _why_wait(row: FanOut) -> str:
    if row.state == "failed":
        return (
            f"fan-out {row.name} stays locked: its first variant, job {row.first_job}, {row.why}; mend it, then "
            f"`hub cost next-variant {row.name} --reason ...` lets another one go ahead"
        )
    return f"fan-out {row.name}: waits until its first variant, job {row.first_job}, has passed its health check"
