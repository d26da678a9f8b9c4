"""Where an agent works: its tree, its rules, its sandbox, its way out to the network, and the place where it can ask beforehand."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from agents.brief import Rule, for_ticket
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
    from memory.records import AttemptRow, TicketRow
    from orchestrator.feedback import Told
    from orchestrator.money.purse import Purse
    from orchestrator.permission import Permission
    from orchestrator.workspace import Workspace
    from tickets.policy import Policy
    from worktrees.checkout import Checkout
    from worktrees.confinement import Level
    from worktrees.environment import TreeEnvironment
    from worktrees.gateway import Way


SESSIONS = ".sessions"


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is wanted of which agent."""

    name: str
    """Of the agent, in the configuration."""
    agent: Driver
    money: Purse
    told: Told
    """What was wrong with the attempt before."""
    before: Outcome | None = None
    """The attempt whose conversation is to go on."""


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


def at_work(workspace: Workspace, row: TicketRow, spec: Checkout, task: Task) -> Outcome:
    """Have the agent carry out the attempt, with everything around it that it may use; gone again afterwards."""
    policy = _policy(workspace, row, spec)
    level = workspace.level if task.agent.runs_foreign_code else "none"
    site = _Site(workspace=workspace, row=row, spec=spec, task=task, level=level)
    with ExitStack() as stack:
        way = stack.enter_context(gateway(policy.sandbox.network, level=level, log=site.logs / "network.log"))
        bench, permission = _bench(site, way), None
        if task.agent.runs_foreign_code:
            permission = stack.enter_context(_asking(site, policy))
            bench = asking(bench, permission, folder=workspace.worktrees / ".guard")
        rules = [Rule(name=gate.name, text=gate.rule(row.record, policy)) for gate in catalogue().values()]
        assignment = _assignment(site, bench, rules)
        outcome = task.agent.work(replace(assignment, bench=task.money.on(bench)))
        task.money.settle(outcome)
        return reconciled(outcome, task.agent, permission)


def reconciled(outcome: Outcome, agent: Driver, permission: Permission | None) -> Outcome:
    """Reject a run in which a tool was used that the live gate had not said yes to, where its driver claims that none can be."""
    if permission is None or agent.capabilities.gate != "every-call":
        return outcome
    found = permission.ungated(outcome.calls)
    if not found:
        return outcome
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return outcome.failed(Cause.UNGATED, f"the live gate did not hold: {found[0]}{more}")


@dataclass(frozen=True, kw_only=True)
class _Site:
    """One attempt and the level that it runs under."""

    workspace: Workspace
    row: TicketRow
    spec: Checkout
    task: Task
    level: Level

    @cached_property
    def environment(self) -> TreeEnvironment:
        return _environment(self.workspace, self.spec)

    @property
    def logs(self) -> Path:
        return log_folder(self.workspace, self.row.id, self.spec.attempt)


def _policy(workspace: Workspace, row: TicketRow, spec: Checkout) -> Policy:
    """Give the policy that this attempt is judged by, with what a person permitted."""
    policy = workspace.policy_at(spec.base)
    limits = policy.limits.permitted(row.record, workspace.grants.in_force(row))
    return policy.model_copy(update={"limits": limits})


def _asking(site: _Site, policy: Policy) -> AbstractContextManager[Permission]:
    temporary = site.environment.variables["TMPDIR"]
    ground = Ground(root=str(site.spec.path), home=str(site.spec.home), temporary=temporary)
    allowed = with_granted_paths(site.row.record, site.workspace.grants.in_force(site.row))
    judge = equipped(allowed.role, partial(decide, bounds=Bounds(ticket=allowed, policy=policy, ground=ground)))
    # Landlock may have to close unix sockets
    return serving(judge, folder=site.spec.home, log=site.logs / "permission.jsonl", http=site.level == "landlock")


def _environment(workspace: Workspace, spec: Checkout) -> TreeEnvironment:
    return build(workspace.repository, spec.path, base=spec.base, home=spec.home, contents=spec.contents)


def _assignment(site: _Site, bench: Bench, rules: list[Rule]) -> Assignment:
    told = site.task.told
    evidence = "\n\n".join(filter(None, (told.evidence, told.evidence and _granted(site))))
    brief = for_ticket(site.row.record, rules=rules, evidence=evidence, approach=told.tried)
    write_durably(site.logs / "brief.md", brief.text.encode(errors="backslashreplace"))
    write_durably(site.logs / "brief.json", json.dumps(brief.to_json(), indent=2).encode())
    for name, content in brief.beside:
        (bench.desk / name).write_text(content, encoding="utf-8", errors="backslashreplace")
    before = site.task.before
    return Assignment(
        ticket=site.row.record,
        attempt=site.spec.attempt,
        brief=brief.text,
        bench=bench,
        feedback=for_feedback(evidence, approach=told.tried) if evidence else "",
        session=before.session if before else "",
        before=before.counted if before else NOTHING,
    )


def _granted(site: _Site) -> str:
    """Say what a person has permitted by now: a refusal from before may no longer hold."""
    stands = [f"- {one.kind}: {one.subject}" for one in site.workspace.grants.in_force(site.row)]
    return "\n".join(("A person permitted this ticket by now, whatever is said above:", *stands)) if stands else ""


def _bench(site: _Site, way: Way) -> Bench:
    workspace, spec, record = site.workspace, site.spec, site.row.record
    paper, session = spec.home / "desk", session_folder(workspace, record.id, site.task.name)
    for folder in (paper, session):
        folder.mkdir(parents=True, exist_ok=True)
    environment = site.environment
    limit = workspace.policy.dispatch.timeout_s
    budget = record.budget.seconds if record.budget else None
    own = (spec.home, session)
    return Bench(
        tree=spec.path,
        home=spec.home,
        session=session,
        desk=paper,
        log=site.logs / "agent.log",
        variables={
            **agent_variables(workspace.policy, site.task.name),
            **environment.variables,
            **way.variables,
        },
        confinement=Confinement(
            level=site.level,
            write=own if spec.layer else (spec.path, *own),
            read=(*readable(workspace, environment.python), *workspace.provision.links),
            layers=(spec.layer,) if spec.layer else (),
            opening=way.opening,
            room=workspace.worktrees,
        ),
        bounds=workspace.bounds(min(limit, budget or limit)),
        transcript=transcript(workspace, site.logs / "transcript.jsonl"),
    )
