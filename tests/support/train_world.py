"""A train in a world whose truth the policy does not see: who is guilty, who clashes with whom; every rule is checked at every step."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from orchestrator.train.model import Candidate, Change, Record, Tally, View
from orchestrator.train.policy import decide

if TYPE_CHECKING:
    from orchestrator.train.model import Decision


@dataclass
class World:
    """What waits, runs and is known, and the truth; `settle` lets the policy act until it waits for a run to end."""

    guilty: set[str] = field(default_factory=set)
    clashes: set[frozenset[str]] = field(default_factory=set)
    """Pairs that fail together, and pass alone."""
    slots: int = 2
    window: int = 8
    batch: int = 8
    confirms: bool = True
    """Whether a run repeats by itself what failed."""
    flaky: bool = False
    """Whether good trees may fail: then the guilty are not all guilty."""
    waiting: list[Change] = field(default_factory=list)
    known: dict[Candidate, Tally] = field(default_factory=dict)
    running: list[Candidate] = field(default_factory=list)
    failing: set[Candidate] = field(default_factory=set)
    """Something failed in their runs, which have not ended or were cancelled."""
    record: Record = field(default_factory=Record)
    landed: list[str] = field(default_factory=list)
    evicted: list[str] = field(default_factory=list)
    unjudged: list[str] = field(default_factory=list)
    pairs: set[frozenset[str]] = field(default_factory=set)
    """Who cannot be merged with whom."""
    passed_by: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    last: Decision | None = None

    def fails(self, changes: tuple[str, ...]) -> bool:
        tree = {*self.landed, *changes}
        new = set(changes)
        return bool(new & self.guilty) or any(pair <= tree and pair & new for pair in self.clashes)

    def view(self) -> View:
        return View(
            waiting=tuple(self.waiting),
            known=dict(self.known),
            running=frozenset(self.running),
            slots=self.slots,
            record=self.record,
            max_window=self.window,
            max_batch=self.batch,
            failing=frozenset(self.failing),
        )

    # what happens to it

    def add(self, *changes: Change) -> None:
        self.waiting += changes
        self.pairs |= {frozenset({change.id, other}) for change in changes for other in change.excludes}
        self.settle()

    def end(self, run: Candidate, *, flake: bool = False, unclear: bool = False) -> None:
        """Let a run end: with the truth, or as a flake, or without an answer."""
        self.running.remove(run)
        self.failing.discard(run)
        before = self.known.get(run, Tally())
        failed = not unclear and (flake or self.fails(run.changes))
        passed = not unclear and not failed
        self.known[run] = replace(
            before,
            passes=before.passes + passed,
            fails=before.fails + failed,
            inconclusive=before.inconclusive + unclear,
            confirmed=before.confirmed or (failed and self.confirms),
        )
        self.settle()

    def begin_to_fail(self, run: Candidate) -> None:
        """Let something fail in a run that goes on: it may be a flake."""
        self.failing.add(run)
        self.settle()

    def finish(self, *, newest_first: bool = False) -> World:
        """Let all runs end with the truth, one after another, until nobody waits."""
        for _ in range(1000):
            if not self.running:
                break
            self.end(self.running[-1 if newest_first else 0])
        assert not self.waiting, f"no progress: {self.waiting}"
        return self

    # the policy acts

    def settle(self) -> None:
        for _ in range(100):
            view = self.view()
            decision = decide(view)
            assert decision == decide(view)
            self._check(decision)
            self._apply(decision)
            self.last = decision
            if not (decision.land or decision.evict or decision.unjudged):
                break
        else:
            raise AssertionError("the policy never comes to rest")
        assert self.running or not self.waiting or not self.slots, f"nothing runs, and {self.waiting} wait"

    def _check(self, decision: Decision) -> None:
        here = {change.id: change for change in self.waiting}
        assert set(self.running) >= decision.cancel
        assert decision.reasons.keys() == here.keys()
        assert all(decision.reasons.values())
        assert len(decision.record.places) <= max(self.window, len(self.record.places))
        self._check_places(decision)
        taken = {run.changes for run in self.running if run not in decision.cancel}
        assert not decision.start or len(taken) + len(decision.start) <= self.slots
        for run in decision.start:
            assert run.changes not in taken
            taken.add(run.changes)
            self._check_start(run, here)

    def _check_places(self, decision: Decision) -> None:
        before, waits = set(self.record.places), {change.id: change.seq for change in self.waiting}
        for index, name in enumerate(decision.record.places):
            if name not in before:
                behind = decision.record.places[:index]
                older = [x for x, seq in waits.items() if seq < waits[name] and x not in before and x not in behind]
                self.passed_by.update(older)
        assert all(times <= 2 for times in self.passed_by.values()), self.passed_by

    def _check_start(self, run: Candidate, here: dict[str, Change]) -> None:
        assert run.members
        assert len(set(run.changes)) == len(run.changes)
        assert set(run.changes) <= here.keys()
        assert len(run.members) <= self.batch
        assert not any(pair <= set(run.changes) for pair in self.pairs)
        assert all(here[name].related.isdisjoint(run.members) for name in run.members)
        assert len(run.members) == 1 or not any(here[name].alone for name in run.members)
        tally = self.known.get(run, Tally())
        assert not tally.passes
        assert tally.inconclusive < 3
        assert tally.fails < 1 + (not self.confirms)

    def _apply(self, decision: Decision) -> None:
        places = list(self.record.places)
        self.record = decision.record
        self.running = [run for run in self.running if run not in decision.cancel]
        for name in [*decision.evict, *decision.unjudged]:
            self._check_leaves(name, decision)
        for candidate in decision.land:
            self._land(candidate, places, decision)
        for name in decision.evict:
            assert self.flaky or self.fails((name,)) or any(name in tally.blamed for tally in self.known.values()), name
        gone = {*decision.evict, *decision.unjudged}
        self.evicted += decision.evict
        self.unjudged += decision.unjudged
        self.waiting = [change for change in self.waiting if change.id not in gone]
        self.known = {each: tally for each, tally in self.known.items() if gone.isdisjoint(each.changes)}
        assert all(gone.isdisjoint(run.changes) for run in self.running)
        self.running += decision.start
        self.runs += len(decision.start)

    def _check_leaves(self, name: str, decision: Decision) -> None:
        assert name in {change.id for change in self.waiting}
        assert name not in {each for candidate in decision.land for each in candidate.members}

    def _excluded(self, change: Change, landed: list[str]) -> bool:
        """Say whether something that landed cannot be merged with it."""
        return any(frozenset({change.id, name}) in self.pairs for name in landed)

    def _land(self, candidate: Candidate, places: list[str], decision: Decision) -> None:
        here = {change.id: change for change in self.waiting}
        assert self.known[Candidate((), candidate.members)].passes
        assert not self.fails(candidate.members)
        for name in candidate.members:
            before = places[: places.index(name)]
            left = [x for x in before if x in here and x not in candidate.members and x not in decision.evict]
            assert all(self._excluded(here[x], [*self.landed, *candidate.members]) for x in left), (
                f"{name} overtook {left}"
            )
        self.landed += candidate.members
        self.waiting = [change for change in self.waiting if change.id not in candidate.members]
        self.running = [now for run in self.running if (now := run.after(candidate.members))]
        self.failing = {now for run in self.failing if (now := run.after(candidate.members))}
        kept = [(now, tally) for each, tally in self.known.items() if (now := each.after(candidate.members))]
        self.known = dict(sorted(kept, key=lambda one: bool(one[1].passes)))
