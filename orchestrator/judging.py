"""Has the gates judge one change, keeps the report."""

from __future__ import annotations

import hashlib
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
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
    from collections.abc import Callable, Iterator

    from memory.records import AttemptRow, Records, TicketRow
    from orchestrator.workspace import Workspace
    from worktrees.changes import ChangeSet


WORTH_KEEPING_S = 0.5
"""Work of gates that is kept at once: a crash costs no more than this."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the gates are asked about."""

    row: TicketRow
    attempt: AttemptRow
    changes: ChangeSet
    stage: Pass
    said: str | None
    """The agent's report, in its own words where they are still at hand."""
    whole: ChangeSet | None = None
    """What gates on the tree compare, where the ticket's change is judged together with others."""


@contextmanager
def workshop(workspace: Workspace, base: str, *, logs: Path) -> Iterator[Workshop]:
    """Open the place where gates run commands; its directories are given back afterwards, its logs stay."""
    place = Workshop(
        repository=workspace.repository,
        base=base,
        folder=workspace.worktrees,
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


def judge(
    workspace: Workspace, row: TicketRow, attempt: AttemptRow, changes: ChangeSet, *, stage: Pass, said: str | None
) -> dict[str, Any]:
    """Judge a ticket's change in one pass; record and return the report."""
    asked = Asked(row=row, attempt=attempt, changes=changes, stage=stage, said=said)
    logs = logs_of(workspace, attempt) / stage
    with workshop(workspace, changes.base, logs=logs) as place:
        report = judged(workspace, asked, place)
    keep(workspace, report, About(feature=row.feature, ticket=row.id, attempt=attempt.number))
    return report


def logs_of(workspace: Workspace, attempt: AttemptRow) -> Path:
    return workspace.state / "logs" / attempt.ticket / str(attempt.number)


def judged(
    workspace: Workspace, asked: Asked, place: Workshop, *, tell: Callable[[str], None] = lambda _gate: None
) -> dict[str, Any]:
    """Ask every gate; the report is not kept yet."""
    row = asked.row
    store = Grouped(workspace.records)
    case = Case(
        ticket=row.record,
        policy=workspace.policy_at(asked.changes.base),
        repository=workspace.repository,
        change=asked.changes,
        stage=asked.stage,
        workshop=place,
        store=store,
        attempt=asked.attempt.number,
        report=asked.said,
        grants=workspace.grants.in_force(row),
        transcript=_transcript(asked.attempt),
        spent=_spent(workspace, row),
    )
    whole = replace(case, change=asked.whole) if asked.whole else None
    with store:
        results = with_audit(workspace, row, asked.attempt, case, ask_all(case, catalogue(), tell=tell, whole=whole))
    return reports.build(case, results) | {"grants": [asdict(one) for one in case.grants]}


class Grouped:
    """Keeps verdicts by the group: each write is synced, which takes longer than most gates do."""

    def __init__(self, records: Records) -> None:
        self._records, self._last = records, time.monotonic()
        self._new: dict[str, dict[str, Any]] = {}

    def get(self, key: str) -> dict[str, Any] | None:
        return self._new.get(key) or self._records.get(key)

    def put(self, key: str, value: dict[str, Any]) -> None:
        self._new[key] = value
        if time.monotonic() - self._last > WORTH_KEEPING_S:
            self._keep()

    def _keep(self) -> None:
        self._records.put_all(self._new)
        self._new, self._last = {}, time.monotonic()

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self._keep()


def _transcript(attempt: AttemptRow) -> Path | None:
    place = (attempt.outcome or {}).get("transcript")
    return Path(place) if place else None


def _spent(workspace: Workspace, row: TicketRow) -> Spent:
    """Add up what the ticket's attempts have cost, refused and interrupted ones too."""
    usd, tokens = spent(workspace, row.id)
    return Spent(usd=usd, tokens=tokens)


def keep(workspace: Workspace, report: dict[str, Any], about: About) -> str:
    """Store the report, as a record and as a file; give its hash."""
    data = reports.render_json(report).encode()
    sha256 = hashlib.sha256(data).hexdigest()
    write_durably(workspace.state / "reports" / f"{sha256}.json", data)
    workspace.records.add_report(sha256, report, about)
    return sha256
