"""The plan: the tickets of a feature, validated as a whole before any of them starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickets.documents import Document, Strict, read_json, read_yaml, validate
from tickets.errors import FileError, Problem
from tickets.graph import cycle, order_overlaps, waves
from tickets.model import Block, Draft, FilledLine, Line

if TYPE_CHECKING:
    from collections.abc import Iterator


class Plan(Strict):
    request: FilledLine
    tickets: tuple[Draft, ...]
    assumptions: tuple[Line, ...] = ()
    """What the lead took for granted where the request left a choice."""
    notes: tuple[Line, ...] = ()
    """What validation changed: overlapping scopes that became an order."""
    research: Block = ""

    @property
    def waves(self) -> list[list[str]]:
        return waves({draft.key: set(draft.depends_on) for draft in self.tickets})


def read_plan(text: str, name: str, *, max_tickets: int) -> Plan:
    """Read a plan file or a lead's answer and give the validated plan; raise FileError with every problem."""
    text = text.removeprefix("\ufeff")
    document = read_json(text, name) if text.lstrip().startswith("{") else read_yaml(text, name)
    if not isinstance(document.data, dict):
        raise FileError(document.problem((), "a mapping with `request:` and `tickets:`"))
    return settle(validate(Plan, document), document, max_tickets=max_tickets)


def settle(plan: Plan, document: Document, *, max_tickets: int) -> Plan:
    """Check the plan as a whole and put tickets with overlapping scopes in an order."""
    if problems := list(_problems(plan, document, max_tickets)):
        raise FileError(*problems)
    edges, notes = order_overlaps(plan.tickets)
    place = {draft.key: index for index, draft in enumerate(plan.tickets)}
    ordered = tuple(
        draft.model_copy(update={"depends_on": tuple(sorted(edges[draft.key], key=place.__getitem__))})
        for draft in plan.tickets
    )
    return plan.model_copy(update={"tickets": ordered, "notes": (*plan.notes, *notes)})


def _problems(plan: Plan, document: Document, max_tickets: int) -> Iterator[Problem]:
    keys = [draft.key for draft in plan.tickets]
    if not keys:
        yield document.problem(("tickets",), "expected at least one ticket")
    if len(keys) > max_tickets:
        yield document.problem(
            ("tickets",), f"expected at most {max_tickets} tickets (planning.max_tickets), not {len(keys)}"
        )
    for index, draft in enumerate(plan.tickets):
        yield from _draft_problems(draft, keys, document, index)
    edges = {draft.key: set(draft.depends_on) & set(keys) for draft in plan.tickets}
    if circle := cycle(edges):
        index = keys.index(circle[0])
        yield document.problem(("tickets", index, "depends_on"), f"expected no cycle, not {' -> '.join(circle)}")


def _draft_problems(draft: Draft, keys: list[str], document: Document, index: int) -> Iterator[Problem]:
    here = ("tickets", index)
    if draft.key in keys[:index]:
        yield document.problem((*here, "key"), f"expected a key of its own, not {draft.key!r} again")
    for dependency in draft.depends_on:
        if dependency not in keys:
            yield document.problem((*here, "depends_on"), f"expected a key of this plan, not {dependency!r}")
    if not draft.scope.allowed:
        yield document.problem(
            (*here, "scope"), "expected something in `write` or `new`: this ticket could write nothing"
        )
    if not draft.acceptance:
        yield document.problem((*here, "acceptance"), "expected at least one command that proves the ticket done")
    if not draft.non_goals:
        yield document.problem((*here, "non_goals"), "expected at least one thing that this ticket does not do")
