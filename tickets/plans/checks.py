"""What is wrong with a plan as a whole: keys, dependencies, and the way from each requirement to a command that proves it, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickets.graph import cycle, reachable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from tickets.documents import Document
    from tickets.errors import Problem
    from tickets.model import Draft
    from tickets.plans.parts import Requirement


def problems_of(
    drafts: Sequence[Draft],
    document: Document,
    *,
    max_tickets: int,
    known: Collection[str] = (),
    requirements: Sequence[Requirement] = (),
) -> Iterator[Problem]:
    """Give everything that is wrong; `known` are tickets outside of this plan that its own may wait for."""
    keys = [draft.key for draft in drafts]
    if not keys:
        yield document.problem(("tickets",), "expected at least one ticket")
    if len(keys) > max_tickets:
        yield document.problem(
            ("tickets",), f"expected at most {max_tickets} tickets (planning.max_tickets), not {len(keys)}"
        )
    for index, draft in enumerate(drafts):
        yield from _draft_problems(draft, (*keys[:index], *known), document, index)
        yield from _dependency_problems(draft, (*keys, *known), document, index)
    edges = {draft.key: set(draft.depends_on) & set(keys) for draft in drafts}
    if circle := cycle(edges):
        index = keys.index(circle[0])
        yield document.problem(("tickets", index, "depends_on"), f"expected no cycle, not {' -> '.join(circle)}")
    yield from _trace_problems(drafts, requirements, document)


def _draft_problems(draft: Draft, taken: Collection[str], document: Document, index: int) -> Iterator[Problem]:
    here = ("tickets", index)
    if draft.key in taken:
        yield document.problem((*here, "key"), f"expected a key of its own, not {draft.key!r} again")
    if not draft.scope.allowed:
        yield document.problem(
            (*here, "scope"), "expected something in `write` or `new`: this ticket could write nothing"
        )
    if not draft.acceptance:
        yield document.problem((*here, "acceptance"), "expected at least one command that proves the ticket done")
    if not draft.non_goals:
        yield document.problem((*here, "non_goals"), "expected at least one thing that this ticket does not do")


def _dependency_problems(draft: Draft, known: Collection[str], document: Document, index: int) -> Iterator[Problem]:
    for dependency in draft.depends_on:
        if dependency not in known:
            yield document.problem(("tickets", index, "depends_on"), f"expected a key of this plan, not {dependency!r}")


# requirement → ticket → acceptance, and back


def _trace_problems(
    drafts: Sequence[Draft], requirements: Sequence[Requirement], document: Document
) -> Iterator[Problem]:
    ids = [requirement.id for requirement in requirements]
    met = {identity for draft in drafts for identity in draft.meets}
    for index, identity in enumerate(ids):
        if identity in ids[:index]:
            yield document.problem(("requirements", index, "id"), f"expected an id of its own, not {identity} again")
        elif identity not in met:
            expected = f"expected a ticket that meets {identity}: name it under `meets` of the ticket whose acceptance proves it"
            yield document.problem(("requirements", index), expected)
    for index, draft in enumerate(drafts):
        yield from _meets_problems(draft, ids, document, index)


def _meets_problems(draft: Draft, ids: list[str], document: Document, index: int) -> Iterator[Problem]:
    here = ("tickets", index, "meets")
    if ids and not draft.meets:
        yield document.problem(
            here, f"expected at least one of {', '.join(ids)}: nobody asked for what meets no requirement"
        )
    for identity in draft.meets:
        if identity not in ids:
            said = f"one of {', '.join(ids)}" if ids else "a requirement under `requirements`"
            yield document.problem(here, f"expected {said}, not {identity!r}")


# who comes first


def first_problems(drafts: Sequence[Draft], document: Document, first: Callable[[Draft], str]) -> Iterator[Problem]:
    """Refuse that a ticket which comes first waits for one that does not."""
    why = {draft.key: first(draft) for draft in drafts}
    edges = {draft.key: set(draft.depends_on) for draft in drafts}
    for index, draft in enumerate(drafts):
        late = sorted(key for key in reachable(edges, draft.key) if key in why and not why[key])
        if why[draft.key] and late:
            expected = (
                f"expected {draft.key} to come first, because it {why[draft.key]}; it waits for {', '.join(late)} "
                "(where that one belongs to the shared part as well, say `interfaces: true` there)"
            )
            yield document.problem(("tickets", index, "depends_on"), expected)
