"""The policy against a simple model: whatever ends in whatever order, nothing false lands, nobody innocent leaves, and all ends."""

from __future__ import annotations

from itertools import chain, combinations, product
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from orchestrator.train.model import Change
from train_world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = "abcde"


class Train(RuleBasedStateMachine):
    """Changes come, runs fail and end in any order, with flakes, without an answer, and slots come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.next = 0

    @initialize(
        slots=st.integers(1, 6),
        window=st.integers(1, 12),
        batch=st.integers(1, 8),
        confirms=st.booleans(),
        flaky=st.booleans(),
    )
    def begin(self, *, slots: int, window: int, batch: int, confirms: bool, flaky: bool) -> None:
        self.world = World(slots=slots, window=window, batch=batch, confirms=confirms, flaky=flaky)

    @rule(data=st.data(), number=st.integers(1, 4), guilty=st.booleans(), author=st.sampled_from("xyz"))
    def come(self, data: st.DataObject, number: int, guilty: bool, author: str) -> None:  # noqa: FBT001 - hypothesis passes it
        new: list[Change] = []
        for _ in range(number):
            name, others = f"t{self.next}", [change.id for change in [*self.world.waiting, *new]]
            self.next += 1
            some = st.frozensets(st.sampled_from(others), max_size=2) if others else st.just(frozenset[str]())
            excludes, related = data.draw(some), data.draw(some)
            if guilty and data.draw(st.booleans()):
                self.world.guilty.add(name)
            if others and data.draw(st.integers(0, 9)) == 0:
                self.world.clashes.add(frozenset({name, data.draw(st.sampled_from(others))}))
            alone = data.draw(st.integers(0, 9)) == 0
            new.append(Change(id=name, seq=self.next, author=author, excludes=excludes, related=related, alone=alone))
        self.world.add(*new)

    @precondition(lambda self: self.world.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(sorted(self.world.running, key=lambda run: run.changes)))
        self.world.end(run, flake=self.world.flaky and data.draw(st.integers(0, 9)) == 0)

    @precondition(lambda self: self.world.running)
    @rule(data=st.data())
    def begin_to_fail(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(sorted(self.world.running, key=lambda run: run.changes)))
        if self.world.flaky or self.world.fails(run.changes):
            self.world.begin_to_fail(run)

    @precondition(lambda self: self.world.running)
    @rule(data=st.data())
    def end_without_an_answer(self, data: st.DataObject) -> None:
        self.world.end(
            data.draw(st.sampled_from(sorted(self.world.running, key=lambda run: run.changes))), unclear=True
        )

    @rule(slots=st.integers(0, 6))
    def change_slots(self, slots: int) -> None:
        self.world.slots = slots
        self.world.settle()

    def teardown(self) -> None:
        """Nothing is lost: all that came lands or leaves, once the runs end."""
        self.world.slots = max(1, self.world.slots)
        self.world.settle()
        self.world.finish()
        ended = [*self.world.landed, *self.world.evicted, *self.world.unjudged]
        assert sorted(ended) == sorted(f"t{number}" for number in range(self.next))


def play(examples: int, steps: int) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    chosen = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=checks, derandomize=True
    )
    run_state_machine_as_test(Train, settings=chosen)


@pytest.mark.slow
def test_the_rules_hold_in_every_order_of_events() -> None:
    play(40, 20)


@pytest.mark.long
def test_the_rules_hold_in_every_order_of_many_events() -> None:
    play(400, 50)


# small trains, completely


def subsets(names: str) -> Iterator[tuple[str, ...]]:
    return chain.from_iterable(combinations(names, size) for size in range(len(names) + 1))


def one_by_one(names: str, world: World) -> tuple[list[str], list[str]]:
    """What a queue does that judges one change at a time on what has landed."""
    landed: list[str] = []
    for name in names:
        world.landed = landed
        if not world.fails((name,)):
            landed = [*landed, name]
    return landed, [name for name in names if name not in landed]


def played(names: str, guilty: tuple[str, ...], clash: tuple[str, ...], shape: tuple[int, bool, bool]) -> None:
    slots, newest_first, confirms = shape
    clashes = {frozenset(clash)} if clash else set()
    expected = one_by_one(names, World(guilty=set(guilty), clashes=clashes))
    world = World(guilty=set(guilty), clashes=clashes, slots=slots, confirms=confirms)
    world.add(*(Change(id=name, seq=seq) for seq, name in enumerate(names)))
    world.finish(newest_first=newest_first)
    assert (world.landed, sorted(world.evicted)) == expected


def test_three_changes_land_exactly_as_one_by_one_whoever_is_guilty() -> None:
    shapes = product((1, 2, 4), (False, True), (False, True))
    for guilty, shape, clash in product(subsets("abc"), list(shapes), [(), *combinations("abc", 2)]):
        played("abc", guilty, clash, shape)


@pytest.mark.slow
def test_five_changes_land_exactly_as_one_by_one_whoever_is_guilty() -> None:
    for guilty, shape, clash in product(
        subsets(NAMES), [(2, True, True), (6, False, True)], [(), ("a", "d"), ("c", "d")]
    ):
        played(NAMES, guilty, clash, shape)


@pytest.mark.long
def test_five_changes_land_exactly_as_one_by_one_in_every_shape() -> None:
    shapes = list(product((1, 2, 3, 5), (False, True), (False, True)))
    for guilty, shape, clash in product(subsets(NAMES), shapes, [(), *combinations(NAMES, 2)]):
        played(NAMES, guilty, clash, shape)
