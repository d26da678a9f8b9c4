"""Taking landings back: gated, rehearsed, and never by an agent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from memory.trains import Trains
from orchestrator.attempt import run_attempt
from orchestrator.reverting import ask_for, rehearse
from tickets.errors import InputError, SignalboxError
from tickets.states import State
from train_yard import QUIET, Yard

if TYPE_CHECKING:
    from demo_project import Demo

CHECKED = """[sandbox]
mode = "none"
[train]
slots = 1
batch = {batch}
[[checks]]
name = "whole"
run = ["python", "check.py"]
timeout_s = 60
"""
CHECK = "import pathlib, sys\nsys.exit(pathlib.Path('needs').exists() and not pathlib.Path('needed').exists())\n"
"""Red where a file is there without the one that it needs."""


@pytest.fixture
def yard(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> Yard:
    monkeypatch.setenv("HOME", str(demo.home))
    return yard_with(demo)


def yard_with(demo: Demo, *, batch: int = 1) -> Yard:
    return Yard.of(demo, QUIET + CHECKED.format(batch=batch), **{"check.py": CHECK})


def landed(yard: Yard, *changes: dict[str, str | None]) -> list[str]:
    tickets = yard.queue(*changes)
    for ticket in tickets:  # all of them are there when the train begins
        head = yard.workspace.records.ticket(ticket).head or ""
        Trains(yard.workspace.database).join(ticket, "main", attempt=1, head=head)
    assert set(yard.run(*tickets).values()) == {"landed"}
    return tickets


def asked(yard: Yard, ticket: str) -> str:
    """Ask for the revert of a landing; give the ticket that does it."""
    feature = ask_for(yard.workspace, rehearse(yard.workspace, ticket, "it was slow"))
    (made,) = yard.workspace.records.tickets(feature)
    return made.id


def tree(yard: Yard) -> str:
    return yard.workspace.repository.tree(yard.workspace.head())


def reverted(yard: Yard, ticket: str) -> str:
    made = asked(yard, ticket)
    assert run_attempt(yard.workspace, made) == "passed"
    assert yard.run(made) == {made: "landed"}
    return made


def test_a_revert_lands_the_tree_of_before_as_a_judged_commit_of_its_own(yard: Yard) -> None:
    before = yard.workspace.head()
    (ticket,) = landed(yard, {"src/lib.py": "X = 1\n", "new.txt": "x\n"})
    made = reverted(yard, ticket)
    assert tree(yard) == yard.workspace.repository.tree(before)
    yard.assert_never_red(before)
    assert yard.landed(before) == [[ticket], [made]]
    assert yard.demo.git("log", "-1", "--format=%s") == f"revert {ticket}: change 0"
    assert "it was slow" in yard.demo.git("log", "-1", "--format=%b")
    assert yard.events("landing.reverted") == [{"ticket": ticket, "by": made, "new": yard.workspace.head()}]
    assert (yard.demo.root / "src/lib.py").read_text(encoding="utf-8").startswith("def one")


def test_what_landed_later_elsewhere_stays(yard: Yard) -> None:
    (first,) = landed(yard, {"a.txt": "x\n"})
    landed(yard, {"b.txt": "x\n"})
    reverted(yard, first)
    assert not (yard.demo.root / "a.txt").exists()
    assert (yard.demo.root / "b.txt").exists()


def test_later_changes_of_the_same_lines_are_named_and_nothing_is_started(yard: Yard) -> None:
    (first,) = landed(yard, {"src/lib.py": "X = 1\n"})
    landed(yard, {"src/lib.py": "X = 2\n"})
    with pytest.raises(SignalboxError, match=r"changed the same lines \(src/lib\.py\)"):
        rehearse(yard.workspace, first, "why")
    assert len(yard.workspace.records.features()) == 2


def test_one_ticket_of_a_batch_goes_and_the_others_stay(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(demo.home))
    yard = yard_with(demo, batch=4)
    before = yard.workspace.head()
    tickets = landed(yard, {"a.txt": "x\n"}, {"b.txt": "x\n"}, {"c.txt": "x\n"})
    assert max(map(len, yard.landed(before))) > 1
    reverted(yard, tickets[1])
    assert [(demo.root / f"{name}.txt").exists() for name in "abc"] == [True, False, True]


def test_a_revert_can_be_reverted_and_then_nothing_of_it_is_left(yard: Yard) -> None:
    (ticket,) = landed(yard, {"a.txt": "x\n"})
    after = tree(yard)
    back = reverted(yard, ticket)
    with pytest.raises(InputError, match=f"{ticket}: nothing of it is left on main"):
        rehearse(yard.workspace, ticket, "again")
    reverted(yard, back)
    assert tree(yard) == after


@pytest.mark.parametrize("state", [State.QUEUED, State.BLOCKED, State.ABANDONED])
def test_only_what_has_landed_can_be_taken_back(yard: Yard, state: State) -> None:
    (ticket,) = yard.queue({"a.txt": "x\n"})
    yard.workspace.records.move(ticket, state)
    with pytest.raises(InputError, match=f"{ticket} is {state}; only what has landed"):
        rehearse(yard.workspace, ticket, "why")
    with pytest.raises(InputError, match="T-0099"):
        rehearse(yard.workspace, "T-0099", "why")


def test_a_revert_that_the_gates_refuse_ends_with_the_evidence_and_no_agent_is_asked(yard: Yard) -> None:
    (first,) = landed(yard, {"needed": "x\n"})
    landed(yard, {"needs": "x\n"})
    before, made = yard.workspace.head(), asked(yard, first)
    steps = [run_attempt(yard.workspace, made)]
    while steps[-1] == "again":
        steps.append(run_attempt(yard.workspace, made))
    row = yard.workspace.records.ticket(made)
    assert (steps, row.state) == (["again", "ended"], State.REJECTED)
    assert "no agent works on a revert" in row.reason
    (attempt,) = yard.workspace.records.attempts(made)
    assert "### checks" in (attempt.outcome or {})["evidence"]
    assert yard.workspace.head() == before
    yard.workspace.records.send_again(made)
    assert run_attempt(yard.workspace, made) == "ended"
    assert len(yard.workspace.records.attempts(made)) == 1


def test_a_target_that_moved_under_a_revert_ends_it_as_a_conflict_without_an_agent(yard: Yard) -> None:
    (first,) = landed(yard, {"src/lib.py": "X = 1\n"})
    made = asked(yard, first)
    assert run_attempt(yard.workspace, made) == "passed"
    yard.demo.commit("by hand", **{"src/lib.py": "X = 3\n"})
    assert yard.run(made) == {made: "again"}
    assert run_attempt(yard.workspace, made) == "ended"
    assert yard.workspace.records.ticket(made).state is State.REJECTED
    assert [attempt.state for attempt in yard.workspace.records.attempts(made)] == ["conflict"]


TESTED = 'run = ["python", "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:hypothesispytest", "-p", "no:anyio"]'


@pytest.mark.long
def test_what_added_tests_takes_its_tests_with_it(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(demo.home))
    yard = Yard.of(demo, QUIET.replace("run = []", TESTED) + CHECKED.format(batch=1), **{"check.py": CHECK})
    text = "import extra\n\n\ndef test_extra() -> None:\n    assert extra.X == 1\n"
    (ticket,) = landed(yard, {"src/extra.py": "X = 1\n", "tests/test_extra.py": text})
    reverted(yard, ticket)
    assert not (demo.root / "tests/test_extra.py").exists()
    assert not (demo.root / "src/extra.py").exists()


# the command


def told(done: Any) -> dict[str, Any]:
    return dict(json.loads(done.stdout))


@pytest.mark.e2e
@pytest.mark.long
def test_the_command_lands_a_revert_and_goes_on_after_it_was_killed(demo: Demo) -> None:
    assert "nothing has landed" in demo.orchestrate("revert", "T-0001", "--reason", "x", exits=2).stderr
    demo.feature("add a and b", exits=0)
    before = demo.git("rev-parse", "main")
    with demo.start("revert", "T-0001", "--reason", "it was slow", "--json") as process:
        for line in iter(process.stderr.readline, "") if process.stderr else ():
            if "to be taken back" in line or "gates" in line:
                break
        process.kill()
    said = told(demo.orchestrate("resume", "F-0002", "--json", exits=0))
    assert said["outcome"] == "landed"
    assert demo.git("diff", "--name-status", before, "main") == "D\tsrc/a.py"
    kinds = [event["kind"] for event in demo.log()]
    assert kinds.count("landing.reverted") == 1
    assert "there is no ticket T-0099" in demo.orchestrate("revert", "T-0099", "--reason", "x", exits=2).stderr
    assert "--reason" in demo.orchestrate("revert", "T-0001", exits=2).stderr
    assert "nothing of it is left" in demo.orchestrate("revert", "T-0001", "--reason", "x", exits=2).stderr
