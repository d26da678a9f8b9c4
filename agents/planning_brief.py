"""What a lead and its challenger are told: to plan, to correct a plan, to find its faults, to decide on what a ticket ran into."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from agents.roles import text_of
from tickets.markdown import template

if TYPE_CHECKING:
    from jinja2 import Template

    from agents.protocol import Facts
    from tickets.model import Ticket

SHOWN = 30_000
"""Characters of one text of others that are shown: a plan that came back, a report."""


@dataclass(frozen=True, kw_only=True)
class Returned:
    """A plan that goes back to the lead."""

    answer: str
    problems: tuple[str, ...] = ()
    """What the machine found."""
    objections: tuple[str, ...] = ()
    """What the challenger found."""


@dataclass(frozen=True, kw_only=True)
class Raised:
    """What a ticket's attempt asks the lead, or leaves to it."""

    ticket: Ticket
    report: str
    """The sections that speak to the lead, and nothing else of the report."""
    others: tuple[str, ...]
    """The feature's tickets, a line each."""
    room: int
    """Tickets that may still be added."""
    passed: bool
    """Whether its change stands already: nothing about the ticket itself can be decided then."""


def for_planning(request: str, facts: Facts, returned: Returned | None = None) -> str:
    """Ask for a plan, or for a better one than came back; the whole brief each time, because a lead remembers nothing."""
    return _render("lead", role=text_of("lead"), request=request, facts=facts, returned=returned)


def for_challenge(plan: str, *, most: int) -> str:
    """Ask for what is wrong with a plan; it is all that the challenger is shown."""
    return _render("challenger", role=text_of("challenger"), plan=plan, most=most)


def for_follow_up(request: str, raised: Raised) -> str:
    return _render("follow_up", role=text_of("lead"), request=request, raised=raised)


def _render(name: str, **values: Any) -> str:
    return _template(f"{name}.md.j2").render(**values)


@cache
def _template(name: str) -> Template:
    return template("agents", name, folder="planning", fenced=fenced)


def fenced(text: str) -> str:
    """Put a text of others between fences that nothing in it can end."""
    shown = text[:SHOWN].strip("\n")
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    left_out = f"\n({len(text) - SHOWN} of {len(text)} characters are left out)" if len(text) > SHOWN else ""
    return f"{fence}\n{shown}\n{fence}{left_out}"
