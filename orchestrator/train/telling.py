"""Where each waiting change is and why, in words for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.train.knowledge import is_red

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.train.knowledge import Knowledge
    from orchestrator.train.model import Candidate, Tally, View
    from orchestrator.train.speculation import Plan

NAMED = 4
"""So many changes are named; of more, their number is given."""


def names(changes: Sequence[str]) -> str:
    if len(changes) > NAMED:
        return f"{', '.join(changes[:NAMED])} and {len(changes) - NAMED} more"
    return ", ".join(changes)


def guilty(tally: Tally, ahead: Sequence[str]) -> str:
    """Say why it leaves: the head with nothing but this change on top fails."""
    behind = f" behind {names(ahead)}, which passed" if ahead else ""
    again = ", and failed again when it was repeated" if tally.fails > 1 else ""
    return f"it failed on the target's head{behind}, with no other change beside it{again}"


def settled(view: View, land: Iterable[Candidate], leaving: Mapping[str, str]) -> dict[str, str]:
    """Give the reasons at a moment when something lands or leaves."""
    said = {
        change.id: "waits for the new head" if land else "waits for the train to be made up anew"
        for change in view.waiting
    }
    for candidate in land:
        beside = f", together with {names(candidate.members)}" if len(candidate.members) > 1 else ""
        said |= dict.fromkeys(candidate.members, f"passed; it lands now{beside}")
    return said | dict(leaving)


def under_way(knowledge: Knowledge, plan: Plan, places: Sequence[str]) -> dict[str, str]:
    """Give the reasons while runs are under way."""
    view = knowledge.view
    shown = {name: candidate for candidate in reversed(plan.path) for name in candidate.members}
    inside = set(places)
    behind = [change.id for change in sorted(view.waiting, key=lambda change: change.seq) if change.id not in inside]
    said = {
        name: f"waits for a place in the train: {index} of those waiting are before it"
        for index, name in enumerate(behind)
    }
    said |= {name: _inside(knowledge, name, places[:index], shown.get(name)) for index, name in enumerate(places)}
    return {change.id: said[change.id] for change in view.waiting}


def _inside(knowledge: Knowledge, name: str, before: Sequence[str], candidate: Candidate | None) -> str:
    change = knowledge.changes[name]
    if clash := sorted(change.excludes.intersection(before)):
        return f"waits for {names(clash)}: both change the same lines"
    red = _red(knowledge, name)
    if candidate is None:
        return f"waits for a slot{red}"
    on = f" behind {names(candidate.ahead)}" if candidate.ahead else " on the target's head"
    beside = [other for other in candidate.members if other != name]
    if candidate in knowledge.passed:
        return f"passed{on}; waits for those ahead to land"
    return f"is judged{on}{f', together with {names(beside)}' if beside else ''}{red}"


def _red(knowledge: Knowledge, name: str) -> str:
    """Say that a run with this change failed, and what is done about it."""
    ended = [changes for changes, tally in knowledge.tallies.items() if name in changes and is_red(tally)]
    found = ended + [changes for changes in knowledge.failing if name in changes]
    if not found:
        return ""
    shortest = min(found, key=len)
    if len(shortest) == 1:
        return "; its run was not green and is repeated once more" if shortest in ended else "; something failed in it"
    return f"; a run of {names(shortest)} was not green, and who is at fault is being looked for"
