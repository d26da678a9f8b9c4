"""Who waits for whom: cycles, waves, and scopes that overlap turned into an order."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from tickets.globs import overlap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tickets.model import Draft

Edges = dict[str, set[str]]
"""Each node with the nodes it waits for."""


def cycle(edges: Mapping[str, set[str]]) -> list[str] | None:
    """Return the nodes of one cycle, first and last the same, or None."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return None


def waves(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Group the nodes: each wave waits only for the ones before it. Order within a wave is the given one."""
    sorter = TopologicalSorter(edges)
    sorter.prepare()
    place = {node: index for index, node in enumerate(edges)}
    result = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=lambda node: place[node])
        result.append(ready)
        sorter.done(*ready)
    return result


def reachable(edges: Mapping[str, set[str]], start: str) -> set[str]:
    """Everything that `start` waits for, directly or not."""
    seen: set[str] = set()
    todo = [start]
    while todo:
        for node in edges.get(todo.pop(), set()) - seen:
            seen.add(node)
            todo.append(node)
    return seen


def order_overlaps(drafts: Sequence[Draft]) -> tuple[Edges, list[str]]:
    """Add an edge between any two tickets that could run at once and may write the same path; say why for each."""
    edges: Edges = {draft.key: set(draft.depends_on) for draft in drafts}
    notes = []
    for index, later in enumerate(drafts):
        for earlier in drafts[:index]:
            both = overlap(earlier.scope.allowed, later.scope.allowed)
            if not both or earlier.key in reachable(edges, later.key) or later.key in reachable(edges, earlier.key):
                continue
            edges[later.key].add(earlier.key)
            where = both[0] if both[0] == both[1] else f"{both[0]} and {both[1]}"
            notes.append(f"{later.key} waits for {earlier.key}: both may write {where}")
    return edges, notes
