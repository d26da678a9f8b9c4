from __future__ import annotations

import json
import random
import signal
import sqlite3
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from memory.amounts import Amount, Refusal, Reservation, Run
from memory.database import Database
from memory.events import About, read, verify
from memory.ledger import Ledger
from memory.records import Records
from memory.schema import VERSION
from tickets.plan import read_plan
from tickets.spending import Limit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.memory.conftest import Others

ONE = About(feature="F-0001", ticket="T-0001", attempt=1)
DOLLAR = 1_000_000
HEAD = """
from memory.amounts import Amount, Reservation, Run
from memory.ledger import Ledger
from tickets.spending import Limit
limits = (Limit(scope="feature", unit="usd", most=10_000_000, where="[spend] feature_usd"),)
ledger = Ledger(database)
def run(ticket):
    return Run(purpose="work", about=About(feature="F-0001", ticket=ticket, attempt=1), agent="coder", owner="other", limits=limits)
"""
GRAB = f"""{HEAD}
for index in range(6):
    answer = ledger.reserve(run(f"T-{{sys.argv[2]}}-{{index}}"), {{"usd": 1_000_000}})
    print(type(answer).__name__)
"""
HOLD = f"""{HEAD}
held = ledger.reserve(run("T-0001"), {{"usd": 2_000_000}})
if sys.argv[2] == "counts":
    ledger.count(held, Amount(usd=700_000, tokens=9))
print("held", flush=True)
sys.stdin.read()
import time
time.sleep(60)
"""


def limit(scope: Any, most: int, unit: Any = "usd") -> Limit:
    return Limit(scope=scope, unit=unit, most=most, where=f"[spend] {scope}_{unit}")


def run(*limits: Limit, about: About = ONE, **other: Any) -> Run:
    return Run(**{"purpose": "work", "about": about, "agent": "coder", "owner": "me", "limits": limits, **other})


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


def reserved(ledger: Ledger, wanted: Run, usd: int) -> Reservation:
    answer = ledger.reserve(wanted, {"usd": usd})
    assert isinstance(answer, Reservation)
    return answer


def refused(ledger: Ledger, wanted: Run, usd: int) -> Refusal:
    answer = ledger.reserve(wanted, {"usd": usd})
    assert isinstance(answer, Refusal)
    return answer


def kinds(ledger: Ledger) -> list[str]:
    return [event.kind for event in read(ledger.database)]


# the way of one run


def test_a_run_is_reserved_counted_and_settled_at_what_it_used(ledger: Ledger) -> None:
    held = reserved(ledger, run(limit("ticket", 5 * DOLLAR)), 2 * DOLLAR)
    assert ledger.total(ticket="T-0001").held == Amount(usd=2 * DOLLAR)
    ledger.count(held, Amount(usd=DOLLAR, tokens=1000))
    there = ledger.total(ticket="T-0001")
    assert (there.used, there.held) == (Amount(usd=DOLLAR, tokens=1000), Amount(usd=DOLLAR))
    ledger.settle(held, Amount(usd=1_500_000, tokens=1500))
    after = ledger.total(ticket="T-0001")
    assert (after.used, after.held) == (Amount(usd=1_500_000, tokens=1500), Amount())
    assert after.reserved == Amount(usd=2 * DOLLAR)
    assert kinds(ledger) == ["spend.reserved", "spend.counted", "spend.settled"]
    assert verify(ledger.database).broken_at is None


def test_every_event_names_the_run_and_what_it_is_about(ledger: Ledger) -> None:
    ledger.settle(reserved(ledger, run(limit("ticket", DOLLAR)), DOLLAR), Amount(usd=DOLLAR // 2, tokens=7))
    events = list(read(ledger.database))
    assert {(event.feature, event.ticket, event.attempt) for event in events} == {("F-0001", "T-0001", 1)}
    assert events[-1].data == {
        "run": 1,
        "purpose": "work",
        "agent": "coder",
        "used": {"usd": 0.5, "tokens": 7},
        "reserved": {"usd": 1.0, "tokens": 0},
        "measured": True,
        "note": "",
    }


def test_settling_twice_changes_nothing_and_nothing_is_counted_afterwards(ledger: Ledger) -> None:
    held = reserved(ledger, run(limit("day", DOLLAR)), DOLLAR)
    ledger.settle(held, Amount(usd=5))
    ledger.settle(held, Amount(usd=900))
    assert ledger.count(held, Amount(usd=700)).warned == ()
    assert ledger.total().used == Amount(usd=5)
    assert kinds(ledger) == ["spend.reserved", "spend.settled"]


def test_what_was_used_beyond_the_reservation_is_booked_in_full(ledger: Ledger) -> None:
    wanted = run(limit("ticket", 2 * DOLLAR))
    ledger.settle(reserved(ledger, wanted, DOLLAR), Amount(usd=3 * DOLLAR))
    refusal = refused(ledger, wanted, DOLLAR)
    assert (refusal.settled, refusal.passing) == (3 * DOLLAR, False)


def test_the_ticket_shows_what_its_runs_came_to(database: Database, ledger: Ledger) -> None:
    records = Records(database)
    draft = {"key": "a", "title": "a", "objective": "a", "non_goals": ["x"], "acceptance": [{"run": ["true"]}]}
    text = json.dumps({"request": "r", "tickets": [{**draft, "scope": {"new": ["a"]}}]})
    feature = records.add_feature("r", options={}, target="main", before="a" * 40)
    (ticket,) = records.set_plan(feature, read_plan(text, "p", max_tickets=1))
    for usd in (250_000, 500_000):
        held = reserved(ledger, run(limit("ticket", DOLLAR), about=About(feature=feature, ticket=ticket)), DOLLAR)
        ledger.settle(held, Amount(usd=usd))
    assert records.ticket(ticket).spend_usd == 0.75


# room


def test_a_run_gets_what_is_left_where_that_is_enough_to_begin_with(ledger: Ledger) -> None:
    wanted = run(limit("attempt", 2 * DOLLAR), limit("ticket", 5 * DOLLAR))
    ledger.settle(reserved(ledger, wanted, 2 * DOLLAR), Amount(usd=0))
    about = replace(ONE, attempt=2)
    ledger.settle(reserved(ledger, replace(wanted, about=about), 2 * DOLLAR), Amount(usd=4_400_000))
    third = reserved(ledger, replace(wanted, about=replace(ONE, attempt=3)), 2 * DOLLAR)
    assert third.amount.usd == 600_000
    assert third.bound["usd"].scope == "ticket"


def test_a_run_that_would_get_less_than_a_quarter_is_refused(ledger: Ledger) -> None:
    wanted = run(limit("ticket", 5 * DOLLAR))
    ledger.settle(reserved(ledger, wanted, 2 * DOLLAR), Amount(usd=4_600_000))
    refusal = refused(ledger, wanted, 2 * DOLLAR)
    assert (refusal.limit.scope, refusal.asked, refusal.settled, refusal.held) == ("ticket", 2 * DOLLAR, 4_600_000, 0)
    assert not refusal.passing


def test_a_small_limit_is_not_a_reason_to_refuse(ledger: Ledger) -> None:
    held = reserved(ledger, run(limit("attempt", 2 * DOLLAR), limit("ticket", DOLLAR // 10)), 2 * DOLLAR)
    assert held.amount.usd == DOLLAR // 10


def test_a_limit_of_nothing_lets_nothing_start(ledger: Ledger) -> None:
    assert not refused(ledger, run(limit("day", 0)), DOLLAR).passing


def test_money_that_others_only_hold_may_come_free(ledger: Ledger) -> None:
    wanted = run(limit("feature", 3 * DOLLAR))
    first = reserved(ledger, wanted, 2 * DOLLAR)
    refusal = refused(ledger, wanted, 2 * DOLLAR)
    assert (refusal.held, refusal.passing) == (2 * DOLLAR, True)
    ledger.settle(first, Amount(usd=DOLLAR // 2))
    assert reserved(ledger, wanted, 2 * DOLLAR).amount.usd == 2 * DOLLAR


def test_what_will_never_fit_is_said_before_what_may_come_free(ledger: Ledger) -> None:
    other = replace(ONE, ticket="T-0002")
    reserved(ledger, run(limit("day", 3 * DOLLAR), about=other), 2 * DOLLAR)
    wanted = run(limit("day", 8 * DOLLAR), limit("ticket", 5 * DOLLAR))
    ledger.settle(reserved(ledger, run(limit("ticket", 5 * DOLLAR)), 5 * DOLLAR), Amount(usd=5 * DOLLAR))
    refusal = refused(ledger, wanted, 2 * DOLLAR)
    assert (refusal.limit.scope, refusal.passing) == ("ticket", False)


def test_each_ticket_and_feature_has_its_own_room_and_all_share_the_day(ledger: Ledger) -> None:
    limits = (limit("ticket", 2 * DOLLAR), limit("feature", 3 * DOLLAR), limit("day", 4 * DOLLAR))
    reserved(ledger, run(*limits), 2 * DOLLAR)
    second = About(feature="F-0001", ticket="T-0002", attempt=1)
    assert refused(ledger, run(*limits, about=second), 2 * DOLLAR).limit.scope == "feature"
    third = About(feature="F-0002", ticket="T-0003", attempt=1)
    assert reserved(ledger, run(*limits, about=third), 2 * DOLLAR)
    fourth = About(feature="F-0003", ticket="T-0004", attempt=1)
    assert refused(ledger, run(*limits, about=fourth), 2 * DOLLAR).limit.scope == "day"


def test_an_audit_has_an_attempts_room_of_its_own(ledger: Ledger) -> None:
    reserved(ledger, run(limit("attempt", DOLLAR)), DOLLAR)
    assert reserved(ledger, run(limit("attempt", DOLLAR), purpose="audit"), DOLLAR).amount.usd == DOLLAR


def test_runs_without_a_ticket_do_not_count_as_one_ticket(ledger: Ledger) -> None:
    plan = run(limit("ticket", DOLLAR), limit("attempt", DOLLAR), about=About(feature="F-0001"), purpose="plan")
    assert [reserved(ledger, plan, DOLLAR).amount.usd for _ in range(3)] == [DOLLAR] * 3


def test_tokens_are_bounded_as_money_is(ledger: Ledger) -> None:
    wanted = run(limit("ticket", 5 * DOLLAR), limit("ticket", 1000, "tokens"))
    held = ledger.reserve(wanted, {"usd": DOLLAR, "tokens": 1000})
    assert isinstance(held, Reservation)
    assert held.amount == Amount(usd=DOLLAR, tokens=1000)
    ledger.settle(held, Amount(usd=10, tokens=900))
    answer = ledger.reserve(wanted, {"usd": DOLLAR, "tokens": 1000})
    assert isinstance(answer, Refusal)
    assert answer.limit.unit == "tokens"


def test_no_order_of_runs_reserves_more_than_there_is(ledger: Ledger) -> None:
    chance = random.Random(4)
    wanted = run(limit("day", 7 * DOLLAR))
    open_: list[Reservation] = []
    for _ in range(60):
        if open_ and chance.random() < 0.5:
            held = open_.pop(chance.randrange(len(open_)))
            ledger.settle(held, Amount(usd=chance.randint(0, held.amount.usd // 3)))
        elif isinstance(answer := ledger.reserve(wanted, {"usd": chance.randint(1, 2 * DOLLAR)}), Reservation):
            open_.append(answer)
        total = ledger.total()
        assert total.used.usd + total.held.usd <= 7 * DOLLAR


# side by side


def test_threads_cannot_reserve_the_same_money(database: Database, ledger: Ledger) -> None:
    answers: list[Reservation | Refusal] = []

    def grab(number: int) -> None:
        about = replace(ONE, ticket=f"T-{number:04d}")
        answers.append(ledger.reserve(run(limit("feature", 5 * DOLLAR), about=about), {"usd": DOLLAR}))
        database.close()

    threads = [threading.Thread(target=grab, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(answer, Reservation) for answer in answers) == 5
    assert ledger.total().held.usd == 5 * DOLLAR


def test_processes_cannot_reserve_the_same_money(ledger: Ledger, others: Others) -> None:
    printed = [line for out in others.run(GRAB, count=4) for line in out.split()]
    assert sorted(printed) == ["Refusal"] * 14 + ["Reservation"] * 10
    assert ledger.total(feature="F-0001").held.usd == 10 * DOLLAR
    assert verify(ledger.database).broken_at is None


def test_exactly_one_count_passes_the_warning_mark(database: Database, ledger: Ledger) -> None:
    wanted = run(limit("feature", 10 * DOLLAR))
    held = [reserved(ledger, replace(wanted, about=replace(ONE, ticket=f"T-{n}")), DOLLAR) for n in range(10)]
    found: list[str] = []

    def count(one: Reservation) -> None:
        for part in range(1, 11):
            found.extend(str(mark) for mark in ledger.count(one, Amount(usd=part * DOLLAR // 10)).warned)
        database.close()

    threads = [threading.Thread(target=count, args=(one,)) for one in held]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["$8.00 of the $10.00 of [spend] feature_usd are used"]
    assert kinds(ledger).count("spend.warned") == 1


def test_a_count_that_comes_to_a_limit_names_it(ledger: Ledger) -> None:
    wanted = run(limit("day", 2 * DOLLAR))
    first, second = (reserved(ledger, replace(wanted, about=replace(ONE, ticket=t)), DOLLAR) for t in ("T-1", "T-2"))
    assert ledger.count(first, Amount(usd=1_500_000)).ended == ()
    (mark,) = ledger.count(second, Amount(usd=DOLLAR // 2)).ended
    assert (mark.limit.scope, mark.used) == ("day", 2 * DOLLAR)


# crashes


@pytest.mark.parametrize(
    ("word", "used"), [("counts", Amount(usd=700_000, tokens=9)), ("says-nothing", Amount(usd=2 * DOLLAR))]
)
def test_a_killed_run_is_booked_at_its_last_count_or_else_in_full(
    word: str, used: Amount, ledger: Ledger, others: Others
) -> None:
    with others.start(HOLD, word) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert ledger.recover(lambda owner: owner == "other") == 0
        holder.send_signal(signal.SIGKILL)
    assert ledger.recover(lambda owner: owner != "other") == 1
    total = ledger.total()
    assert (total.used, total.held, total.unmeasured) == (used, Amount(), 1)
    assert ledger.recover(lambda owner: owner != "other") == 0
    assert kinds(ledger)[-1] == "spend.settled"


def test_a_database_of_the_version_before_is_taken_over_with_all_that_is_in_it(tmp_path: Path) -> None:
    old = Database(tmp_path)
    Records(old).add_feature("r", options={}, target="main", before="a" * 40)
    old.connection().execute("DROP TABLE spending")
    old.connection().execute("PRAGMA user_version = 2")
    old.close()
    new = Database(tmp_path)
    assert new.connection().execute("PRAGMA user_version").fetchone()[0] == VERSION
    ledger = Ledger(new)
    ledger.settle(reserved(ledger, run(limit("day", DOLLAR)), DOLLAR), Amount(usd=3))
    assert [row.request for row in Records(new).features()] == ["r"]
    assert verify(new).broken_at is None
    new.close()


def test_a_settled_run_and_its_event_stand_together(ledger: Ledger, write: Callable[..., None]) -> None:
    held = reserved(ledger, run(limit("day", DOLLAR)), DOLLAR)
    write("CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'no room'); END")
    with pytest.raises(sqlite3.IntegrityError, match="no room"):
        ledger.settle(held, Amount(usd=4))
    assert ledger.total().held.usd == DOLLAR
    assert ledger.total().used.usd == 0
