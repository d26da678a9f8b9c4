"""Which of many changes conflict as text: an index of the paths says who can, and only those are merged."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

from worktrees.footprints import Footprint, Pair

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from worktrees.changes import ChangeSet
    from worktrees.engine import MergeEngine

FAR = 2000
"""Commits that are walked back from the newest base to find the others."""


class _Index:
    """Who touches which path."""

    def __init__(self) -> None:
        self._touched: dict[str, list[str]] = defaultdict(list)
        self._arrived: dict[str, list[str]] = defaultdict(list)
        self._left: dict[str, list[str]] = defaultdict(list)

    def add(self, name: str, footprint: Footprint) -> None:
        for path in footprint.touched:
            self._touched[path].append(name)
        for folder in footprint.arrived:
            self._arrived[folder].append(name)
        for folder in footprint.left:
            self._left[folder].append(name)

    def meeting(self, footprint: Footprint) -> set[str]:
        """Give who may conflict with it: by a path, by a file where the other has a folder, by a folder that moved."""
        found: set[str] = set()
        for path in footprint.touched:
            found.update(self._touched.get(path, ()), self._arrived.get(path, ()))
        for folder in footprint.arrived:
            found.update(self._touched.get(folder, ()), self._left.get(folder, ()))
        for folder in footprint.left:
            found.update(self._arrived.get(folder, ()))
        return found


def overlaps(engine: MergeEngine, heads: Mapping[str, ChangeSet]) -> list[Pair]:
    """Give the names of heads that cannot be merged with each other, two by two, in the order of `heads`.

    The base of each is on the target, and two heads share no commits but the target's.
    """
    order = {name: place for place, name in enumerate(heads)}
    pairs = {(one, other) if order[one] < order[other] else (other, one) for one, other in _candidates(engine, heads)}
    asked = sorted(pairs, key=lambda pair: (order[pair[0]], order[pair[1]]))
    conflicts = engine.conflicts([(heads[one].commit, heads[other].commit) for one, other in asked])
    return [pair for pair, conflict in zip(asked, conflicts, strict=True) if conflict]


def _candidates(engine: MergeEngine, heads: Mapping[str, ChangeSet]) -> Iterator[Pair]:
    index = _Index()
    for name, changes in heads.items():
        footprint = Footprint.of(changes.landing)
        yield from ((name, other) for other in index.meeting(footprint))
        index.add(name, footprint)
    bases = {name: changes.base for name, changes in heads.items()}
    if len(set(bases.values())) > 1:
        yield from _with_the_target(engine, index, bases)


def _with_the_target(engine: MergeEngine, index: _Index, bases: Mapping[str, str]) -> Iterator[Pair]:
    """Give pairs that may conflict as one of them also brings what the target did since the base of the other."""
    line = _line(engine, set(bases.values()))
    yield from (pair for pair in combinations(bases, 2) if not {bases[name] for name in pair} <= line.keys())
    places = {name: line[base] for name, base in bases.items() if base in line}
    parts = list(pairwise(line))
    footprints = engine.footprints([(older, newer) for newer, older in parts])
    for (newer, older), footprint in zip(parts, footprints, strict=True):
        met = index.meeting(footprint)
        ahead = [name for name, place in places.items() if place <= line[newer]]
        behind = [name for name in met if places.get(name, -1) >= line[older]]
        yield from ((one, other) for one in behind for other in ahead)


def _line(engine: MergeEngine, bases: set[str]) -> dict[str, int]:
    """Give each base its distance from the newest, the newest first; those off its first-parent line are left out."""
    newest = max(zip(engine.heads(list(bases)), bases, strict=True), key=lambda one: one[0].date)[1]
    line, commit = {newest: 0}, newest
    for distance in range(1, FAR):
        parents = engine.head(commit).parents
        if not parents or len(line) == len(bases):
            break
        commit = parents[0]
        if commit in bases:
            line[commit] = distance
    return line
