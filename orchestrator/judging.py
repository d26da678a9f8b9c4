"""Has the gates judge one change, keeps the report."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gates import reports
from gates.catalogue import catalogue
from gates.protocol import Case, Pass, Spent
from gates.runner import judge as ask_all
from gates.workshop import Workshop
from memory.events import About
from orchestrator.auditing import with_audit
from orchestrator.money.books import spent
from worktrees.durable import write_durably

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memory.records import AttemptRow, TicketRow
    from orchestrator.workspace import Workspace
    from worktrees.changes import ChangeSet

LEASES = ".leases"


@contextmanager
def workshop(workspace: Workspace, base: str, *, name: str, logs: Path) -> Iterator[Workshop]:
    """Open the place where gates run commands; its directories are gone afterwards, its logs stay."""
    place = Workshop(
        repository=workspace.repository,
        base=base,
        folder=workspace.worktrees / LEASES / name,
        logs=logs,
        level=workspace.level,
        bounds=workspace.bounds,
        room=workspace.worktrees,
        provision=workspace.provision,
    )
    try:
        yield place
    finally:
        place.close()
        shutil.rmtree(place.folder, ignore_errors=True)


def judge(
    workspace: Workspace, row: TicketRow, attempt: AttemptRow, changes: ChangeSet, *, stage: Pass, said: str | None
) -> dict[str, Any]:
    """Judge a ticket's change in one pass; record and return the report."""
    about = About(feature=row.feature, ticket=row.id, attempt=attempt.number)
    logs = workspace.state / "logs" / row.id / str(attempt.number) / stage
    with workshop(workspace, changes.base, name=f"{row.id}{stage[0]}", logs=logs) as place:
        case = Case(
            ticket=row.record,
            policy=workspace.policy_at(changes.base),
            repository=workspace.repository,
            change=changes,
            stage=stage,
            workshop=place,
            store=workspace.records,
            attempt=attempt.number,
            report=said,
            grants=workspace.grants.in_force(row),
            transcript=_transcript(attempt),
            spent=_spent(workspace, row),
        )
        results = with_audit(workspace, row, attempt, case, ask_all(case, catalogue()))
        report = reports.build(case, results) | {"grants": [asdict(one) for one in case.grants]}
    keep(workspace, report, about)
    return report


def _transcript(attempt: AttemptRow) -> Path | None:
    place = (attempt.outcome or {}).get("transcript")
    return Path(place) if place else None


def _spent(workspace: Workspace, row: TicketRow) -> Spent:
    """Add up what the ticket's attempts have cost, refused and interrupted ones too."""
    usd, tokens = spent(workspace, row.id)
    return Spent(usd=usd, tokens=tokens)


def keep(workspace: Workspace, report: dict[str, Any], about: About) -> str:
    """Store the report, as a record and as a file; give its hash."""
    sha256 = reports.sha256(report)
    write_durably(workspace.state / "reports" / f"{sha256}.json", reports.render_json(report).encode())
    workspace.records.add_report(sha256, report, about)
    return sha256
