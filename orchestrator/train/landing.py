"""Moving the target: the longest passing prefix of the train, by one compare-and-swap, to commits whose exact trees passed.

Every step can be repeated. Objects are on disk before the intention is journalled, the intention before the target
moves (a remote's before the local one), the move before anybody hears of it; after a crash the target itself says whether it moved.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.bench import drop_sessions
from orchestrator.train.cars import Clash
from orchestrator.train.methods import landing_commit
from tickets.errors import EnvironmentFailure, InconclusiveError
from tickets.states import State
from worktrees.durable import sync
from worktrees.following import follow, followers
from worktrees.git import GitError
from worktrees.landing import Step as Move
from worktrees.landing import land, verify_landing
from worktrees.notes import attach

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from memory.events import About
    from memory.records import TicketRow
    from orchestrator.train.cars import Passed, Predictor
    from orchestrator.workspace import Workspace
    from worktrees.engine import MergeEngine
    from worktrees.following import Follower

NOTES = "refs/notes/orchestrate"
REVERTS = "reverts"
"""Option of a feature: the ticket that it takes back."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One commit on the target's first-parent line."""

    passed: Passed
    old: str
    new: str

    @property
    def rows(self) -> tuple[TicketRow, ...]:
        return tuple(part.car.row for part in self.passed.prediction.parts)


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """A person's checkout that the landing would touch."""

    step: Step
    reason: str


def steps_of(
    workspace: Workspace, engine: MergeEngine, predictor: Predictor, head: str, prefix: Sequence[Passed]
) -> list[Step]:
    """Write the commits of a prefix, one for each candidate; nothing moves yet. It ends where a tree would not be the judged one.

    Some that were judged with them may have landed by another run; the tree is the same then, or nothing is known.
    """
    found, old = [], head
    for passed in prefix:
        made = predictor.chain(old, [part.car for part in passed.prediction.parts])
        if isinstance(made, Clash) or engine.tree(made) != passed.prediction.tree:
            break
        new = landing_commit(workspace, engine, old, passed)
        found.append(Step(passed=passed, old=old, new=new))
        old = new
    return found


def watched(workspace: Workspace, steps: Sequence[Step]) -> list[Follower]:
    """Find the person's checkouts of the target, and whether each can follow all of the steps."""
    target = workspace.policy.project.target
    return followers(workspace.repository, target, old=steps[0].old, new=steps[-1].new)


def obstacle(workspace: Workspace, steps: Sequence[Step], watching: Sequence[Follower]) -> Obstacle | None:
    """Find the first step that a person's checkout could not follow."""
    target = workspace.policy.project.target
    head = steps[0].old
    if not in_the_way(target, watching):
        return None
    for step in steps:
        if reason := in_the_way(target, followers(workspace.repository, target, old=head, new=step.new)):
            return Obstacle(step=step, reason=f"{reason}, then `orchestrate resume {step.rows[0].feature}`")
    return None


def in_the_way(target: str, watching: Sequence[Follower]) -> str:
    """Say which person's checkout could not follow the target; empty where all can."""
    blocked = next((follower for follower in watching if follower.obstacle), None)
    if blocked is None:
        return ""
    return (
        f"{blocked.path} has {target} checked out with uncommitted changes that the landing would touch "
        f"({blocked.obstacle}); commit or stash them"
    )


def move_target(workspace: Workspace, steps: Sequence[Step], watching: Sequence[Follower]) -> Sequence[Step]:
    """Move the target along the steps; give those that were made: not all where it was no longer at the old commit of one."""
    repository, target = workspace.repository, workspace.policy.project.target
    moves = [Move(old=step.old, new=step.new, reason=f"orchestrate: land {_names(step)}") for step in steps]
    made = steps[: land(repository, target, moves)]
    if not made:
        return made
    old, new = made[0].old, made[-1].new
    bring_along(workspace, watching, old=old, new=new, about=made[-1].rows[-1].about)
    trees = [step.passed.prediction.tree for step in made]
    if wrong := verify_landing(repository, old=old, new=new, trees=trees):
        raise EnvironmentFailure(f"{target} moved to {new}, which is not what was judged: {wrong}")
    finish(workspace, [Moved(rows=step.rows, old=step.old, new=step.new) for step in made])
    return made


def intend(workspace: Workspace, steps: Sequence[Step]) -> None:
    """Have the commits on disk, and journal what is about to move, all of it or nothing."""
    sync(workspace.repository.common)
    with workspace.database.transaction():
        for step in steps:
            for row in step.rows:
                sha256, tree = step.passed.hashes[row.id], step.passed.prediction.tree
                data = {"old": step.old, "new": step.new, "report": sha256, "tree": tree}
                workspace.records.move(row.id, State.LANDING)
                workspace.records.note("landing.intended", row.about, data)


def _names(step: Step) -> str:
    return ", ".join(row.id for row in step.rows)


def bring_along(workspace: Workspace, watching: Sequence[Follower], *, old: str, new: str, about: About) -> None:
    """Let the person's checkouts follow, and have their files on disk before anybody hears of the landing."""
    for follower in watching:
        trouble = follow(follower, old=old, new=new)
        data = {"worktree": str(follower.path), "left_alone": list(follower.changed), "trouble": trouble}
        workspace.records.note("landing.followed", about, data)
        sync(follower.path)


@dataclass(frozen=True, kw_only=True)
class Moved:
    """One commit that stands on the target now, and what it landed."""

    rows: Sequence[TicketRow]
    old: str
    new: str


def finish(workspace: Workspace, moves: Sequence[Moved]) -> None:
    """Everything after the move: the notes, the grants, the records of all that these commits landed. Each part can be repeated."""
    rows = [row for move in moves for row in move.rows]
    reports = {row.id: workspace.records.reports(row.id) for row in rows}
    _attach(workspace, moves, reports)
    for move in moves:
        _check(workspace, move, reports)
    with workspace.database.transaction():
        for move in moves:
            _record(workspace, move)
    drop_sessions(workspace, {row.id for row in rows})


def _attach(workspace: Workspace, moves: Sequence[Moved], reports: Mapping[str, list[dict[str, Any]]]) -> None:
    """Hang the reports on the commits; where that cannot be, what has landed is recorded all the same, or it would land again."""
    try:
        attach(workspace.repository, NOTES, {move.new: _note(move, reports) for move in moves})
    except GitError as error:
        reason = f"its reports could not be attached as a git note (they are in `orchestrate report`): {error}"
        for row in (row for move in moves for row in move.rows):
            workspace.records.note("ticket.trouble", row.about, {"reason": reason})
    sync(workspace.repository.common)


def _record(workspace: Workspace, move: Moved) -> None:
    data = {"target": workspace.policy.project.target, "old": move.old, "new": move.new}
    for row in move.rows:
        workspace.records.note("landing.moved", row.about, data)
        if back := workspace.records.feature(row.feature).options.get(REVERTS):
            workspace.records.note("landing.reverted", row.about, {"ticket": back, "by": row.id, "new": move.new})
        used = [grant.id for grant in workspace.grants.of(row.id) if grant.state == "approved"]
        workspace.grants.use(used, landed=move.new, about=row.about)
        workspace.records.move(row.id, State.LANDED, landed=move.new, verdict="pass")


def _note(move: Moved, reports: Mapping[str, list[dict[str, Any]]]) -> str:
    """Give the reports of both passes, without the diff: the note hangs on the commit that has it."""
    told = []
    for row in move.rows:
        last = {report["pass"]: report for report in reports[row.id]}
        told += [last[stage] for stage in ("worktree", "integrated") if stage in last]
    return json.dumps([{key: part for key, part in one.items() if key != "diff"} for one in told], sort_keys=True)


def _check(workspace: Workspace, move: Moved, reports: Mapping[str, list[dict[str, Any]]]) -> None:
    """Prove that what stands on the target is the tree that was judged."""
    tree = workspace.repository.tree(move.new)
    for row in move.rows:
        if tree not in {report["tree"] for report in reports[row.id] if report["verdict"] == "pass"}:
            raise InconclusiveError(
                f"{move.new} on {workspace.policy.project.target} is not the tree that was judged for {row.id}"
            )


# after a crash


def finish_interrupted(workspace: Workspace) -> list[str]:
    """Complete landings whose target had moved when the harness died, in their order; say which tickets."""
    found: list[str] = []
    for intention, tickets in _intended(workspace).items():
        new = _stands(workspace, intention)
        rows = [workspace.records.ticket(ticket) for ticket in tickets if ticket not in found]
        if not new or not rows:
            continue
        for row in rows:
            workspace.records.move(row.id, State.LANDING)
        watching = _lagging(workspace, old=intention.old, new=new)
        bring_along(workspace, watching, old=intention.old, new=new, about=rows[-1].about)
        finish(workspace, [Moved(rows=rows, old=intention.old, new=new)])
        found += tickets
    return found


def _lagging(workspace: Workspace, *, old: str, new: str) -> list[Follower]:
    """Give the person's checkouts of the target that have not followed yet: one that has would seem to be changed."""
    repository, target, head = workspace.repository, workspace.policy.project.target, workspace.head()
    there = {one.path for one in followers(repository, target, old=head, new=head) if not one.changed}
    return [one for one in followers(repository, target, old=old, new=new) if one.path not in there]


@dataclass(frozen=True)
class _Intention:
    """A move of the target that was journalled."""

    old: str
    new: str
    tree: str


def _stands(workspace: Workspace, intention: _Intention) -> str:
    """Give the commit that the target moved to; empty where it did not."""
    repository, head = workspace.repository, workspace.head()
    if workspace.policy.landing.by_pull_request(workspace.policy.project.target):
        # the hosting service wrote the commit: it stands on the old head and has the judged tree
        if not repository.commit(intention.old) or not repository.is_ancestor(intention.old, head):
            return ""
        line = repository.git("rev-list", "--first-parent", "--reverse", f"{intention.old}..{head}").text.split()
        return line[0] if line and repository.tree(line[0]) == intention.tree else ""
    there = repository.commit(intention.new) and repository.is_ancestor(intention.new, head)
    return intention.new if there else ""


def _intended(workspace: Workspace) -> dict[_Intention, list[str]]:
    """List intentions of tickets that are not known to have landed, oldest first: what was to move, and for which tickets."""
    query = (
        "SELECT e.ticket AS ticket, e.data AS data FROM events e JOIN tickets t ON t.id = e.ticket "
        "WHERE t.state IN ('landing', 'queued') AND e.kind = 'landing.intended' ORDER BY e.seq"
    )
    found: dict[_Intention, list[str]] = {}
    for row in workspace.database.connection().execute(query).fetchall():
        data = json.loads(row["data"])
        tickets = found.setdefault(_Intention(data["old"], data["new"], data["tree"]), [])
        if row["ticket"] not in tickets:
            tickets.append(row["ticket"])
    return found
