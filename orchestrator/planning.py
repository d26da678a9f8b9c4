"""From a request to a plan that is validated as a whole."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from agents import roles
from agents.protocol import Facts
from gates.builtin.denylist import protected
from orchestrator.lead.lessons import lessons
from orchestrator.lead.repository_map import mapped
from orchestrator.lead.rules import first_of, question_problems, rule_problems
from tickets.errors import FileError, InputError, Problem
from tickets.files import read as read_ticket
from tickets.globs import is_literal, matches_everything
from tickets.lint import lint
from tickets.model import Draft
from tickets.plan import Plan, read_plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.workspace import Workspace
    from tickets.model import Ticket
    from worktrees.git import Entry

SYMLINK = "120000"
_TICKETS = re.compile(r"""^\s*tickets\s*:|["']tickets["']\s*:""", re.MULTILINE)


def read_lead_plan(workspace: Workspace, answer: str, base: str) -> Plan:
    """Read a lead's answer; raise FileError with every problem where it cannot be carried out."""
    name = f"the plan of {workspace.policy.planning.lead}"
    plan = _read(workspace, answer, name)
    return checked(workspace, plan, base, name, more=wide(plan, name))


def meant_as_plan(answer: str) -> bool:
    """Say whether somebody meant this as a plan, however wrong it is."""
    return bool(_TICKETS.search(answer))


def _read(workspace: Workspace, text: str, name: str) -> Plan:
    policy = workspace.policy
    return read_plan(text, name, max_tickets=policy.planning.max_tickets, first=first_of(policy))


def read_plan_file(workspace: Workspace, file: Path, base: str) -> Plan:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read as a plan: {error}") from error
    if text.startswith("---"):
        return checked(workspace, _of_one_ticket(read_ticket(text, str(file))), base, str(file))
    return checked(workspace, _read(workspace, text, str(file)), base, str(file))


def _of_one_ticket(ticket: Ticket) -> Plan:
    """Make a plan of a ticket file; the run gives the ticket an id of its own."""
    if ticket.depends_on:
        raise InputError(
            f"a ticket file on its own cannot wait for others ({', '.join(ticket.depends_on)}); use a plan file"
        )
    values = ticket.model_dump(exclude={"id", "feature", "depends_on"})
    return Plan(request=ticket.title, tickets=(Draft.model_validate({**values, "key": "ticket"}),))


def informed(workspace: Workspace, base: str, request: str) -> Facts:
    """Collect all that a lead is told: the repository as a map, and what was learned about such requests."""
    known = lessons(workspace, request)
    return replace(gather(workspace, base), map=mapped(workspace, base, request), lessons=known)


def gather(workspace: Workspace, base: str) -> Facts:
    """Collect the bare facts: files, how they are tested, and the rules."""
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
        interfaces=policy.scope.shared_interfaces,
        max_tickets=policy.planning.max_tickets,
    )


# validation against the base


def checked(workspace: Workspace, plan: Plan, base: str, name: str, *, more: Iterable[Problem] = ()) -> Plan:
    """Hold each ticket against the base and the rules; raise FileError with every problem, `more` among them."""
    entries = workspace.repository.entries(workspace.repository.tree(base))
    problems = [*more, *question_problems(plan, workspace.policy, name)]
    for index, draft in enumerate(plan.tickets):
        place = f"{name}: ticket {index + 1} ({draft.key})"
        problems += _problems(workspace, draft, entries, place)
        problems += rule_problems(draft, workspace.policy, place)
    if problems:
        raise FileError(*problems)
    return plan.model_copy(update={"tickets": tuple(roles.with_report_fields(draft) for draft in plan.tickets)})


def wide(plan: Plan, name: str) -> list[Problem]:
    """A person may let a ticket write everywhere; a lead names what its tickets are about."""
    return [
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


def _problems(workspace: Workspace, draft: Draft, entries: list[Entry], name: str) -> Iterator[Problem]:
    paths, links = [entry.path for entry in entries], leaving(workspace, entries)
    search_path = _search_path(workspace)
    for complaint in lint(draft, paths=paths, search_path=search_path, known_links=links):
        key, _, expected = complaint.partition(": ")
        yield Problem(file=name, line=1, key=key, expected=expected)
    denied = protected(workspace.policy)
    for pattern in draft.scope.allowed:
        if is_literal(pattern) and pattern in denied:
            yield Problem(file=name, line=1, key="scope", expected=f"{pattern!r} is protected by the policy")


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
