from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from memory.events import About, read, verify
from memory.records import Records, as_json, waiting_for
from tickets.errors import InputError
from tickets.plan import read_plan
from tickets.states import State

if TYPE_CHECKING:
    from memory.database import Database
    from memory.records import AttemptRow
    from tests.memory.conftest import Others
    from tickets.plan import Plan

HEX = "a" * 40
PLAN = """
import json
from tickets.plan import read_plan
draft = lambda key: {"key": key, "title": key, "objective": key, "non_goals": ["x"], "scope": {"new": [key]}, "acceptance": [{"run": ["true"]}]}
plan = read_plan(json.dumps({"request": "r", "tickets": [draft("a"), draft("b")]}), "p", max_tickets=2)
records = Records(database)
for _ in range(5):
    feature = records.add_feature("r", options={}, target="main", before="0" * 40)
    print(feature, *records.set_plan(feature, plan))
"""
SAME_PLAN = PLAN.replace("range(5)", "range(1)").replace(
    'records.add_feature("r", options={}, target="main", before="0" * 40)', '"F-0001"'
)


def plan(*keys: str, **depends_on: list[str]) -> Plan:
    def draft(key: str) -> dict[str, Any]:
        base = {"key": key, "title": key, "objective": key, "non_goals": ["x"], "acceptance": [{"run": ["true"]}]}
        return {**base, "scope": {"new": [key]}, "depends_on": depends_on.get(key, [])}

    return read_plan(json.dumps({"request": "r", "tickets": [draft(key) for key in keys]}), "p", max_tickets=50)


@pytest.fixture
def records(database: Database) -> Records:
    return Records(database)


@pytest.fixture
def ticket(records: Records) -> str:
    """One ticket that is ready."""
    feature = records.add_feature("add it", options={"yes": True}, target="main", before=HEX)
    (made,) = records.set_plan(feature, plan("a"))
    return made


def last(records: Records, ticket: str) -> AttemptRow:
    return records.attempts(ticket)[-1]


def kinds(records: Records) -> list[str]:
    return [event.kind for event in read(records.database)]


def test_a_feature_is_kept_as_it_was_asked_for(records: Records) -> None:
    feature = records.add_feature("add ü\nand more", options={"parallel": 2}, target="main", before=HEX)
    row = records.feature(feature)
    assert (row.id, row.request, row.state, row.options) == ("F-0001", "add ü\nand more", "queued", {"parallel": 2})
    assert (row.target, row.before, row.generation, row.plan, row.outcome, row.ended_at) == (
        "main",
        HEX,
        1,
        None,
        None,
        None,
    )
    assert records.features() == [row]
    assert kinds(records) == ["feature.asked"]


def test_what_is_not_there_is_an_error_with_the_next_command(records: Records) -> None:
    with pytest.raises(InputError, match=r"no feature F-0009; `orchestrate status`"):
        records.feature("F-0009")
    with pytest.raises(InputError, match=r"no ticket T-0009; `orchestrate tickets list`"):
        records.ticket("T-0009")
    assert records.get("nothing") is None


def test_a_plan_gives_ids_and_dependencies(records: Records) -> None:
    first = records.add_feature("one", options={}, target="main", before=HEX)
    second = records.add_feature("two", options={}, target="main", before=HEX)
    assert records.set_plan(first, plan("a", "b", b=["a"])) == ["T-0001", "T-0002"]
    assert records.set_plan(second, plan("a")) == ["T-0003"]
    assert records.ticket("T-0002").record.depends_on == ("T-0001",)
    assert {row.state for row in records.tickets()} == {State.READY}
    assert [row.id for row in records.tickets(second)] == ["T-0003"]
    assert records.feature(first).plan == json.loads(plan("a", "b", b=["a"]).model_dump_json())


def test_a_plan_that_is_there_stays(records: Records) -> None:
    feature = records.add_feature("one", options={}, target="main", before=HEX)
    ids = records.set_plan(feature, plan("a", "b"))
    seen = kinds(records)
    assert records.set_plan(feature, plan("x")) == ids
    assert [row.record.title for row in records.tickets()] == ["a", "b"]
    assert kinds(records) == seen


def test_ids_keep_their_order_beyond_four_digits(records: Records) -> None:
    with records.database.transaction() as connection:
        connection.execute("INSERT INTO features SELECT 'F-9999', '', '', '{}', NULL, '', '', 1, NULL, '', NULL")
    feature = records.add_feature("one", options={}, target="main", before=HEX)
    assert feature == "F-10000"
    assert [row.id for row in records.features()] == ["F-9999", "F-10000"]
    records.set_plan("F-9999", plan("a"))
    with records.database.transaction() as connection:
        connection.execute("UPDATE tickets SET id = 'T-9998'")
    ids = records.set_plan(feature, plan("x", "y", "z"))
    assert ids == ["T-9999", "T-10000", "T-10001"]
    assert records.set_plan(feature, plan("x", "y", "z")) == ids


def test_racing_processes_get_ids_of_their_own(records: Records, others: Others) -> None:
    printed = [line.split() for out in others.run(PLAN, count=4) for line in out.splitlines()]
    assert sorted(row[0] for row in printed) == [f"F-{number:04d}" for number in range(1, 21)]
    assert sorted(ticket for row in printed for ticket in row[1:]) == [f"T-{number:04d}" for number in range(1, 41)]
    assert all([one.id for one in records.tickets(row[0])] == row[1:] for row in printed)
    assert verify(records.database).broken_at is None


def test_racing_processes_plan_a_feature_once(records: Records, others: Others) -> None:
    feature = records.add_feature("r", options={}, target="main", before=HEX)
    assert set(others.run(SAME_PLAN, count=4)) == {"F-0001 T-0001 T-0002\n"}
    assert len(records.tickets(feature)) == 2
    assert kinds(records).count("feature.planned") == 1


@pytest.mark.parametrize("state", [State.QUEUED, State.LANDING, State.LANDED, State.DRAFT])
def test_an_illegal_move_is_refused_and_changes_nothing(state: State, records: Records, ticket: str) -> None:
    before, seen = records.ticket(ticket), kinds(records)
    with pytest.raises(InputError, match=f"{ticket} is ready; it cannot become {state}"):
        records.move(ticket, state, "why", base="b", verdict="pass")
    assert records.ticket(ticket) == before
    assert kinds(records) == seen


def test_landed_stays_landed(records: Records, ticket: str) -> None:
    for state in (State.RUNNING, State.VERIFYING, State.QUEUED, State.LANDING, State.LANDED):
        records.move(ticket, state)
    for state in set(State) - {State.LANDED}:
        with pytest.raises(InputError):
            records.move(ticket, state)
    with pytest.raises(InputError):
        records.send_again(ticket)
    with pytest.raises(InputError):
        records.start_attempt(ticket, base=HEX, start=HEX, worktree="w")
    assert records.attempts(ticket) == []


def test_a_move_sets_its_fields_and_writes_its_event(records: Records, ticket: str) -> None:
    records.move(ticket, State.RUNNING, "go", base="b", head="h", spend_usd=1.5)
    row = records.ticket(ticket)
    assert (row.state, row.reason, row.base, row.head, row.spend_usd) == (State.RUNNING, "go", "b", "h", 1.5)
    event = list(read(records.database))[-1]
    assert (event.kind, event.ticket, event.feature) == ("ticket.state", ticket, "F-0001")
    assert event.data == {"from": "ready", "to": "running", "reason": "go"}


def test_repeating_a_move_writes_no_second_event(records: Records, ticket: str) -> None:
    records.move(ticket, State.RUNNING)
    seen = kinds(records)
    records.move(ticket, State.RUNNING, "again")
    assert kinds(records) == seen
    assert records.ticket(ticket).reason == "again"


def test_text_with_bytes_that_are_no_utf8_is_kept_readable(records: Records, ticket: str) -> None:
    records.move(ticket, State.RUNNING, "scope: caf\udce9.py")
    assert records.ticket(ticket).reason == "scope: caf\\udce9.py"
    feature = records.add_feature("add caf\udce9", options={}, target="main", before=HEX)
    assert records.feature(feature).request == "add caf\\udce9"
    records.start_attempt(ticket, base=HEX, start=HEX, worktree="w")
    records.set_attempt(last(records, ticket), "captured", outcome={"evidence": "caf\udce9"}, changes={"p": "\udce9"})
    assert last(records, ticket).changes == {"p": "\udce9"}


def test_attempts_are_numbered_and_keep_what_was_added(records: Records, ticket: str) -> None:
    assert records.start_attempt(ticket, base="b1", start="s1", worktree="w1") == 1
    assert records.ticket(ticket).state is State.RUNNING
    records.set_attempt(last(records, ticket), "captured", outcome={"ending": "done"}, changes={"tree": "t"})
    records.set_attempt(last(records, ticket), "refused", outcome={"ending": "done", "evidence": "no"})
    records.move(ticket, State.READY)
    assert records.start_attempt(ticket, base="b2", start="s2", worktree="w2") == 2
    one, two = records.attempts(ticket)
    assert (one.number, one.base, one.state, one.outcome, one.changes) == (
        1,
        "b1",
        "refused",
        {"ending": "done", "evidence": "no"},
        {"tree": "t"},
    )
    assert (two.number, two.start, two.state, two.outcome, two.changes) == (2, "s2", "running", None, None)
    assert records.ticket(ticket).worktree == "w2"
    assert [event.attempt for event in read(records.database) if event.kind == "attempt.started"] == [1, 2]


def test_a_refused_start_leaves_no_attempt_behind(records: Records, ticket: str) -> None:
    records.move(ticket, State.ABANDONED)
    seen = kinds(records)
    with pytest.raises(InputError):
        records.start_attempt(ticket, base=HEX, start=HEX, worktree="w")
    assert records.attempts(ticket) == []
    assert kinds(records) == seen


@pytest.mark.parametrize(
    ("state", "counts"),
    [
        ("refused", True),
        ("failed", True),
        ("conflict", True),
        ("passed", True),
        ("interrupted", False),
        ("inconclusive", False),
    ],
)
def test_only_what_is_the_agents_own_doing_counts(state: str, counts: bool, records: Records, ticket: str) -> None:  # noqa: FBT001 - a table
    records.start_attempt(ticket, base=HEX, start=HEX, worktree="w")
    records.set_attempt(last(records, ticket), state)
    assert last(records, ticket).counts is counts


def test_sending_again_forgives_what_was(records: Records, ticket: str) -> None:
    for _ in range(2):
        records.start_attempt(ticket, base=HEX, start=HEX, worktree="w")
        records.set_attempt(records.attempts(ticket)[-1], "refused")
        records.move(ticket, State.READY)
    records.move(ticket, State.REJECTED, "no")
    records.send_again(ticket)
    row = records.ticket(ticket)
    assert (row.state, row.reason, row.forgiven) == (State.READY, "sent again", 2)
    assert records.start_attempt(ticket, base=HEX, start=HEX, worktree="w") == 3


def test_a_revision_is_added_and_the_one_before_kept(records: Records, ticket: str) -> None:
    old = records.ticket(ticket).record
    edited = old.model_copy(update={"context": "more"})
    assert records.revise(old) == 1
    assert records.revise(edited) == 2
    assert records.revise(edited) == 2
    assert records.revise(old) == 3
    row = records.ticket(ticket)
    assert (row.revision, row.record, row.sha256) == (3, old, old.sha256)
    kept = records.database.connection().execute("SELECT revision, sha256 FROM revisions ORDER BY revision").fetchall()
    assert [tuple(one) for one in kept] == [(1, old.sha256), (2, edited.sha256), (3, old.sha256)]
    assert kinds(records).count("ticket.revised") == 2


def test_a_feature_ends_and_can_be_opened_again(records: Records) -> None:
    feature = records.add_feature("one", options={}, target="main", before=HEX)
    records.set_feature(feature, "ended", outcome={"outcome": "partial"})
    row = records.feature(feature)
    assert (row.state, row.outcome) == ("ended", {"outcome": "partial"})
    assert row.ended_at is not None
    records.reopen(feature)
    again = records.feature(feature)
    assert (again.state, again.generation, again.ended_at) == ("queued", 2, None)
    assert kinds(records) == ["feature.asked", "feature.ended", "feature.reopened"]


def test_verdicts_are_found_by_their_key(records: Records) -> None:
    records.put("k", {"verdict": "pass"})
    records.put("k", {"verdict": "fail"})
    assert records.get("k") == {"verdict": "fail"}
    assert records.get("K") is None


def test_reports_come_newest_last_and_once(records: Records, ticket: str) -> None:
    for number, stage in ((1, "worktree"), (2, "worktree"), (2, "integrated")):
        report = {
            "pass": stage,
            "verdict": "pass",
            "created_at": "now",
            "attempt": number,
            "gates": [{"name": "scope", "verdict": "pass"}],
        }
        for _ in range(2):
            records.add_report(f"{number}{stage}", report, About(feature="F-0001", ticket=ticket, attempt=number))
    found = [(report["attempt"], report["pass"]) for report in records.reports(ticket)]
    assert found == [(1, "worktree"), (2, "worktree"), (2, "integrated")]


def test_a_dependency_is_met_by_landed_alone(records: Records) -> None:
    feature = records.add_feature("one", options={}, target="main", before=HEX)
    first, second = records.set_plan(feature, plan("a", "b", b=["a"]))
    for state in (State.RUNNING, State.VERIFYING, State.QUEUED, State.LANDING):
        records.move(first, state)
        assert waiting_for(records.tickets())[second] == [first]
    records.move(first, State.LANDED)
    assert waiting_for(records.tickets()) == {first: [], second: []}


def test_rows_become_plain_json(records: Records, ticket: str) -> None:
    records.start_attempt(ticket, base=HEX, start=HEX, worktree="w")
    rows = (records.feature("F-0001"), records.ticket(ticket), last(records, ticket))
    values = [json.loads(json.dumps(as_json(row))) for row in rows]
    assert values[1]["record"]["id"] == ticket
    assert values[1]["state"] == "running"
