"""What the train does in cases that can be told in a sentence."""

from __future__ import annotations

import random
from dataclasses import replace

from orchestrator.train.model import Candidate, Change, Record, Tally, View
from orchestrator.train.policy import decide
from train_world import World

PASSED = Tally(passes=1)
FAILED = Tally(fails=1, confirmed=True)


def changes(names: str, **more: dict[str, object]) -> tuple[Change, ...]:
    """One change for each letter; what is special about one stands under its letter."""
    return tuple(Change(id=name, seq=seq, **more.get(name, {})) for seq, name in enumerate(names))  # type: ignore[arg-type]


def on_head(members: str) -> Candidate:
    return Candidate((), tuple(members))


def behind(ahead: str, members: str) -> Candidate:
    return Candidate(tuple(ahead), tuple(members))


# landing and leaving


def test_what_passed_behind_a_change_that_is_still_judged_waits_for_it() -> None:
    view = View(waiting=changes("ab"), known={behind("a", "b"): PASSED}, running=frozenset({on_head("a")}), slots=2)
    decision = decide(view)
    assert not decision.land
    assert decision.reasons["b"] == "passed behind a; waits for those ahead to land"


def test_the_longest_passing_prefix_lands_as_a_whole_one_commit_for_each_run() -> None:
    known = {on_head("ab"): PASSED, behind("ab", "c"): PASSED, behind("abc", "d"): FAILED, behind("abcd", "e"): PASSED}
    decision = decide(View(waiting=changes("abcde"), known=known, running=frozenset(), slots=2))
    assert decision.land == (on_head("ab"), behind("ab", "c"))
    assert list(decision.evict) == ["d"]
    assert decision.evict["d"] == (
        "it failed on the target's head behind a, b, c, which passed, with no other change beside it"
    )


def test_a_follower_that_fails_before_the_guilty_one_ahead_is_known_is_not_evicted() -> None:
    """GitLab's merge trains threw such a follower out (issue 500693 there)."""
    world = World(guilty={"a"}, slots=4, batch=1)
    world.add(*changes("ab"))
    world.end(behind("a", "b"))
    assert not world.evicted
    world.end(on_head("a"))
    assert world.evicted == ["a"]
    world.finish()
    assert world.landed == ["b"]


def test_a_red_batch_is_split_and_its_last_suspect_is_not_judged_again() -> None:
    world = World(guilty={"d"}, slots=1)
    world.add(*changes("abcd"))
    judged = []
    while world.running:
        judged.append("".join(world.running[0].members))
        world.end(world.running[0])
    assert judged == ["abcd", "ab", "c"]
    assert (world.landed, world.evicted) == (["a", "b", "c"], ["d"])


def test_a_member_that_is_blamed_leaves_at_once_and_takes_nobody_along() -> None:
    known = {on_head("abc"): Tally(fails=1, confirmed=True, blamed=frozenset("b"))}
    decision = decide(View(waiting=changes("abc"), known=known, running=frozenset({behind("abc", "d")}), slots=2))
    assert list(decision.evict) == ["b"]
    assert decision.cancel == {behind("abc", "d")}


def test_what_stands_on_something_that_is_failing_ends_and_begins_without_it() -> None:
    world = World(guilty={"b"}, slots=4, batch=1)
    world.add(*changes("abcd"))
    assert world.running == [on_head("a"), behind("a", "b"), behind("ab", "c"), behind("abc", "d")]
    world.begin_to_fail(behind("a", "b"))
    assert world.running == [on_head("a"), behind("a", "b"), behind("a", "c"), behind("ac", "d")]
    assert "who is at fault is being looked for" in (world.last.reasons["b"] if world.last else "")
    assert not world.evicted
    world.end(on_head("a"))
    assert (world.landed, world.evicted) == (["a"], [])
    world.end(on_head("b"))
    assert (world.evicted, world.running[:2]) == (["b"], [on_head("c"), behind("c", "d")])
    assert world.finish().landed == ["a", "c", "d"]


def test_a_batch_that_is_failing_on_the_head_is_let_end_and_one_behind_others_is_not() -> None:
    world = World(guilty={"b"}, slots=1)
    world.add(*changes("abcd"))
    world.begin_to_fail(on_head("abcd"))
    assert world.running == [on_head("abcd")]
    behind_others = behind("ab", "cd")
    view = View(waiting=changes("abcd"), known={}, running=frozenset({on_head("ab"), behind_others}), slots=4)
    assert decide(replace(view, failing=frozenset({on_head("ab")}))).cancel == {behind_others}
    assert decide(replace(view, failing=frozenset({behind_others}))).cancel == {behind_others}


def test_what_begins_to_fail_and_passes_when_repeated_lands() -> None:
    world = World(slots=2, batch=1, flaky=True)
    world.add(*changes("ab"))
    world.begin_to_fail(on_head("a"))
    world.end(on_head("a"))
    assert world.finish().landed == ["a", "b"]


def test_a_failure_that_may_be_a_flake_is_run_once_more() -> None:
    world = World(slots=1, batch=1, confirms=False, flaky=True)
    world.add(*changes("a"))
    world.end(on_head("a"), flake=True)
    assert world.running == [on_head("a")]
    assert "repeated once more" in (world.last.reasons["a"] if world.last else "")
    world.end(on_head("a"))
    assert world.landed == ["a"]


def test_two_failures_are_no_flake() -> None:
    world = World(guilty={"a"}, slots=1, batch=1, confirms=False)
    world.add(*changes("a"))
    world.end(on_head("a"))
    world.end(on_head("a"))
    assert world.evicted == ["a"]


def test_a_run_without_an_answer_is_tried_three_times_and_nobody_is_blamed() -> None:
    world = World(slots=1, batch=1)
    world.add(*changes("ab"))
    for _ in range(3):
        world.end(on_head("a"), unclear=True)
    assert (world.unjudged, world.evicted) == (["a"], [])
    assert world.record.failed == {}
    assert world.finish().landed == ["b"]


def test_a_batch_that_nobody_can_judge_is_split_after_three_tries() -> None:
    world = World(slots=1)
    world.add(*changes("abcd"))
    for _ in range(3):
        world.end(on_head("abcd"), unclear=True)
    assert world.running == [on_head("ab")]


def test_what_a_batch_said_is_known_of_its_rest_once_the_first_have_landed() -> None:
    assert on_head("abc").after(("a", "b")) == on_head("c")
    assert behind("a", "bc").after(("a",)) == on_head("bc")
    assert behind("a", "bc").after(("a", "b", "c")) is None
    assert behind("b", "c").after(("a",)) is None


# who stands where


def test_of_two_that_cannot_be_merged_the_later_waits() -> None:
    world = World(slots=4)
    world.add(*changes("abc", c={"excludes": frozenset("a")}))
    assert all(not {"a", "c"} <= set(run.changes) for run in world.running)
    assert world.last is not None
    assert world.last.reasons["c"] == "waits for a: both change the same lines"


def test_related_changes_share_a_train_but_no_run() -> None:
    world = World(slots=3)
    world.add(*changes("abc", b={"related": frozenset("a")}))
    assert world.running[:2] == [on_head("a"), behind("a", "bc")]


def test_a_change_of_what_everything_is_judged_by_is_judged_by_itself() -> None:
    world = World(slots=3)
    world.add(*changes("abc", b={"alone": True}))
    assert world.running == [on_head("a"), behind("a", "b"), behind("ab", "c")]


def test_few_slots_make_large_batches_and_authors_who_fail_make_small_ones() -> None:
    good, bad = Record(passed={"": 100}), Record(passed={"": 50}, failed={"": 50})

    def first(record: Record) -> int:
        view = View(waiting=changes("abcdefgh"), known={}, running=frozenset(), slots=1, record=record, max_window=32)
        return len(decide(view).start[0].members)

    assert first(Record(window=32, passed=good.passed)) == 8
    assert first(Record(window=32, passed=bad.passed, failed=bad.failed)) == 1


def test_the_window_grows_with_what_lands_and_shrinks_with_who_is_guilty() -> None:
    waiting = changes("abcdefgh")
    landing = View(waiting=waiting, known={on_head("abc"): PASSED}, running=frozenset(), slots=2, max_window=6)
    assert decide(landing).record.window == 6
    known = {on_head("a"): FAILED}
    evicting = View(waiting=waiting, known=known, running=frozenset(), slots=2, record=Record(window=8))
    assert decide(evicting).record.window == 6


def test_an_author_does_not_fill_the_train_while_others_wait() -> None:
    waiting = tuple(Change(id=f"a{seq}", seq=seq, author="busy") for seq in range(9))
    waiting += (Change(id="z", seq=9, author="calm"),)
    decision = decide(View(waiting=waiting, known={}, running=frozenset(), slots=2, record=Record(window=4)))
    assert decision.record.places == ("a0", "a1", "a2", "z")
    assert decision.reasons["a3"] == "waits for a place in the train: 0 of those waiting are before it"


def test_nobody_is_overtaken_more_than_twice() -> None:
    busy = tuple(Change(id=f"a{seq}", seq=seq, author="busy") for seq in range(4))
    calm = tuple(Change(id=f"z{seq}", seq=9 + seq, author=f"calm {seq}") for seq in range(4))
    record = Record(window=4, places=("a0",), overtaken={"a1": 2, "a2": 2})
    view = View(waiting=(*busy, *calm), known={}, running=frozenset(), slots=1, record=record, max_window=4)
    assert decide(view).record.places == ("a0", "a1", "a2", "z0")


def test_a_serial_queue_is_a_train_of_one() -> None:
    world = World(slots=1, window=1)
    world.add(*changes("abc"))
    assert world.running == [on_head("a")]
    assert world.finish().runs == 3


# the least that a train must do


def test_hundred_changes_at_one_slot_cost_less_than_half_a_run_each() -> None:
    chance = random.Random(7)
    names = [f"t{number}" for number in range(100)]
    world = World(guilty={name for name in names if chance.random() < 0.05}, slots=1, window=32)
    world.add(*(Change(id=name, seq=seq) for seq, name in enumerate(names)))
    world.finish()
    assert sorted(world.evicted) == sorted(world.guilty)
    assert len(world.landed) == 100 - len(world.guilty)
    assert world.runs <= 50


def test_the_record_survives_being_written_down() -> None:
    record = Record(window=7, passed={"x": 3}, failed={"x": 1}, places=("a", "b"), overtaken={"c": 2})
    assert Record.from_json(record.to_json()) == record
    assert Record.from_json({}) == Record()


def test_runs_of_changes_that_are_gone_end() -> None:
    decision = decide(View(waiting=changes("a"), known={}, running=frozenset({on_head("x")}), slots=1))
    assert decision.cancel == {on_head("x")}
    assert decision.start == (on_head("a"),)
