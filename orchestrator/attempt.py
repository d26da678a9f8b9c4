"""One attempt of one ticket: checkout, agent, change set, and the gates in the worktree pass."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from agents.catalogue import driver
from agents.protocol import Outcome
from gates import reports
from orchestrator.bench import at_work, provide
from orchestrator.granting import after_refusal, before_work, hint
from orchestrator.judging import judge
from tickets.states import State
from worktrees import checkout as trees
from worktrees.changes import Change, ChangeSet, capture
from worktrees.checkout import Checkout
from worktrees.durable import sync
from worktrees.merge import Merged, commit_tree, merge
from worktrees.snapshots import snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from memory.records import AttemptRow, TicketRow
    from orchestrator.workspace import Workspace

Next = Literal["passed", "again", "ended"]


def run_attempt(workspace: Workspace, ticket_id: str) -> Next:
    """Make one attempt and say how the ticket goes on; repeating it after a crash takes up where it was."""
    records = workspace.records
    rescue(workspace, ticket_id)
    row = records.ticket(ticket_id)
    attempts = records.attempts(ticket_id)
    last = attempts[-1] if len(attempts) > row.forgiven else None
    if hold := before_work(workspace, row):
        records.move(ticket_id, hold.state, hold.reason)
        return "ended"
    if last and last.state == "passed":
        return _passed(workspace, row, last)
    if last and last.state == "captured":
        return _judge(workspace, row, last)
    if refusal := _exhausted(workspace, row, attempts):
        records.move(ticket_id, *refusal)
        return "ended"
    finished = [attempt for attempt in attempts if attempt.counts]
    return _work(workspace, row, finished[-1] if finished else None)


def _exhausted(workspace: Workspace, row: TicketRow, attempts: list[AttemptRow]) -> tuple[State, str] | None:
    counted = [attempt for attempt in attempts[row.forgiven :] if attempt.counts]
    if not counted:
        return None
    if len(counted) >= workspace.policy.dispatch.attempts:
        said = f"{len(counted)} attempts used up"
    elif _stuck(counted):
        said = "the same change was handed in again"
    elif _would_repeat(workspace, row, counted[-1]):
        said = "another attempt would give the same change"
    else:
        return None
    why = (counted[-1].outcome or {}).get("evidence") or "no reason was recorded"
    failed = counted[-1].state == "failed"
    return (State.FAILED if failed else State.REJECTED), f"{_first_line(why)} ({said})"


def _would_repeat(workspace: Workspace, row: TicketRow, last: AttemptRow) -> bool:
    agent = driver(workspace.policy, workspace.policy.agent_for(row.record.role), workspace.root)
    return agent.repeats_itself and last.base == workspace.head()


def _stuck(counted: list[AttemptRow]) -> bool:
    """Say whether the last two attempts left the same tree on the same base: a third would not be wiser."""
    if len(counted) < 2 or counted[-1].state == "conflict":  # noqa: PLR2004 - a pair
        return False
    one, other = ((attempt.changes or {}) for attempt in counted[-2:])
    return bool(one) and one.get("tree") == other.get("tree") and one.get("base") == other.get("base")


def _first_line(text: str) -> str:
    return next((line.strip("# ") for line in text.splitlines() if line.strip("# ")), "")


# the agent at work


@dataclass(frozen=True, kw_only=True)
class _Watch:
    """Marks of the person's repository, compared before and after an agent that no sandbox holds."""

    control: str
    files: frozenset[str]

    @classmethod
    def take(cls, workspace: Workspace) -> _Watch:
        digest = hashlib.sha256()
        common = workspace.repository.common
        for path in sorted([common / "config", *(common / "hooks").glob("*"), *(common / "info").glob("*")]):
            if path.is_file():
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
        listing = workspace.repository.ask(
            "status", "--porcelain", "-z", env={"GIT_WORK_TREE": str(workspace.root)}
        ).out
        return cls(control=digest.hexdigest(), files=frozenset(os.fsdecode(listing).split("\0")))

    def differences(self, later: _Watch) -> list[Change]:
        """Give what changed meanwhile: nobody else writes to these by themselves, but a person may have."""
        found = [
            Change(
                path=entry[3:],
                kind="outside",
                note="changed in the main checkout while the agent ran without a sandbox",
            )
            for entry in sorted(later.files - self.files)
            if entry
        ]
        if later.control != self.control:
            found.append(
                Change(
                    path=".git", kind="git", note="the repository's configuration or hooks changed while the agent ran"
                )
            )
        return found


def _work(workspace: Workspace, row: TicketRow, last: AttemptRow | None) -> Next:
    base = workspace.head()
    start = _start(workspace, base, last)
    evidence = (last.outcome or {}).get("evidence", "") if last else ""
    agent_name = workspace.policy.agent_for(row.record.role)
    agent = driver(workspace.policy, agent_name, workspace.root)
    layered = agent.runs_foreign_code and workspace.layered
    spec = _spec(workspace, row, base=base, start=start, layered=layered)
    with trees.checkout(workspace.repository, spec, lambda: provide(workspace, spec)):
        unheld = agent.runs_foreign_code and workspace.level == "none"
        before = _Watch.take(workspace) if unheld else None
        outcome = at_work(workspace, row, spec, agent=agent, evidence=evidence)
        outside = before.differences(_Watch.take(workspace)) if before else []
        changes = capture(workspace.repository, spec, claims=row.record.scope.allowed, outside=outside)
        sync(workspace.repository.common)
        attempt = workspace.records.attempts(row.id)[-1]
        workspace.records.set_attempt(attempt, "captured", outcome=outcome.to_json(), changes=changes.to_json())
    return _judge(workspace, row, workspace.records.attempts(row.id)[-1])


def _start(workspace: Workspace, base: str, last: AttemptRow | None) -> str:
    """Go on from what the last refused attempt left, moved onto the base of today; from the base where that conflicts."""
    if last is None or last.state not in {"refused", "passed"} or not last.changes:
        return base
    left = ChangeSet.from_json(last.changes).commit
    if last.base == base:
        return left
    merged = merge(workspace.repository, base, left)
    if not isinstance(merged, Merged):
        return base
    return commit_tree(
        workspace.repository, merged.tree, parents=(base,), message=f"{last.ticket}: start of the next attempt\n"
    )


def _spec(workspace: Workspace, row: TicketRow, *, base: str, start: str, layered: bool) -> Checkout:
    path = workspace.worktrees / row.record.slug
    number = workspace.records.start_attempt(row.id, base=base, start=start, worktree=str(path))
    home = workspace.worktrees / ".homes" / f"{row.id}-{number}"
    return Checkout(
        ticket=row.id,
        attempt=number,
        base=base,
        start=start,
        subject=row.record.title,
        path=path,
        home=home,
        owner=os.getpid(),
        snapshot=str(_snapshot(workspace, start)) if layered else "",
    )


def _snapshot(workspace: Workspace, commit: str) -> Path:
    return snapshot(workspace.repository, workspace.repository.tree(commit), workspace.worktrees)


# the verdict on it


def _judge(workspace: Workspace, row: TicketRow, attempt: AttemptRow) -> Next:
    outcome = Outcome.from_json({k: v for k, v in (attempt.outcome or {}).items() if k != "evidence"})
    changes = ChangeSet.from_json(attempt.changes or {})
    if outcome.ending != "done":
        evidence = f"The attempt ended early: {outcome.reason or outcome.ending}."
        return _close(workspace, row, attempt, "failed", evidence)
    if not changes.changes:
        return _close(workspace, row, attempt, "refused", "The agent changed nothing, and said it was done.")
    workspace.records.move(row.id, State.VERIFYING, head=changes.commit, spend_usd=row.spend_usd + outcome.spend_usd)
    report = judge(workspace, row, attempt, changes, stage="worktree", said=outcome.report)
    if report["verdict"] == "pass":
        workspace.records.set_attempt(attempt, "passed")
        return _passed(workspace, row, attempt)
    if hold := after_refusal(workspace, row, report, outcome.report):
        workspace.records.move(row.id, hold.state, hold.reason, verdict="fail")
        return "ended"
    state = "refused" if report["verdict"] == "fail" else "inconclusive"
    evidence = "\n\n".join(filter(None, (evidence_of(report), hint(workspace, row, report))))
    return _close(workspace, row, attempt, state, evidence)


def _passed(workspace: Workspace, row: TicketRow, attempt: AttemptRow) -> Next:
    commit = (attempt.changes or {})["commit"]
    keep_branch(workspace, row, commit)
    # after a crash the ticket may be further on already: queued, or landing
    if workspace.records.ticket(row.id).state in {State.READY, State.RUNNING, State.VERIFYING}:
        workspace.records.move(row.id, State.VERIFYING)
        workspace.records.move(row.id, State.QUEUED, head=commit, verdict="pass")
    return "passed"


def _close(workspace: Workspace, row: TicketRow, attempt: AttemptRow, state: str, evidence: str) -> Next:
    """End the attempt and send the ticket back, or end the ticket where it could not be judged."""
    verdict = {"refused": "fail", "failed": None, "inconclusive": "inconclusive"}[state]
    outcome = {**(attempt.outcome or {}), "evidence": evidence}
    workspace.records.set_attempt(attempt, state, outcome=outcome)
    if state == "inconclusive":
        workspace.records.move(row.id, State.FAILED, f"could not be judged: {_first_line(evidence)}", verdict=verdict)
        return "ended"
    workspace.records.move(row.id, State.READY, _first_line(evidence), verdict=verdict)
    return "again"


def evidence_of(report: dict[str, Any]) -> str:
    """Write the findings of a report for the agent that has to mend them: findings first, output below."""
    lines = []
    for gate in report["gates"]:
        if gate["verdict"] == "pass":
            continue
        lines.append(f"### {gate['name']}: {gate['reason']}")
        blocking = [finding for finding in gate["findings"] if not finding["granted"]]
        lines += [f"- {reports.finding_line(finding)}" for finding in blocking[: reports.SHOWN]]
    return "\n".join(lines)


def keep_branch(workspace: Workspace, row: TicketRow, commit: str) -> None:
    """Point the ticket's branch at what may land, so that a person can look at it."""
    ref = f"refs/heads/tickets/{row.record.slug}"
    workspace.repository.move(
        ref, new=commit, old=workspace.repository.commit(ref), reason=f"{row.id} passed its gates"
    )


# leftovers of a crash


def rescue(workspace: Workspace, ticket_id: str = "") -> list[str]:
    """Archive and remove trees that a crash left behind; say which. Nothing is removed before it is archived."""
    found = []
    for spec in trees.registered(workspace.repository):
        if ticket_id and spec.ticket != ticket_id:
            continue
        row = workspace.records.ticket(spec.ticket)
        attempt = workspace.records.attempts(spec.ticket)[spec.attempt - 1]
        if spec.path.is_dir():
            changes = capture(workspace.repository, spec, claims=row.record.scope.allowed)
            if attempt.state == "running":
                workspace.records.set_attempt(attempt, "interrupted", changes=changes.to_json())
            trees.discard(workspace.repository, spec)
        else:
            trees.forget(workspace.repository, spec)
        found.append(f"{spec.ticket} attempt {spec.attempt}")
    for row in [workspace.records.ticket(ticket_id)] if ticket_id else workspace.records.tickets():
        for attempt in workspace.records.attempts(row.id):
            if attempt.state == "running":  # it was recorded, but the crash came before its tree
                workspace.records.set_attempt(attempt, "interrupted")
    return found
