"""Where an agent works: its tree, its rules, its sandbox, its way out to the network, and the place where it can ask beforehand."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from agents.brief import Rule, for_ticket
from agents.protocol import Assignment, Bench, Outcome
from gates.catalogue import catalogue
from gates.live.decision import Bounds, Ground
from orchestrator.guard_clients import client_command
from orchestrator.permission import serving
from orchestrator.planning import agent_variables, readable
from worktrees.confinement import Confinement, Opening
from worktrees.environment import build
from worktrees.gateway import gateway

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from agents.protocol import Driver
    from memory.records import TicketRow
    from orchestrator.permission import Permission
    from orchestrator.workspace import Workspace
    from tickets.policy import Policy
    from worktrees.checkout import Checkout
    from worktrees.confinement import Level
    from worktrees.environment import TreeEnvironment
    from worktrees.gateway import Way

CLIENT = "ORCHESTRATE_GUARD_CLIENT"
"""Command that asks for permission: what a coding client's hook is set to."""


def log_folder(workspace: Workspace, ticket: str, attempt: int) -> Path:
    return workspace.state / "logs" / ticket / str(attempt)


def provide(workspace: Workspace, spec: Checkout) -> None:
    """Bring along what the tree needs besides its commit."""
    environment = _environment(workspace, spec)
    log = log_folder(workspace, spec.ticket, spec.attempt) / "setup.log"
    known = readable(workspace, environment.python)
    workspace.provision.apply(environment, readable=known, log=log, layer=spec.layer)


def at_work(workspace: Workspace, row: TicketRow, spec: Checkout, *, agent: Driver, evidence: str) -> Outcome:
    """Have the agent carry out the attempt, with everything around it that it may use; gone again afterwards."""
    policy = _policy(workspace, row, spec)
    site = _Site(workspace=workspace, row=row, spec=spec, level=workspace.level if agent.runs_foreign_code else "none")
    with ExitStack() as stack:
        way = stack.enter_context(gateway(policy.sandbox.network, level=site.level, log=site.logs / "network.log"))
        desk = stack.enter_context(_asking(site, policy)) if agent.runs_foreign_code else None
        bench = _bench(site, way, desk)
        rules = [Rule(name=gate.name, text=gate.rule(row.record, policy)) for gate in catalogue().values()]
        brief = for_ticket(row.record, rules=rules, evidence=evidence)
        return agent.work(Assignment(ticket=row.record, attempt=spec.attempt, brief=brief, bench=bench))


@dataclass(frozen=True, kw_only=True)
class _Site:
    """One attempt and the level that it runs under."""

    workspace: Workspace
    row: TicketRow
    spec: Checkout
    level: Level

    @cached_property
    def environment(self) -> TreeEnvironment:
        return _environment(self.workspace, self.spec)

    @property
    def logs(self) -> Path:
        return log_folder(self.workspace, self.row.id, self.spec.attempt)

    @property
    def client(self) -> Path:
        """Folder of the client that asks for permission, one for all trees."""
        return self.workspace.worktrees / ".guard"


def _policy(workspace: Workspace, row: TicketRow, spec: Checkout) -> Policy:
    """Give the policy that this attempt is judged by, with what a person permitted."""
    policy = workspace.policy_at(spec.base)
    limits = policy.limits.permitted(row.record, workspace.grants.in_force(row))
    return policy.model_copy(update={"limits": limits})


def _asking(site: _Site, policy: Policy) -> AbstractContextManager[Permission]:
    temporary = site.environment.variables["TMPDIR"]
    ground = Ground(root=str(site.spec.path), home=str(site.spec.home), temporary=temporary)
    bounds = Bounds(ticket=site.row.record, policy=policy, ground=ground)
    # Landlock may have to close unix sockets
    return serving(bounds, folder=site.spec.home, log=site.logs / "permission.jsonl", http=site.level == "landlock")


def _environment(workspace: Workspace, spec: Checkout) -> TreeEnvironment:
    return build(workspace.repository, spec.path, base=spec.base, home=spec.home, contents=spec.contents)


def _bench(site: _Site, way: Way, desk: Permission | None) -> Bench:
    workspace, spec, record = site.workspace, site.spec, site.row.record
    paper = spec.home / "desk"
    paper.mkdir(parents=True)
    environment = site.environment
    limit = workspace.policy.dispatch.timeout_s
    budget = record.budget.seconds if record.budget else None
    variables = agent_variables(workspace.policy, workspace.policy.agent_for(record.role)) | dict(environment.variables)
    return Bench(
        tree=spec.path,
        home=spec.home,
        desk=paper,
        log=site.logs / "agent.log",
        variables=variables | dict(way.variables) | _guard(site, desk),
        confinement=Confinement(
            level=site.level,
            write=(spec.home,) if spec.layer else (spec.path, spec.home),
            read=(*readable(workspace, environment.python), *workspace.provision.links, *_readable(site, desk)),
            layers=(spec.layer,) if spec.layer else (),
            opening=_opening(site, way, desk),
            room=workspace.worktrees,
        ),
        bounds=workspace.bounds(min(limit, budget or limit)),
    )


def _guard(site: _Site, desk: Permission | None) -> dict[str, str]:
    """Tell the agent where it can ask, and with which command."""
    if desk is None:
        return {}
    return {**desk.variables, CLIENT: shlex.join(client_command(site.client, http=bool(desk.port)))}


def _readable(site: _Site, desk: Permission | None) -> list[Path]:
    if desk is None:
        return []
    beside = [] if desk.socket.parent == site.spec.home else [desk.socket.parent]  # the name of a socket is short
    return [site.client, *beside]


def _opening(site: _Site, way: Way, desk: Permission | None) -> Opening | None:
    if desk is None or not desk.port:
        return way.opening
    known = way.opening or Opening(sockets=site.spec.home, ports=())
    return Opening(sockets=known.sockets, ports=(*known.ports, desk.port))
