"""The merge train: one ticket at a time onto the predicted head, judged there, landed by compare-and-swap.

Every step can be repeated. The intention is journalled before the target moves; after a crash the target itself
says whether it did.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from gates import reports
from memory.events import About, read
from orchestrator.bench import drop_sessions
from orchestrator.feedback import conflict_text, evidence_of, signature
from orchestrator.granting import after_refusal
from orchestrator.judging import judge
from tickets.errors import InconclusiveError
from tickets.states import State
from worktrees.changes import ChangeSet, between
from worktrees.merge import Conflict, commit_tree, follow, followers, land, merge

if TYPE_CHECKING:
    from memory.records import AttemptRow, TicketRow
    from orchestrator.workspace import Workspace
    from worktrees.merge import Follower

Next = Literal["landed", "again", "ended"]
NOTES = "refs/notes/orchestrate"
_TRAIN = threading.Lock()
"""One writer for each target; the compare-and-swap is its fence against everybody else."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What the target would become."""

    head: str
    commit: str
    changes: ChangeSet


def land_ticket(workspace: Workspace, ticket_id: str) -> Next:
    """Land a queued ticket, or say how it goes on; repeating it after a crash finishes what was begun."""
    with _TRAIN:
        row = workspace.records.ticket(ticket_id)
        if row.state is State.LANDED or _finish_interrupted(workspace, row):
            return "landed"
        if row.state not in {State.QUEUED, State.LANDING}:  # a crash came after it was sent back or ended
            return "again" if row.state is State.READY else "ended"
        workspace.records.move(ticket_id, State.LANDING)
        while True:
            result = _try_to_land(workspace, row)
            if result is not None:
                return result


def _try_to_land(workspace: Workspace, row: TicketRow) -> Next | None:
    """Make one try; None when the target moved meanwhile, so that the next try meets the new head."""
    attempt = workspace.records.attempts(row.id)[-1]
    head = workspace.head()
    found = _candidate(workspace, row, attempt, head)
    if isinstance(found, Conflict):
        base = (attempt.changes or {}).get("base", attempt.base)
        told = conflict_text(workspace, row, found, base=base, head=head)
        return _send_back(workspace, row, attempt, state="conflict", evidence=told)
    said = (attempt.outcome or {}).get("report")
    report = judge(workspace, row, attempt, found.changes, stage="integrated", said=said)
    if hold := after_refusal(workspace, row, report, said):
        workspace.records.move(row.id, hold.state, hold.reason, verdict="fail")
        return "ended"
    if report["verdict"] == "fail":
        attempt = replace(attempt, outcome={**(attempt.outcome or {}), "signature": signature(report)})
        return _send_back(workspace, row, attempt, state="refused", evidence=evidence_of(report))
    if report["verdict"] == "inconclusive":
        reason = next(gate["reason"] for gate in report["gates"] if gate["verdict"] == "inconclusive")
        workspace.records.move(
            row.id, State.FAILED, f"could not be judged on the merged tree: {reason}", verdict="inconclusive"
        )
        return "ended"
    return _move_target(workspace, row, found, report)


def _candidate(workspace: Workspace, row: TicketRow, attempt: AttemptRow, head: str) -> Candidate | Conflict:
    changes = ChangeSet.from_json(attempt.changes or {})
    merged = merge(workspace.repository, head, changes.commit)
    if isinstance(merged, Conflict):
        return merged
    rehearsal = commit_tree(
        workspace.repository, merged.tree, parents=(head, changes.commit), message=f"rehearsal of {row.id}\n"
    )
    evidence = [change for change in changes.changes if change not in changes.landing]
    return Candidate(head=head, commit=rehearsal, changes=between(workspace.repository, head, rehearsal, evidence))


def _send_back(workspace: Workspace, row: TicketRow, attempt: AttemptRow, *, state: str, evidence: str) -> Next:
    outcome = {**(attempt.outcome or {}), "evidence": evidence}
    workspace.records.set_attempt(attempt, state, outcome=outcome)
    workspace.records.move(row.id, State.READY, evidence.splitlines()[0], verdict="fail")
    return "again"


# moving the target


def _move_target(workspace: Workspace, row: TicketRow, candidate: Candidate, report: dict[str, Any]) -> Next | None:
    repository, target = workspace.repository, workspace.policy.project.target
    commit = commit_tree(
        repository,
        candidate.changes.tree,
        parents=(candidate.head, *_second_parent(candidate, repository_parent=workspace.records.ticket(row.id).head)),
        message=message(row, reports.sha256(report)),
    )
    watching = followers(repository, target, old=candidate.head, new=commit)
    if blocked := [follower for follower in watching if follower.obstacle]:
        return _wait_for_person(workspace, row, blocked[0])
    about = About(feature=row.feature, ticket=row.id, attempt=report["attempt"])
    workspace.records.note(
        "landing.intended", about, {"old": candidate.head, "new": commit, "report": reports.sha256(report)}
    )
    if not land(repository, target, old=candidate.head, new=commit, reason=f"orchestrate: land {row.id}"):
        return None
    _finish(workspace, row, watching, old=candidate.head, new=commit)
    return "landed"


def _second_parent(candidate: Candidate, *, repository_parent: str | None) -> tuple[str, ...]:
    return (repository_parent,) if repository_parent and repository_parent != candidate.head else ()


def message(row: TicketRow, report_sha256: str) -> str:
    """Write the message of a landing commit: what a reader of the log gains, and where the proof is."""
    trailers = f"Ticket: {row.id}\nFeature: {row.feature}\nGate-Report: {report_sha256}\n"
    return f"{row.record.title}\n\n{row.record.objective}\n\n{trailers}"


def _wait_for_person(workspace: Workspace, row: TicketRow, follower: Follower) -> Next:
    reason = (
        f"{follower.path} has {workspace.policy.project.target} checked out with uncommitted changes that the landing would touch "
        f"({follower.obstacle}); commit or stash them, then `orchestrate resume {row.feature}`"
    )
    workspace.records.move(row.id, State.BLOCKED, reason)
    return "ended"


def _finish(workspace: Workspace, row: TicketRow, watching: list[Follower], *, old: str, new: str) -> None:
    """Everything after the move: the trees that follow, the notes, the record. Each part can be repeated."""
    target = workspace.policy.project.target
    about = About(feature=row.feature, ticket=row.id)
    for follower in watching:
        trouble = follow(follower, old=old, new=new)
        data = {"worktree": str(follower.path), "left_alone": list(follower.changed), "trouble": trouble}
        workspace.records.note("landing.followed", about, data)
    _attach_reports(workspace, row, new)
    workspace.records.note("landing.moved", about, {"target": target, "old": old, "new": new})
    used = [grant.id for grant in workspace.grants.of(row.id) if grant.state == "approved"]
    workspace.grants.use(used, landed=new, about=about)
    workspace.records.move(row.id, State.LANDED, landed=new, verdict="pass")
    drop_sessions(workspace, {row.id})
    _check(workspace, row, new)


def _attach_reports(workspace: Workspace, row: TicketRow, commit: str) -> None:
    """Keep the reports of both passes as a git note on the landing commit."""
    # without the diff: the note hangs on the commit that has it
    told = ({name: part for name, part in one.items() if name != "diff"} for one in workspace.records.reports(row.id))
    last = {report["pass"]: report for report in told}
    text = json.dumps([last[stage] for stage in ("worktree", "integrated") if stage in last], sort_keys=True)
    identity = workspace.repository.identity().environment()
    workspace.repository.git(
        "notes", f"--ref={NOTES}", "add", "--force", "--file=-", commit, stdin=text.encode(), env=identity
    )


def _check(workspace: Workspace, row: TicketRow, commit: str) -> None:
    """Prove that what stands on the target is the tree that was judged."""
    judged = {report["tree"] for report in workspace.records.reports(row.id) if report["verdict"] == "pass"}
    if workspace.repository.tree(commit) not in judged:
        raise InconclusiveError(
            f"{commit} on {workspace.policy.project.target} is not the tree that was judged for {row.id}"
        )


def _finish_interrupted(workspace: Workspace, row: TicketRow) -> bool:
    """Complete a landing whose target had already moved when the harness died."""
    intended = [
        event
        for event in read(workspace.database, feature=row.feature)
        if event.kind == "landing.intended" and event.ticket == row.id
    ]
    for event in reversed(intended):
        new, old = event.data["new"], event.data["old"]
        if workspace.repository.commit(new) and workspace.repository.is_ancestor(new, workspace.head()):
            target = workspace.policy.project.target
            _finish(workspace, row, followers(workspace.repository, target, old=old, new=new), old=old, new=new)
            return True
    return False
