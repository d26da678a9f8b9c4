"""Which candidates are worth a run: the futures of the train, the most probable first.

In each future some changes are taken to have landed. What is judged next there is a prefix of the rest, cut where a pass is about as
likely as a failure, because such a run tells the most; what it can say opens two futures, one for each answer. With one slot this is a
bisection, with many it is a train, and in between batches on prefixes. See docs/train-policy.md.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from orchestrator.train.model import Candidate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.train.knowledge import Knowledge

EVEN = 0.5
"""The chance of a pass at which a run tells the most."""
DOUBTED = 0.1
"""The chance that a change passes which failed among others that are good."""
WORTH_A_SLOT = 0.2
"""Less likely futures are not judged, even where a slot is free: what that saves and costs stands in docs/train-policy.md."""


@dataclass(frozen=True, slots=True)
class Future:
    """One way that things may go."""

    chance: float
    ahead: tuple[str, ...]
    """Taken to have landed, in order."""
    rest: tuple[str, ...]
    """The train behind, without those that are taken to have left."""
    suspects: int = 0
    """So many of the rest are taken to hold a guilty one; 0 for nothing known."""
    likeliest: bool = True
    """Reached by the more probable answer at every step."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one future asks for, and the futures that its answers open."""

    candidate: Candidate | None
    futures: tuple[Future, ...] = ()
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be judged now, and what is expected to come of it."""

    wishes: tuple[Candidate, ...]
    """Candidates without an answer, the most needed first; the first one is needed whatever happens."""
    path: tuple[Candidate, ...]
    """What stands on the way to the most probable future, in order; those with an answer too."""


def plan(knowledge: Knowledge, train: Sequence[str], *, most: int) -> Plan:
    """Look ahead until so many candidates are found that are worth a run."""
    wishes: dict[Candidate, None] = {}
    path: list[Candidate] = []
    order = count()
    heap = [(-1.0, next(order), Future(1.0, (), tuple(train)))]
    while heap and len(wishes) < most:
        _, _, future = heapq.heappop(heap)
        if future.chance < WORTH_A_SLOT:
            break
        step = _step(knowledge, future)
        if step.candidate and not step.answered:
            wishes[step.candidate] = None
        if step.candidate and future.likeliest:
            path.append(step.candidate)
        for each in step.futures:
            heapq.heappush(heap, (-each.chance, next(order), each))
    return Plan(tuple(wishes), tuple(path))


def _step(knowledge: Knowledge, future: Future) -> Step:
    """Say what would be judged in this future, if anything, and what comes of it."""
    ahead = future.ahead
    rest = knowledge.compatible(ahead, future.rest)
    if not rest:
        return Step(None)
    if passed := knowledge.passed_behind(ahead, rest):
        return Step(Candidate(ahead, rest[:passed]), (_landed(future, rest, passed),), answered=True)
    suspects = knowledge.suspects(ahead, rest, future.suspects)
    if suspects == 1:
        return _last_suspect(knowledge, future, rest)
    size = knowledge.running_behind(ahead, rest, suspects) or _cut(knowledge, rest, suspects)
    candidate = Candidate(ahead, rest[:size])
    chance = knowledge.chance_under_way(candidate, rest, suspects)
    landed = _landed(replace(future, suspects=suspects), rest, size, chance=chance)
    red = Future(future.chance * (1 - chance), ahead, rest, size, future.likeliest and chance < EVEN)
    return Step(candidate, (landed, red))


def _landed(future: Future, rest: tuple[str, ...], size: int, *, chance: float = 1.0) -> Future:
    ahead, left = (*future.ahead, *rest[:size]), max(0, future.suspects - size)
    return Future(future.chance * chance, ahead, rest[size:], left, future.likeliest and chance >= EVEN)


def _last_suspect(knowledge: Knowledge, future: Future, rest: tuple[str, ...]) -> Step:
    """All others of a red candidate are taken to be good: its last one leaves, once that is certain."""
    candidate = Candidate(future.ahead, rest[:1])
    chance = knowledge.doubt(candidate)
    if chance == 0.0 or (future.suspects == 1 and chance is None):
        return Step(None, (Future(future.chance, future.ahead, rest[1:], 0, future.likeliest),))
    chance = DOUBTED if chance is None else chance
    gone = Future(future.chance * (1 - chance), future.ahead, rest[1:], 0, future.likeliest)
    stays = Future(future.chance * chance, candidate.changes, rest[1:], 0, likeliest=False)
    return Step(candidate, (gone, stays))


def _cut(knowledge: Knowledge, rest: tuple[str, ...], suspects: int) -> int:
    """Give the size of the prefix whose pass is about as likely as its failure."""
    limit = knowledge.together(rest)
    if suspects:
        limit = min(limit, suspects - 1)
    sizes = range(1, limit + 1)
    return min(sizes, key=lambda size: abs(knowledge.chance(rest, size, suspects) - EVEN))
