"""What the runs so far say about the present head, in the form in which the plan asks for it."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.train.model import Candidate, Tally
from orchestrator.train.places import entered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orchestrator.train.model import Change, View

TRIES = 3
"""Runs that may end without an answer before a candidate counts as one that cannot be judged."""
SURE_FAILS = 2
"""Failures of the same tree that nobody takes for a flake."""
FLAKE = 0.02
"""How often a good tree is taken to fail a run."""
CLASH = 0.01
"""The risk of a change that already passed in another company."""
UNHEARD = 0.3
"""What is left of the suspicion against a run that has not failed, where one that stands on it has: most begin together."""
PRIOR_FAILED, PRIOR = 1.0, 10.0
"""Before anything is known, one change of ten is taken to fail."""
WEIGHT = 8.0
"""So many changes of an author count as much as what is known of all."""


class Knowledge:
    """Answers about one view; nothing in it changes."""

    def __init__(self, view: View) -> None:
        self.view, self.record = view, entered(view)
        self.changes: dict[str, Change] = {change.id: change for change in view.waiting}
        self.passed = frozenset(each for each, tally in view.known.items() if tally.passes)
        self._passed = self._by_ahead(self.passed)
        self._running = self._by_ahead(view.running)

    @staticmethod
    def _by_ahead(candidates: Iterable[Candidate]) -> dict[tuple[str, ...], list[tuple[str, ...]]]:
        found: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
        for each in candidates:
            found[each.ahead].append(each.members)
        return {ahead: sorted(members, key=len, reverse=True) for ahead, members in found.items()}

    @cached_property
    def tallies(self) -> dict[tuple[str, ...], Tally]:
        """What is known of each tree, however its changes were divided into those ahead and those judged.

        One that passed and failed is flaky: it blames nobody, and lands where the candidate itself passed.
        """
        found: dict[tuple[str, ...], Tally] = {}
        for each, tally in self.view.known.items():
            found[each.changes] = _sum(found[each.changes], tally) if each.changes in found else tally
        return found

    @cached_property
    def red(self) -> list[frozenset[str]]:
        """What will hardly land as it is: it failed, or nobody can judge it."""
        known = [frozenset(each.changes) for each, tally in self.view.known.items() if is_red(tally)]
        return known + [frozenset(changes) for changes in self.failing]

    @cached_property
    def failing(self) -> frozenset[tuple[str, ...]]:
        """Trees of which something failed, and nothing more is known; all that they hold still waits."""
        trees = {each.changes for each in self.view.failing}
        return frozenset(tree for tree in trees - self.tallies.keys() if self.changes.keys() >= set(tree))

    @cached_property
    def risk(self) -> dict[str, float]:
        """How likely each change is to fail, by what its author's changes did before."""
        record = self.record
        failed, passed = sum(record.failed.values()), sum(record.passed.values())
        common = (failed + PRIOR_FAILED) / (failed + passed + PRIOR)
        fine = {change for each in self.passed for change in each.changes}
        return {
            each.id: CLASH if each.id in fine else self._of_author(each.author, common) for each in self.view.waiting
        }

    def _of_author(self, author: str, common: float) -> float:
        failed, passed = self.record.failed.get(author, 0), self.record.passed.get(author, 0)
        return min(0.9, (failed + WEIGHT * common) / (failed + passed + WEIGHT))

    # what may stand together

    @cached_property
    def _excluded(self) -> dict[str, set[str]]:
        """Who can never stand in one tree with whom, whichever of the two said so."""
        return _both_ways((change.id, change.excludes) for change in self.view.waiting)

    @cached_property
    def _apart(self) -> dict[str, set[str]]:
        """Who never shares a run with whom."""
        return _both_ways((change.id, change.excludes | change.related) for change in self.view.waiting)

    def compatible(self, ahead: tuple[str, ...], rest: tuple[str, ...]) -> tuple[str, ...]:
        """Leave out what cannot be merged behind those ahead."""
        if not self._excluded:
            return rest
        return tuple(each for each in rest if self._excluded.get(each, set()).isdisjoint(ahead))

    def together(self, rest: Sequence[str]) -> int:
        """Say how many of the first may share one run."""
        if self.changes[rest[0]].alone:
            return 1
        most = min(len(rest), max(1, self.view.max_batch))
        for size in range(1, most):
            name = rest[size]
            if self.changes[name].alone or not self._apart.get(name, set()).isdisjoint(rest[:size]):
                return size
        return most

    # what is known, or will be

    def passes_behind(self, ahead: tuple[str, ...], rest: tuple[str, ...]) -> list[int]:
        """Give the sizes of the candidates right behind these that passed, the longest first."""
        return [len(each) for each in self._passed.get(ahead, ()) if rest[: len(each)] == each]

    def passed_behind(self, ahead: tuple[str, ...], rest: tuple[str, ...]) -> int:
        """Give the size of the longest candidate right behind these that passed; 0 for none."""
        return max(self.passes_behind(ahead, rest), default=0)

    def running_behind(self, ahead: tuple[str, ...], rest: tuple[str, ...], suspects: int) -> int:
        """Give the size of the longest candidate behind these that runs and can still pass; 0 for none."""
        sizes = (len(each) for each in self._running.get(ahead, ()) if rest[: len(each)] == each)
        return next((size for size in sizes if not suspects or size < suspects), 0)

    def suspects(self, ahead: tuple[str, ...], rest: tuple[str, ...], taken: int) -> int:
        """Say among how many of the first there must be a guilty one if those ahead are good; 0 for nothing known."""
        if not self.red:
            return taken
        place = {name: index for index, name in enumerate(rest, start=1)} | dict.fromkeys(ahead, 0)
        least = taken or len(rest) + 1
        for red in self.red:
            needed = max(place.get(name, len(rest) + 1) for name in red)
            least = min(least, needed or least)
        return least if least <= len(rest) else 0

    def is_hopeless(self, run: Candidate) -> bool:
        """Say whether nobody needs its answer: a change left, or all that it holds is known to fail.

        What fails is let end where it may evict somebody, and on the head itself: what it is compared with is known there.
        """
        changes = set(run.changes)
        if not self.changes.keys() >= changes or (run in self.view.failing and run.ahead and len(run.members) > 1):
            return True
        settled = {red for red, tally in self.tallies.items() if is_red(tally) and is_settled(tally)}
        return any(changes > set(red) for red in settled | self.failing)

    def chance_under_way(self, candidate: Candidate, rest: Sequence[str], suspects: int) -> float:
        """Say the same of a candidate whose run may be under way."""
        chance = self.chance(rest, len(candidate.members), suspects)
        changes = set(candidate.changes)
        heard = candidate not in self.view.running or candidate in self.view.failing
        if heard or not any(changes < set(each) for each in self.failing):
            return chance
        return 1 - UNHEARD * (1 - chance)

    def chance(self, rest: Sequence[str], size: int, suspects: int) -> float:
        """Say how likely the first of the rest are to pass, if one of the suspects is guilty."""
        good = self._good(rest[:size])
        if not suspects or size >= suspects:
            return good
        none = self._good(rest[:suspects])
        return (good - none) / (1 - none)

    def _good(self, names: Sequence[str]) -> float:
        chance = 1.0
        for name in names:
            chance *= 1 - self.risk[name]
        return chance

    def doubt(self, candidate: Candidate) -> float | None:
        """Say how likely a red candidate of one is to pass after all; None where this very tree was not judged."""
        tally = self.tallies.get(candidate.changes)
        if candidate.changes not in self.failing and (tally is None or not is_red(tally)):
            return None
        if tally and is_settled(tally):
            return 0.0
        risk = self.risk[candidate.members[-1]]
        flaky = FLAKE * (1 - risk)
        return flaky / (flaky + risk)


def is_red(tally: Tally) -> bool:
    return not tally.passes and (tally.fails > 0 or tally.inconclusive >= TRIES)


def is_guilty(tally: Tally) -> bool:
    """Say whether it failed in a way that is no flake."""
    return not tally.passes and tally.fails > 0 and (tally.confirmed or tally.fails >= SURE_FAILS)


def is_settled(tally: Tally) -> bool:
    """Say whether another run would change nothing."""
    return bool(tally.passes) or is_guilty(tally) or tally.inconclusive >= TRIES


def _sum(one: Tally, other: Tally) -> Tally:
    return Tally(
        passes=one.passes + other.passes,
        fails=one.fails + other.fails,
        inconclusive=one.inconclusive + other.inconclusive,
        confirmed=one.confirmed or other.confirmed,
        blamed=one.blamed | other.blamed,
    )


def _both_ways(rows: Iterable[tuple[str, frozenset[str]]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for name, others in rows:
        for other in others:
            found[name].add(other)
            found[other].add(name)
    return found
