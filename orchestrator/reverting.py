"""Taking a landing back: the reverse of what a ticket did becomes a ticket of its own, judged and landed as any other."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from agents.causes import Cause
from agents.protocol import Outcome
from agents.reports import markdown
from memory.grants import Answer
from orchestrator.granting import person
from orchestrator.train.landing import REVERTS
from tickets.errors import InputError, SignalboxError
from tickets.grants import BLANKETS, Kind, blanket
from tickets.model import Draft, Scope
from tickets.plan import Plan
from tickets.states import State
from worktrees.changes import ChangeSet, between
from worktrees.durable import sync
from worktrees.merge import Conflict, commit_tree, reverse

if TYPE_CHECKING:
    from memory.records import TicketRow
    from orchestrator.workspace import Workspace

DAYS = 7.0


@dataclass(frozen=True, kw_only=True)
class Reversal:
    """What taking a ticket's landing back would change."""

    row: TicketRow
    changes: ChangeSet
    reason: str


def rehearse(workspace: Workspace, ticket: str, reason: str) -> Reversal:
    """Compute the reverse of a landed ticket on the target of today; raise where that cannot be."""
    row = workspace.records.ticket(ticket)
    if row.state is not State.LANDED:
        raise InputError(f"{ticket} is {row.state}; only what has landed can be taken back")
    attempt = next(one for one in reversed(workspace.records.attempts(ticket)) if one.changes)
    did, head = ChangeSet.from_json(attempt.changes or {}), workspace.head()
    found = reverse(workspace.repository, head, did.commit, did.base)
    if isinstance(found, Conflict):
        raise SignalboxError(
            f"{ticket} cannot be taken back by itself: what landed later changed the same lines "
            f"({', '.join(found.paths)}); take that back first, or ask for the change that is wanted"
        )
    if found.tree == workspace.repository.tree(head):
        raise InputError(f"{ticket}: nothing of it is left on {workspace.policy.project.target}")
    commit = commit_tree(workspace.repository, found.tree, parents=(head,), message=f"{_title(row)}\n\n{reason}\n")
    return Reversal(row=row, changes=between(workspace.repository, head, commit), reason=reason)


def _title(row: TicketRow) -> str:
    return f"revert {row.id}: {row.record.title}"


def ask_for(workspace: Workspace, reversal: Reversal) -> str:
    """Record the revert as a feature whose one attempt is made already; give its id. The gates and the train do the rest."""
    row, changes = reversal.row, reversal.changes
    plan = Plan(request=f"{_title(row)} ({reversal.reason})", tickets=(_draft(workspace, reversal),))
    options = {"plan": plan.model_dump(mode="json"), "yes": False, REVERTS: row.id}
    target = workspace.policy.project.target
    sync(workspace.repository.common)
    with workspace.database.transaction():
        feature = workspace.records.add_feature(plan.request, options=options, target=target, before=changes.base)
        (ticket,) = workspace.records.set_plan(feature, plan)
        workspace.records.start_attempt(ticket, base=changes.base, start=changes.base, worktree="")
        (attempt,) = workspace.records.attempts(ticket)
        outcome = {**_outcome(reversal).to_json(), "agent": "", "ended_at": time.time()}
        workspace.records.set_attempt(attempt, "captured", outcome=outcome, changes=changes.to_json())
        made = workspace.records.ticket(ticket)
        needs = [(blanket(kind), f"{row.id} is taken back: {reversal.reason}") for kind in made.record.requires]
        answer = Answer(approved=True, person=person(workspace), reason=reversal.reason, days=DAYS)
        for asked in workspace.grants.ask(made, needs):
            workspace.grants.decide(asked.id, answer, made.about)
        data = {"ticket": row.id, "landed": row.landed, "by": ticket, "reason": reversal.reason}
        workspace.records.note("landing.revert-asked", made.about, data)
    workspace.repository.move(
        f"refs/orchestrate/attempts/{ticket}/1", new=changes.commit, old=None, reason=f"{ticket}: revert of {row.id}"
    )
    return feature


def _draft(workspace: Workspace, reversal: Reversal) -> Draft:
    row = reversal.row
    there = {entry.path for entry in workspace.repository.entries(workspace.repository.tree(reversal.changes.base))}
    paths = sorted({path for change in reversal.changes.landing for path in change.paths})
    return Draft(
        key="revert",
        title=_title(row),
        objective=f"Take back what {row.id} landed: {reversal.reason}",
        non_goals=("anything that other tickets did",),
        scope=Scope(
            write=tuple(path for path in paths if path in there),
            new=tuple(path for path in paths if path not in there),
        ),
        acceptance=(),
        # what the ticket added goes, its tests and interfaces with it: that is what the person asks for
        requires=tuple(kind for kind in get_args(Kind) if kind in BLANKETS),
        context=f"{row.id} landed as {row.landed}.",
    )


def _outcome(reversal: Reversal) -> Outcome:
    files = "\n".join(
        f"- {path}: as before {reversal.row.id}" for change in reversal.changes.landing for path in change.paths
    )
    said = {
        "summary": f"Takes back {reversal.row.id}: {reversal.reason}",
        "files_changed": files,
        "verification": "none",
        "risks_edge_cases": "none",
        "out_of_scope_issues_found": "none",
    }
    return Outcome(ending="done", reason="", report=markdown(said, ()), transcript="", cause=Cause.DONE)
