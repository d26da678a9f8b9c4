"""Where an agent works: its tree, its rules, its sandbox, its way out to the network, and the place where it can ask beforehand."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from agents.brief import Rule, for_ticket
from agents.catalogue import driver
from agents.causes import Cause
from agents.feedback import for_feedback
from agents.protocol import Assignment, Bench, Outcome
from agents.usage import NOTHING
from gates.catalogue import catalogue
from gates.live.decision import Bounds, Ground, decide
from orchestrator.borrowing import agent_variables, asking, equipped, masking, readable, transcript
from orchestrator.lead.followups import with_granted_paths
from orchestrator.permission import serving
from worktrees.checkout import remove
from worktrees.confinement import Confinement
from worktrees.durable import write_durably
from worktrees.environment import build
from worktrees.gateway import gateway

if TYPE_CHECKING:
    from collections.abc import Container
    from contextlib import AbstractContextManager
    from pathlib import Path

    from agents.protocol import Driver
    from memory.amounts import Booking
    from memory.records import AttemptRow, TicketRow
    from orchestrator.feedback import Told
    from orchestrator.money.purse import Purse
    from orchestrator.permission import Permission
    from orchestrator.workspace import Workspace
    from tickets.grants import Grant
    from tickets.policy import Policy
    from worktrees.checkout import Checkout
    from worktrees.confinement import Level
    from worktrees.environment import TreeEnvironment
    from worktrees.gateway import Way


SESSIONS = ".sessions"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is wanted of which agent."""

    agent: str
    """Its name in the configuration."""
    told: Told
    """What was wrong with the attempt before."""
    before: Outcome | None = None
    """The attempt whose conversation is to go on."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One attempt with all that it takes to know: whoever carries it out asks neither git nor the records."""

    workspace: Workspace
    row: TicketRow
    spec: Checkout
    wish: Wish
    policy: Policy
    """That the attempt is judged by, with what a person permitted."""
    grants: tuple[Grant, ...]
    environment: TreeEnvironment
    level: Level

    @property
    def logs(self) -> Path:
        return log_folder(self.workspace, self.row.id, self.spec.attempt)


@dataclass(frozen=True, kw_only=True)
class Done:
    outcome: Outcome
    booking: Booking | None


def log_folder(workspace: Workspace, ticket: str, attempt: int) -> Path:
    return workspace.state / "logs" / ticket / str(attempt)


def session_folder(workspace: Workspace, ticket: str, agent: str) -> Path:
    """Folder where an agent's client keeps a ticket's conversation from attempt to attempt."""
    return workspace.worktrees / SESSIONS / f"{ticket}-{agent}"


def hide_secrets(workspace: Workspace, attempt: AttemptRow) -> None:
    """Mask what the agent printed, once the gates have seen it: a log is shown to people, and kept."""
    hide, log = masking(workspace), log_folder(workspace, attempt.ticket, attempt.number) / "agent.log"
    if log.is_file():
        printed = log.read_text(encoding="utf-8", errors="surrogateescape")
        if (hidden := hide(printed)) != printed:
            write_durably(log, hidden.encode(errors="surrogateescape"))


def drop_sessions(workspace: Workspace, tickets: Container[str]) -> None:
    """Remove what clients kept for these tickets: homes with whole conversations, and sign-ins that they copied there."""
    for folder in (workspace.worktrees / SESSIONS).glob("T-*"):
        if "-".join(folder.name.split("-")[:2]) in tickets:
            remove(folder)


def provide(workspace: Workspace, spec: Checkout) -> None:
    """Bring along what the tree needs besides its commit."""
    environment = _environment(workspace, spec)
    log = log_folder(workspace, spec.ticket, spec.attempt) / "setup.log"
    known = readable(workspace, environment.python)
    workspace.provision.apply(environment, readable=known, log=log, layer=spec.layer)


def task_of(workspace: Workspace, row: TicketRow, spec: Checkout, wish: Wish) -> Task:
    """Find out all that the attempt takes to know."""
    agent = driver(workspace.policy, wish.agent, workspace.root)
    grants = workspace.grants.in_force(row)
    policy = workspace.policy_at(spec.base)
    limits = policy.limits.permitted(row.record, grants)
    return Task(
        workspace=workspace,
        row=row,
        spec=spec,
        wish=wish,
        policy=policy.model_copy(update={"limits": limits}),
        grants=grants,
        environment=_environment(workspace, spec),
        level=workspace.level if agent.runs_foreign_code else "none",
    )


def at_work(task: Task, money: Purse) -> Done:
    """Have the agent carry out the attempt, with everything around it that it may use; gone again afterwards."""
    workspace, policy = task.workspace, task.policy
    agent = driver(workspace.policy, task.wish.agent, workspace.root)
    with ExitStack() as stack:
        way = stack.enter_context(gateway(policy.sandbox.network, level=task.level, log=task.logs / "network.log"))
        bench, permission = _bench(task, way), None
        if agent.runs_foreign_code:
            permission = stack.enter_context(_asking(task))
            bench = asking(bench, permission, folder=workspace.worktrees / ".guard")
        rules = [Rule(name=gate.name, text=gate.rule(task.row.record, policy)) for gate in catalogue().values()]
        assignment = _assignment(task, bench, rules)
        outcome = agent.work(replace(assignment, bench=money.on(bench)))
        return Done(outcome=reconciled(outcome, agent, permission), booking=money.booking(outcome))


def reconciled(outcome: Outcome, agent: Driver, permission: Permission | None) -> Outcome:
    """Reject a run in which a tool was used that the live gate had not said yes to, where its driver claims that none can be."""
    if permission is None or agent.capabilities.gate != "every-call":
        return outcome
    found = permission.ungated(outcome.calls)
    if not found:
        return outcome
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return outcome.failed(Cause.UNGATED, f"the live gate did not hold: {found[0]}{more}")


def _asking(task: Task) -> AbstractContextManager[Permission]:
    temporary = task.environment.variables["TMPDIR"]
    ground = Ground(root=str(task.spec.path), home=str(task.spec.home), temporary=temporary)
    allowed = with_granted_paths(task.row.record, task.grants)
    judge = equipped(allowed.role, partial(decide, bounds=Bounds(ticket=allowed, policy=task.policy, ground=ground)))
    # Landlock may have to close unix sockets
    return serving(judge, folder=task.spec.home, log=task.logs / "permission.jsonl", http=task.level == "landlock")


def _environment(workspace: Workspace, spec: Checkout) -> TreeEnvironment:
    return build(workspace.repository, spec.path, base=spec.base, home=spec.home, contents=spec.contents)


def _assignment(task: Task, bench: Bench, rules: list[Rule]) -> Assignment:
    told, before = task.wish.told, task.wish.before
    evidence = "\n\n".join(filter(None, (told.evidence, told.evidence and _granted(task))))
    brief = for_ticket(task.row.record, rules=rules, evidence=evidence, approach=told.tried)
    write_durably(task.logs / "brief.md", brief.text.encode(errors="backslashreplace"))
    write_durably(task.logs / "brief.json", json.dumps(brief.to_json(), indent=2).encode())
    for name, content in brief.beside:
        (bench.desk / name).write_text(content, encoding="utf-8", errors="backslashreplace")
    return Assignment(
        ticket=task.row.record,
        attempt=task.spec.attempt,
        brief=brief.text,
        bench=bench,
        feedback=for_feedback(evidence, approach=told.tried) if evidence else "",
        session=before.session if before else "",
        before=before.counted if before else NOTHING,
    )


def _granted(task: Task) -> str:
    """Say what a person has permitted by now: a refusal from before may no longer hold."""
    stands = [f"- {one.kind}: {one.subject}" for one in task.grants]
    return "\n".join(("A person permitted this ticket by now, whatever is said above:", *stands)) if stands else ""


def _bench(task: Task, way: Way) -> Bench:
    workspace, spec, record = task.workspace, task.spec, task.row.record
    paper, session = spec.home / "desk", session_folder(workspace, record.id, task.wish.agent)
    for folder in (paper, session):
        folder.mkdir(parents=True, exist_ok=True)
    environment = task.environment
    limit = workspace.policy.dispatch.timeout_s
    budget = record.budget.seconds if record.budget else None
    own = (spec.home, session)
    return Bench(
        tree=spec.path,
        home=spec.home,
        session=session,
        desk=paper,
        log=task.logs / "agent.log",
        variables={
            **agent_variables(workspace.policy, task.wish.agent),
            **environment.variables,
            **way.variables,
        },
        confinement=Confinement(
            level=task.level,
            write=own if spec.layer else (spec.path, *own),
            read=(*readable(workspace, environment.python), *workspace.provision.links),
            layers=(spec.layer,) if spec.layer else (),
            opening=way.opening,
            room=workspace.worktrees,
        ),
        bounds=workspace.bounds(min(limit, budget or limit)),
        transcript=transcript(workspace, task.logs / "transcript.jsonl"),
    )
