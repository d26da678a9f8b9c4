"""A bench for an agent that only looks and answers: a lead, a challenger, an auditor."""

from __future__ import annotations

import os
import shlex
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from agents.catalogue import driver
from agents.protocol import Bench
from agents.roles import named
from agents.transcript import Transcript
from gates.live.decision import Decision, refused
from gates.masking import known_secrets, mask
from memory.events import About
from orchestrator.guard_clients import client_command
from orchestrator.money.purse import purse_for
from orchestrator.permission import serving
from worktrees.checkout import write_tree
from worktrees.confinement import Confinement, Opening
from worktrees.environment import build
from worktrees.gateway import gateway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agents.protocol import Driver
    from agents.roles.model import Tool
    from gates.protocol import Call
    from memory.amounts import Purpose
    from orchestrator.permission import Judge, Permission
    from orchestrator.workspace import Workspace
    from tickets.policy import Policy
    from worktrees.gateway import Way

CLIENT = "ORCHESTRATE_GUARD_CLIENT"
"""Command that asks for permission: what a coding client's hook is set to."""
ROLES: dict[str, str] = {"plan": "planner", "challenge": "challenger", "audit": "auditor"}
"""Who is asked, by what the money is for."""
TOOLS: dict[str, Tool] = {"write": "edit", "read": "read", "run": "run"}
"""What a role needs for each kind of call."""


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What an agent is given that is asked for words."""

    agent: str
    commit: str
    """Whose tree it may look at."""
    logs: Path
    timeout_s: float
    about: About = field(default_factory=About)
    """What its money is spent on."""
    purpose: Purpose = "plan"


@contextmanager
def borrowed(workspace: Workspace, wanted: Desk) -> Iterator[tuple[Driver, Bench]]:
    """Give the agent's driver and a bench with a tree to look at; what it writes there is gone afterwards."""
    agent = driver(workspace.policy, wanted.agent, workspace.root)
    level = workspace.level if agent.runs_foreign_code else "none"
    network = workspace.policy.sandbox.network
    paid = purse_for(workspace, wanted.about, agent_name=wanted.agent, purpose=wanted.purpose)
    with ExitStack() as stack:
        money = stack.enter_context(paid)
        # beside the live checkouts: the state folder's path may be too long for a socket's name
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=workspace.state, prefix="desk-"))).resolve()
        way = stack.enter_context(gateway(network, level=level, log=wanted.logs / "network.log"))
        log = wanted.logs / "permission.jsonl"
        http = level == "landlock"
        judge = equipped(ROLES[wanted.purpose], only_looking)
        permission = stack.enter_context(serving(judge, folder=scratch / "home", log=log, http=http))
        bench = _bench(workspace, scratch, wanted, way)
        if agent.runs_foreign_code:
            write_tree(workspace.repository, workspace.repository.tree(wanted.commit), bench.tree)
        bench = replace(bench, confinement=replace(bench.confinement, level=level))
        yield agent, money.on(asking(bench, permission, folder=workspace.worktrees / ".guard"))


def equipped(role: str, judge: Judge) -> Judge:
    """Refuse what the role has no tool for; what is left is judged."""
    tools = {part.name for part in named(role).tools}

    def judged(call: Call) -> Decision:
        if TOOLS[call.kind] in tools:
            return judge(call)
        has = ", ".join(sorted(tools))
        return refused(
            f"the role {role} has no tool to {call.kind} (it has: {has}); put what you have to say into your report"
        )

    return judged


def only_looking(_: Call) -> Decision:
    """Permit what the role has tools for: its tree is a copy, and commands are held by the sandbox."""
    return Decision(allowed=True, reason="it only looks")


def asking(bench: Bench, permission: Permission, *, folder: Path) -> Bench:
    """Let the agent on the bench ask: from its driver, and by a command that lies in `folder`."""
    hook = tuple(client_command(folder, http=bool(permission.port)))
    beside = () if permission.socket.parent == bench.home else (permission.socket.parent,)  # a socket's name is short
    confinement = bench.confinement
    return replace(
        bench,
        gate=permission.ask,
        hook=hook,
        variables={**bench.variables, **permission.variables, CLIENT: shlex.join(hook)},
        confinement=replace(
            confinement, read=(*confinement.read, folder, *beside), opening=_opening(bench, permission.port)
        ),
    )


def _opening(bench: Bench, port: int) -> Opening | None:
    known = bench.confinement.opening
    if not port:
        return known
    return Opening(sockets=known.sockets if known else bench.home, ports=(*(known.ports if known else ()), port))


def _bench(workspace: Workspace, scratch: Path, wanted: Desk, way: Way) -> Bench:
    tree, home, desk, session = (scratch / name for name in ("tree", "home", "desk", "session"))
    for folder in (tree, desk, session):
        folder.mkdir()
    environment = build(workspace.repository, tree, base=wanted.commit, home=home)
    return Bench(
        tree=tree,
        home=home,
        session=session,
        desk=desk,
        log=wanted.logs / f"{wanted.agent}.log",
        variables=agent_variables(workspace.policy, wanted.agent) | dict(environment.variables) | dict(way.variables),
        confinement=Confinement(
            level="none",
            write=(tree, home, desk, session),
            read=readable(workspace, environment.python),
            opening=way.opening,
        ),
        bounds=workspace.bounds(wanted.timeout_s),
        transcript=transcript(workspace, wanted.logs / "transcript.jsonl"),
    )


def transcript(workspace: Workspace, file: Path) -> Transcript:
    """Open a transcript that shows no secret."""
    return Transcript(file=file, mask=masking(workspace))


def masking(workspace: Workspace) -> Callable[[str], str]:
    """Give what hides secrets in a text: those of known form, and those that the configuration names or hands on."""
    policy = workspace.policy
    handed = (name for agent in policy.agents.values() for name in (*agent.env, agent.key_name))
    names = {*policy.secrets.known, *handed}
    known = known_secrets(sorted(filter(None, names)))
    return lambda text: mask(text, known)


def agent_variables(policy: Policy, agent: str) -> dict[str, str]:
    """Give the environment variables that the configuration hands on to the agent; nothing else is inherited."""
    settings = policy.agent(agent)
    # the loop of kind `openai` runs in our own process: its key has no business in the sandbox
    names = settings.env if settings.kind == "openai" else (*settings.env, settings.key_name)
    return {name: os.environ[name] for name in names if name in os.environ}


def readable(workspace: Workspace, python: Path) -> tuple[Path, ...]:
    """Give the folders that a foreign program must be able to read: its interpreter, and the program itself."""
    folders = [python.parent.parent, python.resolve().parent.parent]
    for agent in workspace.policy.agents.values():
        program = workspace.root / agent.command[0] if agent.command and "/" in agent.command[0] else None
        if program and program.exists():
            folders.append(program.resolve())
    return tuple(dict.fromkeys(folders))
