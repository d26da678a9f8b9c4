"""A merge queue's world with a fake clock, and the queues that are compared in it: our train and models of its peers."""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Protocol

from orchestrator.train.model import Candidate, Change, Record, Tally, View
from orchestrator.train.policy import decide

if TYPE_CHECKING:
    from collections.abc import Callable

SIGMA = 0.25
CLASHING, NEAR = 0.02, 8
BACKLOG = 72
"""Changes that wait in a saturated queue."""
AUTHORS = 8

Tree = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Setting:
    changes: int = 2000
    p: float = 0.05
    slots: int = 2
    flakes: float = 0.0
    rate: float = 0.0
    """Arrivals in the time of one test; 0: always as many waiting as the backlog holds."""
    seed: int = 1
    window: int = 32
    batch: int = 8


class RuleBrokenError(Exception):
    """A queue did what no queue may do."""


@dataclass
class World:
    """The truth, which no queue sees, and the clock."""

    setting: Setting
    now: float = 0.0
    waiting: list[int] = field(default_factory=list)
    landed: dict[int, float] = field(default_factory=dict)
    evicted: dict[int, float] = field(default_factory=dict)
    innocent: int = 0
    red: int = 0
    """Landings of a tree that fails."""
    runs: int = 0
    running: dict[Tree, int] = field(default_factory=dict)
    answers: list[tuple[Tree, bool]] = field(default_factory=list)
    """Runs that ended since the queue last looked."""

    def __post_init__(self) -> None:
        setting = self.setting
        self._random = random.Random(setting.seed)  # noqa: S311 - nothing here is secret
        truth = random.Random(setting.seed + 7919)  # noqa: S311 - nothing here is secret
        self.bad = [truth.random() < setting.p for _ in range(setting.changes)]
        self.clash = [
            truth.randrange(max(0, each - NEAR), each) if each and truth.random() < CLASHING else -1
            for each in range(setting.changes)
        ]
        self.arrival = [0.0] * setting.changes
        if setting.rate:
            at = 0.0
            for each in range(setting.changes):
                at += truth.expovariate(setting.rate)
                self.arrival[each] = at
        self._next, self._token, self._events = 0, count(1), list[tuple[float, int, Tree]]()

    def is_red(self, tree: Tree) -> bool:
        inside = set(tree)
        return any(self.bad[each] or self.clash[each] in inside or self.clash[each] in self.landed for each in tree)

    # what a queue may do

    def start(self, tree: Tree) -> None:
        if tree in self.running or len(self.running) >= self.setting.slots:
            raise RuleBrokenError(f"{tree} was started beside {sorted(self.running)}")
        token = next(self._token)
        took = self._random.lognormvariate(-SIGMA * SIGMA / 2, SIGMA)
        self.running[tree] = token
        self.runs += 1
        heapq.heappush(self._events, (self.now + took, token, tree))

    def cancel(self, tree: Tree) -> None:
        del self.running[tree]

    def land(self, tree: Tree) -> None:
        self.red += self.is_red(tree)
        for each in tree:
            self.landed[each] = self.now
            self.waiting.remove(each)
        # runs go on under the name that they have on the new head
        self.running = {
            name[len(tree) :] if name[: len(tree)] == tree else name: token for name, token in self.running.items()
        }

    def evict(self, change: int) -> None:
        self.innocent += not self.is_red((change,))
        self.evicted[change] = self.now
        self.waiting.remove(change)

    # the clock

    def run(self, queue: Queue) -> World:
        tokens = self._arrive()
        while True:
            queue.turn(self)
            tokens = self._arrive()
            if tokens:
                continue
            if not self._step():
                return self

    def _arrive(self) -> bool:
        """Let in who has come; say whether anybody had."""
        setting, before = self.setting, self._next
        while self._next < setting.changes and self.arrival[self._next] <= self.now:
            if not setting.rate and len(self.waiting) >= BACKLOG:
                break
            self.waiting.append(self._next)
            self._next += 1
        return self._next > before

    def _step(self) -> bool:
        """Go on to the next end of a run or arrival; False when there is none."""
        names = {token: tree for tree, token in self.running.items()}
        while self._events and self._events[0][1] not in names:
            heapq.heappop(self._events)
        coming = self.arrival[self._next] if self._next < self.setting.changes and self.setting.rate else None
        if self._events and (coming is None or self._events[0][0] <= coming):
            self.now, token, _ = heapq.heappop(self._events)
            tree = names[token]
            del self.running[tree]
            passed = not self.is_red(tree) and self._random.random() >= self.setting.flakes
            self.answers.append((tree, passed))
            return True
        if coming is None:
            if self.waiting:
                raise RuleBrokenError(f"{len(self.waiting)} wait for ever")
            return False
        self.now = coming
        return True


class Queue(Protocol):
    def turn(self, world: World) -> None:
        """Do all that can be done now."""


class Serial:
    def turn(self, world: World) -> None:
        for tree, passed in world.answers:
            world.land(tree) if passed else world.evict(tree[0])
        world.answers.clear()
        if world.waiting and not world.running:
            world.start((world.waiting[0],))


class Oracle:
    """Knows the guilty: the others are tested once each, on what is good, and wait for nobody."""

    def turn(self, world: World) -> None:
        for tree, _ in world.answers:
            world.evict(tree[0]) if world.is_red(tree) else world.land(tree)
        world.answers.clear()
        for each in world.waiting:
            if len(world.running) == world.setting.slots:
                break
            if (each,) not in world.running:
                world.start((each,))


class BorsNg:
    """Everything waiting in one batch, at most eight; a red one is halved, one run at a time."""

    def __init__(self) -> None:
        self._parts: deque[Tree] = deque()

    def turn(self, world: World) -> None:
        for tree, passed in world.answers:
            if passed:
                world.land(tree)
            elif len(tree) == 1:
                world.evict(tree[0])
            else:
                self._parts += [tree[: len(tree) // 2], tree[len(tree) // 2 :]]
        world.answers.clear()
        if world.running or not world.waiting:
            return
        world.start(self._parts.popleft() if self._parts else tuple(world.waiting[:8]))


class Zuul:
    """Each behind the nearest that does not fail; a window that grows by one and is halved."""

    def __init__(self) -> None:
        self._window = 20
        self._known: dict[Tree, bool] = {}

    def turn(self, world: World) -> None:
        self._known.update(world.answers)
        world.answers.clear()
        while world.waiting and (first := (world.waiting[0],)) in self._known:
            if self._known.pop(first):
                world.land(first)
                self._known = {tree[1:]: said for tree, said in self._known.items() if tree[:1] == first}
                self._window += 1
            else:
                world.evict(first[0])
                self._window = max(3, self._window // 2)
        chain: Tree = ()
        wanted = []
        for each in world.waiting[: self._window]:
            tree = (*chain, each)
            wanted.append(tree)
            if self._known.get(tree, True):
                chain = tree
        for tree in set(world.running) - set(wanted):
            world.cancel(tree)
        for tree in wanted:
            if len(world.running) == world.setting.slots:
                return
            if tree not in self._known and tree not in world.running:
                world.start(tree)


class Train:
    """The policy itself."""

    def __init__(self) -> None:
        self._record = Record()
        self._known: dict[Candidate, Tally] = {}
        self._running: dict[Tree, Candidate] = {}
        self._last: dict[int, int] = {}

    def turn(self, world: World) -> None:
        self._learn(world)
        while self._decide(world):
            pass

    def _learn(self, world: World) -> None:
        for tree, passed in world.answers:
            candidate = self._running.pop(tree)
            before = self._known.get(candidate, Tally())
            self._known[candidate] = Tally(
                passes=before.passes + passed, fails=before.fails + (not passed), confirmed=not world.setting.flakes
            )
        world.answers.clear()

    def _decide(self, world: World) -> bool:
        setting = world.setting
        view = View(
            waiting=tuple(map(_change, world.waiting)),
            known=self._known,
            running=frozenset(self._running.values()),
            slots=setting.slots,
            record=self._record,
            max_window=setting.window,
            max_batch=setting.batch,
        )
        decision = decide(view)
        self._record = decision.record
        for candidate in decision.cancel:
            world.cancel(_tree(candidate))
            del self._running[_tree(candidate)]
        for candidate in decision.land:
            self._land(world, candidate)
        for name in decision.evict:
            world.evict(int(name))
            self._known = {each: tally for each, tally in self._known.items() if name not in each.changes}
        for candidate in decision.start:
            world.start(_tree(candidate))
            self._running[_tree(candidate)] = candidate
        return bool(decision.land or decision.evict)

    def _land(self, world: World, candidate: Candidate) -> None:
        landed = candidate.members
        world.land(tuple(map(int, landed)))
        runs = [each.after(landed) for each in self._running.values()]
        self._running = {_tree(each): each for each in runs if each}
        if self._running.keys() != world.running.keys():
            raise RuleBrokenError("a run was lost in a landing")
        self._known = {each: tally for old, tally in self._known.items() if (each := old.after(landed))}


@cache
def _change(number: int) -> Change:
    return Change(id=str(number), seq=number, author=str(number * 7 % AUTHORS))


@cache
def _tree(candidate: Candidate) -> Tree:
    return tuple(map(int, candidate.changes))


QUEUES: dict[str, Callable[[], Queue]] = {
    "serial": Serial,
    "Zuul 20/3": Zuul,
    "bors-ng 8": BorsNg,
    "oracle": Oracle,
    "train": Train,
}


def played(name: str, setting: Setting) -> World:
    return World(setting).run(QUEUES[name]())
