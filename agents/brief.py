"""Briefs: what an agent is told, rendered from the ticket and from the rules that will judge it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Environment

    from agents.protocol import Facts
    from tickets.model import Ticket

SHOWN_PATHS = 400
SHOWN_DIFF = 200_000
"""Characters of a diff that stand in an auditor's brief; the whole lies beside it."""
NOT_FOR_TICKETS = frozenset({"lead", "auditor"})
"""Roles whose text is not about carrying out a ticket: `for_lead` and `for_auditor` brief them."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The rule text of one gate, rendered with the ticket's own values."""

    name: str
    text: str


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("agents", "roles"),
        undefined=StrictUndefined,  # an undefined name is a defect of ours, not an empty line in a brief
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown for agents, not HTML for a browser
    )


def render(role: str, **values: Any) -> str:
    return _templates().get_template(f"{role}.md.j2").render(**values)


def roles() -> list[str]:
    """List the built-in roles."""
    return sorted(name.removesuffix(".md.j2") for name in _templates().list_templates())


def for_ticket(ticket: Ticket, *, rules: Sequence[Rule], evidence: str = "") -> str:
    """Render the brief of an attempt. Every role is played by the executor's text until it has one of its own."""
    role = ticket.role if ticket.role in roles() and ticket.role not in NOT_FOR_TICKETS else "executor"
    return render(role, ticket=ticket, rules=[rule for rule in rules if rule.text], evidence=evidence)


def for_lead(request: str, facts: Facts) -> str:
    shown = facts.paths[:SHOWN_PATHS]
    return render("lead", request=request, facts=facts, paths=shown, left_out=len(facts.paths) - len(shown))


@dataclass(frozen=True, kw_only=True)
class Change:
    """What an auditor is shown of a change, and what the first phase found, as JSON, when this is the second."""

    diff: str
    most: int
    """Findings that it may answer with."""
    findings: str = ""


def for_auditor(ticket: Ticket, change: Change, *, rules: Sequence[Rule]) -> str:
    """Render the brief of one phase of an audit. What the executor said of its work is not in it."""
    runs = re.findall("`+", change.diff + change.findings)
    fence = "`" * max(3, *(len(run) + 1 for run in runs), 3)  # so that nothing in the texts can end its block
    return render(
        "auditor",
        ticket=ticket,
        rules=[rule for rule in rules if rule.text],
        phase=2 if change.findings else 1,
        diff=change.diff[:SHOWN_DIFF].rstrip("\n"),
        left_out=len(change.diff) > SHOWN_DIFF,
        findings=change.findings,
        fence=fence,
        most=change.most,
    )
