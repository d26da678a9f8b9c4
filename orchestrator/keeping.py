"""An attempt from its tree to its change set: set out, followed, taken in; by this harness, or by the one after it.

The agent works under a keeper, a process that outlives the harness. A harness that finds an attempt under way waits for its keeper, and
one that finds an outcome takes it in as if nothing had been. Only what has neither is rescued: archived, and made anew.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agents.catalogue import driver
from agents.causes import Cause
from agents.protocol import Outcome
from memory.events import About
from memory.inventory import attempts_in, ticket_states
from orchestrator.bench import SESSIONS, drop_sessions, log_folder, provide, task_of
from orchestrator.borrowing import masking
from orchestrator.findings import Finding
from orchestrator.keeper import Order
from orchestrator.money.purse import recover
from orchestrator.nursery import NURSERY
from orchestrator.posts import Post
from orchestrator.sharing import publish
from orchestrator.watch import Watch
from tickets.errors import EnvironmentFailure, InconclusiveError, InputError, Interrupted, SignalboxError, WaitingError
from tickets.states import State
from worktrees import checkout as trees
from worktrees.archive import TRASH, put_away
from worktrees.changes import capture
from worktrees.checkout import Checkout
from worktrees.durable import sync
from worktrees.git import GitError
from worktrees.snapshots import snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from memory.records import AttemptRow, TicketRow
    from orchestrator.bench import Wish
    from orchestrator.money.purse import Purse
    from orchestrator.workspace import Workspace
    from worktrees.git import Repository

TOLD = "ticket_sha256"
"""Of an attempt's outcome: the ticket that its session knows."""
OVER = frozenset({State.LANDED, State.ABANDONED})
"""Nobody takes up the conversations of such a ticket again."""


@dataclass(frozen=True, kw_only=True)
class Outset:
    """What an attempt begins from."""

    base: str
    start: str
    """The commit whose tree is written."""
    wish: Wish


class KeeperError(Exception):
    """Something that nobody expected happened in a keeper; its traceback is a note on this."""


def post_of(workspace: Workspace, spec: Checkout) -> Post:
    return Post.of(workspace.state, spec.ticket, spec.attempt)


# setting out


def set_out(workspace: Workspace, row: TicketRow, outset: Outset, money: Purse) -> Checkout:
    """Make the attempt's tree, and have a keeper begin to work in it."""
    agent = driver(workspace.policy, outset.wish.agent, workspace.root)
    spec = _spec(workspace, row, outset, layered=agent.runs_foreign_code and workspace.layered)
    post = post_of(workspace, spec)
    post.prepare()
    trees.make(workspace.repository, spec, lambda: provide(workspace, spec))
    unheld = agent.runs_foreign_code and workspace.level == "none"
    watch = Watch.take(workspace).to_json() if unheld else None
    order = Order(task=task_of(workspace, row, spec, outset.wish), fund=money.fund, post=post)
    lock = post.open({"agent": outset.wish.agent, TOLD: row.sha256, "watch": watch})
    NURSERY.start(lock, order)
    return spec


def _spec(workspace: Workspace, row: TicketRow, outset: Outset, *, layered: bool) -> Checkout:
    path = workspace.worktrees / row.record.slug
    base, start = outset.base, outset.start
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


# taking in


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What came of an attempt, on record now."""

    said: str | None
    """The agent's report in its own words; in what is on record secrets are masked."""


def take_in(workspace: Workspace, row: TicketRow, spec: Checkout) -> Taken | None:
    """Wait for the attempt's end, and record its outcome and its change set; None where a person gave the ticket up meanwhile."""
    post = post_of(workspace, spec)
    post.wait()
    if _stopping.is_set():
        threading.Event().wait()  # the process ends any moment; what is here is for the next one
    if workspace.records.ticket(row.id).state in OVER:
        rescue(workspace, row.id)
        return None
    left = post.left()
    facts = left or post.facts()
    outcome = _outcome(workspace, post, spec, left)
    watch = Watch.from_json(facts["watch"]) if facts["watch"] else None
    outside = watch.changes(workspace) if watch else []
    changes = capture(workspace.repository, spec, claims=row.record.scope.allowed, outside=outside)
    sync(workspace.repository.common)
    publish(workspace, row.id, spec.attempt)
    attempt = workspace.records.attempts(row.id)[spec.attempt - 1]
    beside = {"agent": facts["agent"], "ended_at": facts.get("at", time.time()), TOLD: facts[TOLD]}
    kept = {**_masked(workspace, outcome).to_json(), **beside}
    workspace.records.set_attempt(attempt, "captured", outcome=kept, changes=changes.to_json())
    trees.discard(workspace.repository, spec)
    post.clear()
    return Taken(said=outcome.report)


def _outcome(workspace: Workspace, post: Post, spec: Checkout, left: dict[str, Any] | None) -> Outcome:
    """Give the outcome that the keeper left; raise what it could not go on for."""
    if left is None:
        recover(workspace)  # its money is nobody's any more
        log = log_folder(workspace, spec.ticket, spec.attempt) / "agent.log"
        reason = "the process that held its agent was ended from outside"
        cause = Cause.INTERRUPTED
        return Outcome(ending="interrupted", reason=reason, report=None, transcript=str(log), cause=cause)
    if "outcome" in left:
        return Outcome.from_json(left["outcome"])
    post.clear()
    if "defect" in left:
        trouble = KeeperError(left["defect"].strip().splitlines()[-1])
        trouble.add_note(left["defect"])
        raise trouble
    raise _ERRORS[left["error"]](left["said"])


_KINDS = (SignalboxError, InputError, WaitingError, InconclusiveError, Interrupted)
_ERRORS: dict[int, type[SignalboxError]] = {kind.exit_code: kind for kind in _KINDS}


def _masked(workspace: Workspace, outcome: Outcome) -> Outcome:
    """Hide secrets in what the agent says: it goes into the event log, into notes and into the project's memory."""
    hide = masking(workspace)
    report = None if outcome.report is None else hide(outcome.report)
    return replace(outcome, reason=hide(outcome.reason), report=report)


# leftovers of a crash


def under_way(workspace: Workspace, ticket_id: str) -> Checkout | None:
    """Find the ticket's attempt that a keeper is at work on, or has left an outcome of, where its ticket goes on with that."""
    if workspace.records.ticket(ticket_id).state is not State.RUNNING:
        return None
    for spec in trees.registered(workspace.repository):
        if spec.ticket == ticket_id and _goes_on(workspace, spec):
            return spec
    return None


def _goes_on(workspace: Workspace, spec: Checkout) -> bool:
    post = post_of(workspace, spec)
    attempt = workspace.records.attempts(spec.ticket)[spec.attempt - 1]
    # in this order: a keeper leaves its outcome, then it ends
    return attempt.state == "running" and (post.alive or post.left() is not None)


def rescue(workspace: Workspace, ticket_id: str = "") -> list[Finding]:
    """Archive and remove trees that a crash left behind; say which. Nothing is removed before it is archived.

    An attempt whose agent is at work, or has ended well, is left to its ticket; one of another machine to that.
    """
    found, adopted = list[Finding](), set[str]()
    for spec in trees.registered(workspace.repository):
        if ticket_id and spec.ticket != ticket_id:
            continue
        if workspace.records.ticket(spec.ticket).state is State.RUNNING and _goes_on(workspace, spec):
            adopted.add(spec.ticket)
        else:
            found += _cleared(workspace, spec)
    if not ticket_id:
        trees.let_go_of_what_is_over(workspace.repository)
        _drop_sessions(workspace)
    for ticket, number in attempts_in(workspace.database, "running"):
        if ticket_id in {"", ticket} and ticket not in adopted:
            _interrupt(workspace, workspace.records.attempts(ticket)[number - 1], claimed=bool(ticket_id))
    return found


def _drop_sessions(workspace: Workspace) -> None:
    if any((workspace.worktrees / SESSIONS).glob("T-*")):
        states = ticket_states(workspace.database).items()
        drop_sessions(workspace, {ticket for ticket, state in states if state in OVER})


def still_at_work(workspace: Workspace) -> list[Finding]:
    """Name the attempts that nobody waits for and whose agents go on."""
    alive = [spec for spec in trees.registered(workspace.repository) if post_of(workspace, spec).alive]
    hint = "is still at work; `orchestrate resume` takes it up, `orchestrate tickets abandon {}` ends it"
    return [
        Finding(kind="process", subject=_name(one), done="kept", said=f"{_name(one)} {hint.format(one.ticket)}")
        for one in alive
    ]


def _name(spec: Checkout) -> str:
    return f"{spec.ticket} attempt {spec.attempt}"


def _cleared(workspace: Workspace, spec: Checkout) -> list[Finding]:
    """Archive what the attempt left, and remove it; nothing where its agent had not begun, and the attempt is made yet."""
    post = post_of(workspace, spec)
    post.end()
    attempt = workspace.records.attempts(spec.ticket)[spec.attempt - 1]
    begun = post.signed or not post.folder.is_dir() or attempt.state != "running"
    if not (spec.path.is_dir() and begun):
        trees.forget(workspace.repository, spec)
        said = "its tree was gone, or never made"
    else:
        try:
            said = _archived(workspace, spec, attempt)
        except (GitError, EnvironmentFailure, OSError) as error:  # one tree must not keep all others from going on
            stuck = f"{_name(spec)} was interrupted, and what its agent wrote could not be archived: {error}; it was left in {spec.written}"
            return [Finding(kind="folder", subject=str(spec.written), done="stuck", said=stuck)]
    if not begun:
        return []
    post.clear()
    return [
        Finding(kind="attempt", subject=_name(spec), done="archived", said=f"{_name(spec)} was interrupted; {said}")
    ]


def _archived(workspace: Workspace, spec: Checkout, attempt: AttemptRow) -> str:
    repository, row = workspace.repository, workspace.records.ticket(spec.ticket)
    try:
        changes = capture(repository, spec, claims=row.record.scope.allowed)
    except GitError as error:
        if _comparable(repository, spec):
            raise
        why = f"left by {_name(spec)}, which cannot be compared with what it began from"
        kept = put_away(repository, spec.written, worktrees=workspace.worktrees, why=why)
        trees.forget(repository, spec)
        where = " and ".join(filter(None, (kept.ref, f"{TRASH}/{kept.trash.name}")))
        return f"what it began from is gone from git ({error}), so all that stood in its tree is kept as {where}"
    sync(repository.common)
    if attempt.state == "running":
        workspace.records.set_attempt(attempt, "interrupted", changes=changes.to_json())
    trees.discard(repository, spec)
    return "what its agent wrote is archived, and its tree was removed"


def _comparable(repository: Repository, spec: Checkout) -> bool:
    """Say whether git still has the trees that the attempt is compared with."""
    return all(repository.plumb_ask("ls-tree", "-r", "-t", one).code == 0 for one in {spec.base, spec.start})


def _interrupt(workspace: Workspace, attempt: AttemptRow, *, claimed: bool) -> None:
    """Close an attempt that is recorded and has no tree any more; one that never began goes on under its number.

    Where machines share the records it may be another one's, unless this one has claimed the ticket.
    """
    post = Post.of(workspace.state, attempt.ticket, attempt.number)
    if workspace.database.shared and not claimed and not post.folder.is_dir():
        return
    waits = workspace.records.ticket(attempt.ticket).state is State.RUNNING and post.folder.is_dir() and not post.signed
    if not waits:
        workspace.records.set_attempt(attempt, "interrupted")
        post.clear()


# a person's word

_stopping = threading.Event()


def stop_all(workspace: Workspace) -> None:
    """End every agent of this repository at once, and begin nothing more: the process ends next."""
    _stopping.set()
    NURSERY.close()
    ends = [threading.Thread(target=post.end, daemon=True) for post in Post.all(workspace.state)]
    for thread in ends:
        thread.start()
    for thread in ends:
        thread.join()


def end(workspace: Workspace, ticket_id: str) -> None:
    """End the agent of a ticket that a person gave up."""
    for attempt in workspace.records.attempts(ticket_id):
        post = Post.of(workspace.state, ticket_id, attempt.number)
        if post.alive:
            post.end()
            about = About(feature=workspace.records.ticket(ticket_id).feature, ticket=ticket_id, attempt=attempt.number)
            workspace.records.note("attempt.ended", about, {"by": "a person"})
