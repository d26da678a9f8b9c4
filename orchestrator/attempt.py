"""One attempt of one ticket: checkout, agent, change set, and the gates in the worktree pass."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from agents.catalogue import driver
from agents.causes import HANDLING, Cause
from agents.protocol import Outcome
from orchestrator.bench import Wish, hide_secrets
from orchestrator.feedback import (
    ANEW,
    GO_ON,
    SAME_FAILURES,
    evidence_of,
    for_next,
    in_a_row,
    remember_dead_end,
    signature,
)
from orchestrator.granting import after_refusal, before_work, hint
from orchestrator.judging import judge
from orchestrator.keeping import TOLD, Outset, rescue, set_out, take_in, under_way
from orchestrator.lead.followups import Reported, consult
from orchestrator.money.purse import NoMoneyError, purse
from orchestrator.recovery import course
from tickets.states import State
from worktrees.changes import ChangeSet
from worktrees.merge import Merged, commit_tree, merge

if TYPE_CHECKING:
    from memory.records import AttemptRow, TicketRow
    from orchestrator.money.purse import Purse
    from orchestrator.workspace import Workspace
    from worktrees.checkout import Checkout

Next = Literal["passed", "again", "ended"]


def run_attempt(workspace: Workspace, ticket_id: str) -> Next:
    """Make one attempt and say how the ticket goes on; repeating it after a crash takes up where it was."""
    records = workspace.records
    if spec := under_way(workspace, ticket_id):
        return _followed(workspace, records.ticket(ticket_id), spec)
    rescue(workspace, ticket_id)
    return _begun(workspace, records.ticket(ticket_id))


def _begun(workspace: Workspace, row: TicketRow) -> Next:
    """Go on from the last attempt, or make the next one."""
    records, ticket_id = workspace.records, row.id
    # one that is recorded as running still has not begun: it is made now
    attempts = [attempt for attempt in records.attempts(ticket_id) if attempt.state != "running"]
    last = attempts[-1] if len(attempts) > row.forgiven else None
    if hold := before_work(workspace, row):
        records.move(ticket_id, hold.state, hold.reason)
        return "ended"
    if last and last.state == "passed":
        return _passed(workspace, row, last)
    if last and last.state == "captured":
        return _judge(workspace, row, last)
    ahead = course(workspace.policy, row.record.role, attempts[row.forgiven :])
    refusal = _exhausted(workspace, row, attempts) or (ahead.trouble and (State.FAILED, ahead.trouble))
    if refusal:
        records.move(ticket_id, *refusal)
        return "ended"
    try:
        with purse(workspace, row, agent_name=ahead.agent, attempt=len(attempts) + 1) as money:
            return _work(workspace, row, attempts, ahead.agent, money)
    except NoMoneyError as error:
        records.move(ticket_id, State.BLOCKED, str(error))
        return "ended"


def _exhausted(workspace: Workspace, row: TicketRow, attempts: list[AttemptRow]) -> tuple[State, str] | None:
    if attempts and (attempts[-1].outcome or {}).get("agent") == "":  # nobody's work: it was computed, and is as it is
        said = (attempts[-1].outcome or {}).get("evidence") or f"it ended as {attempts[-1].state}"
        return (
            State.REJECTED,
            f"{_first_line(said)} (no agent works on a revert: take it back by hand, or ask for a change)",
        )
    counted = [attempt for attempt in attempts[row.forgiven :] if attempt.counts]
    if not counted:
        return None
    why = _first_line((counted[-1].outcome or {}).get("evidence") or "no reason was recorded")
    if in_a_row(counted) >= SAME_FAILURES:
        said = f"the same failure {SAME_FAILURES} times"
        remember_dead_end(workspace, row, counted[-SAME_FAILURES:], why)
    elif len(counted) >= workspace.policy.dispatch.attempts:
        said = f"{len(counted)} attempts used up"
    elif _would_repeat(workspace, row, counted[-1]):
        said = "another attempt would give the same change"
    else:
        return None
    failed = counted[-1].state == "failed"
    return (State.FAILED if failed else State.REJECTED), f"{why} ({said})"


def _would_repeat(workspace: Workspace, row: TicketRow, last: AttemptRow) -> bool:
    agent = driver(workspace.policy, workspace.policy.agent_for(row.record.role), workspace.root)
    return agent.repeats_itself and last.base == workspace.head()


def _first_line(text: str) -> str:
    return next((line.strip("# ") for line in text.splitlines() if line.strip("# ")), "")


# the agent at work


def _work(workspace: Workspace, row: TicketRow, attempts: list[AttemptRow], agent_name: str, money: Purse) -> Next:
    base = workspace.head()
    last = next((attempt for attempt in reversed(attempts) if attempt.outcome), None)
    start = _start(workspace, base, last)
    agent = driver(workspace.policy, agent_name, workspace.root)
    # a session that an attempt which was killed went on with knows of work that the tree has not, and of money booked already
    goes_on = agent.capabilities.resumes and start.goes_on and last is attempts[-1]
    before = _conversation(last, row, agent_name) if goes_on else None
    wish = Wish(agent=agent_name, told=for_next(attempts), before=before)
    spec = set_out(workspace, row, Outset(base=base, start=start.commit, wish=wish), money)
    return _followed(workspace, row, spec)


def _followed(workspace: Workspace, row: TicketRow, spec: Checkout) -> Next:
    """See the attempt through whose keeper is at work, or was."""
    taken = take_in(workspace, row, spec)
    if taken is None:
        return "ended"
    return _judge(workspace, row, workspace.records.attempts(row.id)[-1], said=taken.said)


@dataclass(frozen=True, kw_only=True)
class _Start:
    """What an attempt's tree holds when it begins."""

    commit: str
    goes_on: bool
    """Whether it is what the attempt before left, on the same base: its conversation can go on as if nothing had been."""


def _start(workspace: Workspace, base: str, last: AttemptRow | None) -> _Start:
    """Go on from what the last attempt left, moved onto the base of today; from the base where that conflicts."""
    fresh = _Start(commit=base, goes_on=False)
    if last is None or not last.changes or not _worth_keeping(last):
        return fresh
    left = ChangeSet.from_json(last.changes).commit
    if last.base == base:
        return _Start(commit=left, goes_on=True)
    merged = merge(workspace.repository, base, left)
    if not isinstance(merged, Merged):
        return fresh
    message = f"{last.ticket}: start of the next attempt\n"
    commit = commit_tree(workspace.repository, merged.tree, parents=(base,), message=message)
    return _Start(commit=commit, goes_on=False)


def _worth_keeping(last: AttemptRow) -> bool:
    """Say whether the next attempt goes on from there: from all that was done by the rules, and does not conflict."""
    cause = (last.outcome or {}).get("cause")
    return cause is not None and cause != Cause.UNGATED and last.state != "conflict"


_NEW_CONVERSATION = {Cause.CONTEXT, Cause.PROTOCOL, Cause.CRASH, Cause.CHANGED, Cause.EMPTY}
"""What a conversation does not recover from."""


def _conversation(last: AttemptRow | None, row: TicketRow, agent: str) -> Outcome | None:
    """Give the attempt whose session is to be taken up again, where there is one of the same agent that knows the ticket as it is."""
    outcome = (last.outcome or {}) if last else {}
    known = (outcome.get("agent"), outcome.get(TOLD)) == (agent, row.sha256)
    if not known or not outcome.get("session") or Cause(outcome["cause"]) in _NEW_CONVERSATION:
        return None
    return Outcome.from_json(outcome)


# the verdict on it


def _judge(workspace: Workspace, row: TicketRow, attempt: AttemptRow, *, said: str | None = None) -> Next:
    """Judge the attempt by the words that its agent used, where they are still at hand; secrets are masked in those that are kept."""
    try:
        return _judged(workspace, row, attempt, said=said)
    finally:
        hide_secrets(workspace, attempt)


def _judged(workspace: Workspace, row: TicketRow, attempt: AttemptRow, *, said: str | None) -> Next:
    outcome = Outcome.from_json(attempt.outcome or {})
    changes = ChangeSet.from_json(attempt.changes or {})
    if outcome.ending != "done":
        return _ended_early(workspace, row, attempt, outcome)
    if not changes.changes:
        attempt = replace(attempt, outcome={**(attempt.outcome or {}), "signature": "nothing changed"})
        said = "The agent changed nothing, and said it was done."
        return _close_and_ask(workspace, row, attempt, outcome, said)
    workspace.records.move(row.id, State.VERIFYING, head=changes.commit)
    report = judge(workspace, row, attempt, changes, stage="worktree", said=said or outcome.report)
    if report["verdict"] == "pass":
        # in this order: after a crash in between, the lead's decision is found, not forgotten
        consult(workspace, row, Reported(text=outcome.report or "", attempt=attempt.number, passed=True))
        workspace.records.set_attempt(attempt, "passed")
        return _passed(workspace, row, attempt)
    if hold := after_refusal(workspace, row, report, outcome.report):
        workspace.records.move(row.id, hold.state, hold.reason, verdict="fail")
        return "ended"
    state = "refused" if report["verdict"] == "fail" else "inconclusive"
    evidence = "\n\n".join(filter(None, (evidence_of(report), hint(workspace, row, report))))
    attempt = replace(attempt, outcome={**(attempt.outcome or {}), "signature": signature(report)})
    if state == "inconclusive":
        return _close(workspace, row, attempt, state, evidence)
    return _close_and_ask(workspace, row, attempt, outcome, evidence)


def _close_and_ask(workspace: Workspace, row: TicketRow, attempt: AttemptRow, outcome: Outcome, evidence: str) -> Next:
    """Refuse the attempt, and have the lead decide on what its report raises."""
    reported = Reported(text=outcome.report or "", attempt=attempt.number, passed=False)
    decision = consult(workspace, row, reported)
    # what the lead wrote into the ticket is part of what the session is told
    attempt = replace(attempt, outcome={**(attempt.outcome or {}), TOLD: workspace.records.ticket(row.id).sha256})
    step = _close(workspace, row, attempt, "refused", "\n\n".join(filter(None, (evidence, decision.told))))
    if decision.waits:
        workspace.records.move(row.id, State.BLOCKED, decision.waits)
        return "ended"
    return step


def _ended_early(workspace: Workspace, row: TicketRow, attempt: AttemptRow, outcome: Outcome) -> Next:
    """Keep what an agent that did not end well has left, and say what the next one is told."""
    why = outcome.reason or outcome.ending
    counts = HANDLING[outcome.cause].counts
    mark = f"{outcome.cause}: {why}"
    attempt = replace(attempt, outcome={**(attempt.outcome or {}), "signature": mark if counts else ""})
    state = "failed" if counts else "interrupted"
    evidence = f"The attempt ended early: {why}." if counts else GO_ON.format(why=why)
    evidence = evidence if _worth_keeping(attempt) else f"{evidence} {ANEW}"
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
    verdict = {"refused": "fail", "inconclusive": "inconclusive"}.get(state)
    outcome = {**(attempt.outcome or {}), "evidence": evidence}
    workspace.records.set_attempt(attempt, state, outcome=outcome)
    if state == "inconclusive":
        workspace.records.move(row.id, State.FAILED, f"could not be judged: {_first_line(evidence)}", verdict=verdict)
        return "ended"
    reason = str(outcome.get("reason") or "") if state == "interrupted" else _first_line(evidence)
    workspace.records.move(row.id, State.READY, reason, verdict=verdict)
    return "again"


def keep_branch(workspace: Workspace, row: TicketRow, commit: str) -> None:
    """Point the ticket's branch at what may land, so that a person can look at it."""
    ref = f"refs/heads/tickets/{row.record.slug}"
    workspace.repository.move(
        ref, new=commit, old=workspace.repository.commit(ref), reason=f"{row.id} passed its gates"
    )
