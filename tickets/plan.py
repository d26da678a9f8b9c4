"""The plan: the tickets of a feature, validated as a whole before any of them starts."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tickets.documents import Document, Strict, validate
from tickets.errors import FileError
from tickets.graph import waves
from tickets.model import Block, Draft, FilledLine, Line
from tickets.plans.answer import read_answer
from tickets.plans.checks import first_problems, problems_of
from tickets.plans.order import in_order
from tickets.plans.parts import Alternative, OpenQuestion, PlanRisk, Requirement

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


class Plan(Strict):
    request: FilledLine
    requirements: tuple[Requirement, ...] = ()
    """What the request asks for, one by one: each is met by a ticket, and each ticket meets one."""
    tickets: tuple[Draft, ...]
    data_flow: Block = ""
    """What goes where once the tickets have landed."""
    alternatives: tuple[Alternative, ...] = ()
    risks: tuple[PlanRisk, ...] = ()
    questions: tuple[OpenQuestion, ...] = ()
    assumptions: tuple[Line, ...] = ()
    """What the lead took for granted where the request left a choice."""
    notes: tuple[Line, ...] = ()
    """What validation changed: overlapping scopes that became an order."""
    research: Block = ""
    """What the lead found out beforehand; whoever challenges the plan does not see it."""
    unresolved: tuple[Line, ...] = ()
    """Objections that were still open when the plan was frozen."""

    @property
    def waves(self) -> list[list[str]]:
        keys = {draft.key for draft in self.tickets}
        return waves({draft.key: keys & set(draft.depends_on) for draft in self.tickets})

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def nothing_first(_: Draft) -> str:
    return ""


def read_plan(
    text: str,
    name: str,
    *,
    max_tickets: int,
    first: Callable[[Draft], str] = nothing_first,
    known: Collection[str] = (),
) -> Plan:
    """Read a plan file or a lead's answer and give the validated plan; raise FileError with every problem.

    `first` says why a ticket comes before all others ("" where it does not). `known` are tickets that stand already.
    """
    document = read_answer(text, name)
    if not isinstance(document.data, dict):
        raise FileError(document.problem((), "a mapping with `request:` and `tickets:`"))
    plan = validate(Plan, document)
    found = problems_of(plan.tickets, document, max_tickets=max_tickets, known=known, requirements=plan.requirements)
    if problems := list(found) or list(first_problems(plan.tickets, document, first)):
        raise FileError(*problems)
    return settled(plan, first=first)


def settled(plan: Plan, *, first: Callable[[Draft], str] = nothing_first) -> Plan:
    """Put the tickets in the order that they need, and say so."""
    tickets, notes = in_order(plan.tickets, first)
    return plan.model_copy(update={"tickets": tickets, "notes": (*plan.notes, *notes)})


def is_plan(document: Document) -> bool:
    """Say whether somebody meant this as a plan, however wrong it is."""
    return isinstance(document.data, dict) and isinstance(document.data.get("tickets"), list)
