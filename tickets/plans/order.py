"""The order that a plan's tickets get beyond what they say themselves: what others rely on first, then overlaps one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickets.graph import order_overlaps, reachable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tickets.graph import Edges
    from tickets.model import Draft


def in_order(drafts: Sequence[Draft], first: Callable[[Draft], str]) -> tuple[tuple[Draft, ...], tuple[str, ...]]:
    """Give the tickets with the edges that they need, and a sentence for each reason. Doing it again changes nothing."""
    edges, early = _first_ones(drafts, first)
    led = _with(drafts, edges)
    edges, late = order_overlaps(led)
    return _with(led, edges), (*early, *late)


def _with(drafts: Sequence[Draft], edges: Edges) -> tuple[Draft, ...]:
    place = {draft.key: index for index, draft in enumerate(drafts)}

    def position(key: str) -> tuple[int, str]:
        return place.get(key, -1), key  # what stands outside of the plan is there already

    return tuple(
        draft.model_copy(update={"depends_on": tuple(sorted(edges[draft.key], key=position))}) for draft in drafts
    )


def _first_ones(drafts: Sequence[Draft], first: Callable[[Draft], str]) -> tuple[Edges, list[str]]:
    """Put what others rely on before them, one such ticket after another: two migrations at once would part their chain."""
    edges: Edges = {draft.key: set(draft.depends_on) for draft in drafts}
    why = {draft.key: said for draft in drafts if (said := first(draft))}
    notes = []
    before: list[str] = []
    for key in sorted(why, key=lambda one: len(reachable(edges, one))):
        changed = _wait(edges, [key], before)
        before.append(key)
        changed |= _wait(edges, [draft.key for draft in drafts if draft.key not in why], [key])
        if changed:
            notes.append(f"{key} comes first: it {why[key]}")
    return edges, notes


def _wait(edges: Edges, later: Sequence[str], earlier: Sequence[str]) -> bool:
    """Add the edges that are missing; say whether there were any."""
    missing = [
        (one, other)
        for one in later
        for other in earlier
        if other not in reachable(edges, one) and one not in reachable(edges, other)
    ]
    for one, other in missing:
        edges[one].add(other)
    return bool(missing)
