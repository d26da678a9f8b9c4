"""The train with real git, real gates and real threads: what lands, what leaves, what is judged how often."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from train_yard import QUIET, Yard

if TYPE_CHECKING:
    from demo_project import Demo

CHECKED = """
[[checks]]
name = "whole"
run = ["python", "check.py"]
timeout_s = 60
[train]
slots = {slots}
batch = {batch}
"""
CHECK = """import pathlib, sys
sys.exit(any("bad" in path.read_text() for path in pathlib.Path(".").rglob("*.txt")))
"""


@pytest.fixture
def yard(demo: Demo) -> Yard:
    return yard_with(demo)


def yard_with(demo: Demo, *, slots: int = 4, batch: int = 1, check: str = CHECK) -> Yard:
    return Yard.of(demo, QUIET + CHECKED.format(slots=slots, batch=batch), **{"check.py": check})


def test_changes_side_by_side_land_each_on_the_head_that_the_ones_before_make(yard: Yard) -> None:
    before = yard.workspace.head()
    tickets = yard.queue(*({f"f{n}.txt": "good\n"} for n in range(5)))
    assert set(yard.run(*tickets).values()) == {"landed"}
    assert sorted(name for step in yard.landed(before) for name in step) == tickets
    yard.assert_never_red(before)
    assert all((yard.demo.root / f"f{n}.txt").read_text(encoding="utf-8") == "good\n" for n in range(5))


def test_a_red_one_leaves_with_its_evidence_and_the_others_land(yard: Yard) -> None:
    before = yard.workspace.head()
    tickets = yard.queue({"a.txt": "good\n"}, {"b.txt": "bad\n"}, {"c.txt": "good\n"}, {"d.txt": "good\n"})
    fates = yard.run(*tickets)
    assert [fates[name] for name in tickets] == ["landed", "again", "landed", "landed"]
    yard.assert_never_red(before)
    guilty = yard.workspace.records.attempts(tickets[1])[-1]
    assert guilty.state == "refused"
    assert "### checks" in (guilty.outcome or {})["evidence"]


def test_two_that_are_red_only_together_lose_the_later_one(demo: Demo) -> None:
    check = "import pathlib, sys\nsys.exit(pathlib.Path('a.txt').exists() and pathlib.Path('b.txt').exists())\n"
    yard = yard_with(demo, check=check)
    before = yard.workspace.head()
    tickets = yard.queue({"a.txt": "x\n"}, {"b.txt": "x\n"})
    fates = yard.run(*tickets)
    assert sorted(fates.values()) == ["again", "landed"]
    yard.assert_never_red(before)


def test_a_conflict_with_the_target_comes_back_with_both_sides_before_any_gate_runs(yard: Yard) -> None:
    base = yard.workspace.head()
    tickets = yard.queue({"check.txt": "mine\n"}, base=base)
    yard.demo.commit("somebody else's", **{"check.txt": "theirs\n"})
    assert yard.run(*tickets) == {tickets[0]: "again"}
    (attempt,) = yard.workspace.records.attempts(tickets[0])
    assert attempt.state == "conflict"
    evidence = (attempt.outcome or {})["evidence"]
    assert "mine" in evidence
    assert "theirs" in evidence
    assert yard.events("gates.judged") == []


def test_two_that_conflict_with_each_other_are_not_judged_together(yard: Yard) -> None:
    tickets = yard.queue({"same.txt": "one\n"}, {"same.txt": "two\n"})
    fates = yard.run(*tickets)
    assert sorted(fates.values()) == ["again", "landed"]
    assert [len(event["changes"]) for event in yard.events("train.judged")] == [1]


def test_what_was_judged_is_not_judged_again(yard: Yard) -> None:
    tickets = yard.queue(*({f"f{n}.txt": "good\n"} for n in range(6)))
    yard.run(*tickets)
    judged = [event["tree"] for event in yard.events("train.judged")]
    assert len(judged) == len(set(judged)) == 6


def test_a_batch_lands_as_one_commit_that_names_its_tickets(demo: Demo) -> None:
    yard = yard_with(demo, slots=1, batch=8)
    before = yard.workspace.head()
    tickets = yard.queue(*({f"f{n}.txt": "good\n"} for n in range(6)))
    assert set(yard.run(*tickets).values()) == {"landed"}
    steps = yard.landed(before)
    assert max(map(len, steps)) > 1
    assert sorted(name for step in steps for name in step) == tickets
    yard.assert_never_red(before)


def test_a_person_who_moves_the_target_meanwhile_loses_nothing(yard: Yard) -> None:
    tickets = yard.queue(*({f"f{n}.txt": "good\n"} for n in range(3)))
    theirs = yard.demo.commit("by hand", **{"hand.txt": "good\n"})
    assert set(yard.run(*tickets).values()) == {"landed"}
    assert theirs in yard.demo.first_parents()
    assert sorted(name for step in yard.landed(theirs) for name in step) == tickets
    yard.assert_never_red(theirs)


def test_what_fails_on_the_target_alone_stops_the_train_and_blames_nobody(yard: Yard) -> None:
    yard.demo.commit("red by hand", **{"red.txt": "bad\n"})
    before = yard.workspace.head()
    tickets = yard.queue({"a.txt": "good\n"}, {"b.txt": "good\n"})
    fates = yard.run(*tickets)
    assert set(fates.values()) == {"ended"}
    assert yard.workspace.head() == before
    assert [yard.workspace.records.ticket(name).state.value for name in tickets] == ["blocked", "blocked"]
    (stopped,) = yard.events("train.stopped")
    assert "base" in stopped["finding"]


@pytest.mark.slow
def test_reds_among_many_leave_alone_and_every_innocent_lands(demo: Demo) -> None:
    yard = yard_with(demo, slots=6, batch=8, check=f"import time\ntime.sleep(0.4)\n{CHECK}")
    before = yard.workspace.head()
    reds = {3, 8, 13}
    tickets = yard.queue(*({f"f{n}.txt": "bad\n" if n in reds else "good\n"} for n in range(18)))
    fates = yard.run(*tickets, seconds=120)
    assert [fates[name] for name in tickets] == ["again" if n in reds else "landed" for n in range(18)]
    assert yard.events("train.trouble") == []
    yard.assert_never_red(before)
