"""From a request to a plan that is validated as a whole."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from agents.brief import for_lead
from agents.catalogue import driver
from agents.protocol import Bench, Facts, PlanningTask
from gates.builtin.denylist import protected
from tickets.errors import FileError, InputError, Problem
from tickets.files import read as read_ticket
from tickets.globs import is_literal, matches_everything
from tickets.lint import lint
from tickets.model import Draft
from tickets.plan import Plan, read_plan
from worktrees.checkout import write_tree
from worktrees.confinement import Confinement
from worktrees.environment import build
from worktrees.gateway import gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.protocol import Driver
    from orchestrator.workspace import Workspace
    from tickets.model import Ticket
    from tickets.policy import Policy
    from worktrees.gateway import Way
    from worktrees.git import Entry

PLANNING_TIMEOUT_S = 900.0
SYMLINK = "120000"


def make_plan(workspace: Workspace, request: str, base: str) -> Plan:
    """Have the lead plan the request; raise InputError, with every problem, for a plan that cannot be carried out."""
    policy = workspace.policy
    facts = gather(workspace, base)
    with tempfile.TemporaryDirectory(dir=workspace.state, prefix="lead-") as logs:
        desk = Desk(agent=policy.planning.lead, commit=base, logs=Path(logs), timeout_s=PLANNING_TIMEOUT_S)
        with borrowed(workspace, desk) as (lead, bench):
            task = PlanningTask(request=request, brief=for_lead(request, facts), facts=facts, bench=bench)
            answer = lead.plan(task)
    name = f"the plan of {policy.planning.lead}"
    plan = read_plan(answer, name, max_tickets=policy.planning.max_tickets)
    _require_bounds(plan, name)
    return checked(workspace, plan, base, name)


def read_plan_file(workspace: Workspace, file: Path, base: str) -> Plan:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read as a plan: {error}") from error
    if text.startswith("---"):
        return checked(workspace, _of_one_ticket(read_ticket(text, str(file))), base, str(file))
    plan = read_plan(text, str(file), max_tickets=workspace.policy.planning.max_tickets)
    return checked(workspace, plan, base, str(file))


def _of_one_ticket(ticket: Ticket) -> Plan:
    """Make a plan of a ticket file; the run gives the ticket an id of its own."""
    if ticket.depends_on:
        raise InputError(
            f"a ticket file on its own cannot wait for others ({', '.join(ticket.depends_on)}); use a plan file"
        )
    values = ticket.model_dump(exclude={"id", "feature", "depends_on"})
    return Plan(request=ticket.title, tickets=(Draft.model_validate({**values, "key": "ticket"}),))


def gather(workspace: Workspace, base: str) -> Facts:
    """Collect what a lead may know of the repository."""
    repository, policy = workspace.repository, workspace.policy
    entries = repository.entries(repository.tree(base))

    def read(path: str) -> str | None:
        data = repository.read(base, path)
        return None if data is None else data.decode(errors="replace")

    return Facts(
        project=policy.project.name,
        target=policy.project.target,
        paths=tuple(entry.path for entry in entries),
        read=read,
        test_command=" ".join(policy.tests.run) or "nothing: it has no tests",
        limits=policy.limits.model_dump(exclude={"generated"}),
        deny=protected(policy),
        max_tickets=policy.planning.max_tickets,
    )


# an agent that only looks and answers


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What an agent is given that is asked for words: a lead, an auditor."""

    agent: str
    commit: str
    """Whose tree it may look at."""
    logs: Path
    timeout_s: float


@contextmanager
def borrowed(workspace: Workspace, wanted: Desk) -> Iterator[tuple[Driver, Bench]]:
    """Give the agent's driver and a bench with a tree to look at; what it writes there is gone afterwards."""
    agent = driver(workspace.policy, wanted.agent, workspace.root)
    level = workspace.level if agent.runs_foreign_code else "none"
    with (
        tempfile.TemporaryDirectory(dir=workspace.state, prefix="desk-") as scratch,
        gateway(workspace.policy.sandbox.network, level=level, log=wanted.logs / "network.log") as way,
    ):
        bench = _bench(workspace, Path(scratch).resolve(), wanted, way)
        if agent.runs_foreign_code:
            write_tree(workspace.repository, workspace.repository.tree(wanted.commit), bench.tree)
        yield agent, replace(bench, confinement=replace(bench.confinement, level=level))


def _bench(workspace: Workspace, scratch: Path, wanted: Desk, way: Way) -> Bench:
    tree, home, desk = scratch / "tree", scratch / "home", scratch / "desk"
    desk.mkdir()
    tree.mkdir()
    environment = build(workspace.repository, tree, base=wanted.commit, home=home)
    return Bench(
        tree=tree,
        home=home,
        desk=desk,
        log=wanted.logs / f"{wanted.agent}.log",
        variables=agent_variables(workspace.policy, wanted.agent) | dict(environment.variables) | dict(way.variables),
        confinement=Confinement(
            level="none", write=(tree, home, desk), read=readable(workspace, environment.python), opening=way.opening
        ),
        bounds=workspace.bounds(wanted.timeout_s),
    )


def agent_variables(policy: Policy, agent: str) -> dict[str, str]:
    """Give the environment variables that the configuration hands on to the agent; nothing else is inherited."""
    return {name: os.environ[name] for name in policy.agent(agent).env if name in os.environ}


def readable(workspace: Workspace, python: Path) -> tuple[Path, ...]:
    """Give the folders that a foreign program must be able to read: its interpreter, and the program itself."""
    folders = [python.parent.parent, python.resolve().parent.parent]
    for agent in workspace.policy.agents.values():
        program = workspace.root / agent.command[0] if agent.command and "/" in agent.command[0] else None
        if program and program.exists():
            folders.append(program.resolve())
    return tuple(dict.fromkeys(folders))


# validation against the base


def checked(workspace: Workspace, plan: Plan, base: str, name: str) -> Plan:
    """Hold each ticket against the base; raise FileError with every problem."""
    entries = workspace.repository.entries(workspace.repository.tree(base))
    if problems := [
        problem
        for index, draft in enumerate(plan.tickets)
        for problem in _problems(workspace, draft, entries, f"{name}: ticket {index + 1}")
    ]:
        raise FileError(*problems)
    return plan


def _require_bounds(plan: Plan, name: str) -> None:
    """A person may let a ticket write everywhere; a lead names what its tickets are about."""
    wide = [
        Problem(
            file=f"{name}: ticket {number} ({draft.key})",
            line=1,
            key="scope",
            expected=f"expected the files that the ticket is about, not {pattern!r}, which is everything",
        )
        for number, draft in enumerate(plan.tickets, 1)
        for pattern in draft.scope.allowed
        if matches_everything(pattern)
    ]
    if wide:
        raise FileError(*wide)


def _problems(workspace: Workspace, draft: Draft, entries: list[Entry], name: str) -> Iterator[Problem]:
    paths, links = [entry.path for entry in entries], leaving(workspace, entries)
    search_path = _search_path(workspace)
    for complaint in lint(draft, paths=paths, search_path=search_path, known_links=links):
        key, _, expected = complaint.partition(": ")
        yield Problem(file=f"{name} ({draft.key})", line=1, key=key, expected=expected)
    denied = protected(workspace.policy)
    for pattern in draft.scope.allowed:
        if is_literal(pattern) and pattern in denied:
            yield Problem(
                file=f"{name} ({draft.key})", line=1, key="scope", expected=f"{pattern!r} is protected by the policy"
            )


def leaving(workspace: Workspace, entries: list[Entry]) -> list[str]:
    """List the symlinks at the base whose target is not inside the repository."""
    root = workspace.root.resolve()
    found = []
    for entry in entries:
        if entry.mode == SYMLINK:
            target = os.fsdecode(workspace.repository.plumb("cat-file", "blob", entry.oid).out)
            place = Path(os.path.normpath(root / Path(entry.path).parent / target))
            if not place.is_relative_to(root):
                found.append(entry.path)
    return found


def _search_path(workspace: Workspace) -> str:
    from worktrees.environment import interpreter, search_path

    return search_path(interpreter(workspace.repository))
