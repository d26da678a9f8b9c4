from __future__ import annotations

import contextvars
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from memory.claims import Claims
from memory.fences import FencedError, fenced
from memory.records import Records

if TYPE_CHECKING:
    from collections.abc import Callable

    from memory.claims import Claim
    from memory.database import Database
    from tests.memory.conftest import Others

NAME = "train:main"
RACE = """
from memory.claims import Claims
claims = Claims(database, owner=f"p{sys.argv[2]}", alive=lambda owner: True)
print(sum(claims.claim(f"ticket:T-{n:04d}") is not None for n in range(30)))
"""
SLEEPER = """
import time
from memory.claims import Claims
from memory.fences import FencedError, fenced
claim = Claims(database, owner="sleeper", alive=lambda owner: True).claim("train:main", ttl_s=0.3)
records = Records(database)
with fenced(claim.name, claim.fence):
    records.note("before", About(), {})
    print("asleep", flush=True)
    sys.stdin.readline()
    try:
        records.note("after", About(), {})
    except FencedError as error:
        print(error)
"""


def claims(database: Database, owner: str = "me", alive: Callable[[str], bool] = lambda _: True) -> Claims:
    return Claims(database, owner=owner, alive=alive)


def taken(found: Claim | None) -> Claim:
    assert found is not None
    return found


def test_a_name_is_claimed_once(database: Database) -> None:
    mine = taken(claims(database).claim(NAME))
    assert (mine.owner, mine.fence) == ("me", 1)
    assert claims(database, "other").claim(NAME) is None
    assert claims(database).claim(NAME) is None
    assert taken(claims(database, "other").claim("train:next")).fence == 1


def test_a_released_name_can_be_claimed_with_the_next_fence(database: Database) -> None:
    mine = taken(claims(database).claim(NAME))
    claims(database).release(mine)
    assert claims(database).holder(NAME) is None
    other = taken(claims(database, "other").claim(NAME))
    assert (other.owner, other.fence) == ("other", 2)
    claims(database).release(mine)
    assert claims(database).holder(NAME) == other


def test_a_dead_owners_name_is_taken_over_at_once(database: Database) -> None:
    claims(database).claim(NAME, ttl_s=1000)
    other = taken(claims(database, "other", alive=lambda owner: owner != "me").claim(NAME))
    assert other.fence == 2


def test_a_lease_that_ended_is_taken_over_and_cannot_be_renewed(database: Database) -> None:
    mine = taken(claims(database).claim(NAME, ttl_s=0.05))
    time.sleep(0.1)
    other = taken(claims(database, "other").claim(NAME))
    assert other.fence == mine.fence + 1
    assert not claims(database).renew(mine)
    assert claims(database, "other").renew(other)


def test_a_lease_that_ended_and_that_nobody_took_is_renewed(database: Database) -> None:
    mine = taken(claims(database).claim(NAME, ttl_s=0.01))
    time.sleep(0.03)
    assert claims(database).renew(mine, ttl_s=100)
    assert claims(database, "other").claim(NAME) is None


def test_a_lease_of_another_boot_is_over(database: Database) -> None:
    claims(database).claim(NAME, ttl_s=1e9)
    with database.transaction() as connection:
        connection.execute("UPDATE claims SET boot = 'before'")
    assert claims(database).held() == []
    assert taken(claims(database, "other").claim(NAME)).fence == 2


def test_the_wall_clock_does_not_count(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    claims(database).claim(NAME, ttl_s=1000)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert claims(database, "other").claim(NAME) is None


def test_what_is_held_is_listed_by_the_beginning_of_its_name(database: Database) -> None:
    mine = claims(database, alive=lambda owner: owner != "dead")
    for name in ("ticket:T-0002", "ticket:T-0001", NAME):
        mine.claim(name)
    claims(database, "dead").claim("ticket:T-0003")
    assert [claim.name for claim in mine.held("ticket:")] == ["ticket:T-0001", "ticket:T-0002"]


def test_racing_processes_share_the_names_without_a_clash(database: Database, others: Others) -> None:
    database.connection()
    won = [int(said) for said in others.run(RACE, count=4)]
    assert sum(won) == 30
    assert len(claims(database).held("ticket:")) == 30


def test_nothing_is_written_under_an_old_fence(database: Database) -> None:
    records = Records(database)
    mine = taken(claims(database).claim(NAME))
    with fenced(mine.name, mine.fence):
        records.add_feature("before", options={}, target="main", before="")
        claims(database, "other", alive=lambda _: False).claim(NAME)
        with pytest.raises(FencedError, match="train:main is no longer ours; other has it now"):
            records.add_feature("after", options={}, target="main", before="")
    assert [row.request for row in records.features()] == ["before"]
    records.add_feature("outside", options={}, target="main", before="")


def test_a_fence_that_falls_in_the_middle_of_a_transaction_waits_for_its_end(database: Database) -> None:
    """A takeover is a write too: it comes before a transaction or after it, never between."""
    mine = taken(claims(database).claim(NAME))
    done: list[Claim | None] = []

    def take_over() -> None:
        done.append(claims(database, "other", alive=lambda _: False).claim(NAME))
        database.close()

    with fenced(mine.name, mine.fence):
        with database.transaction():
            thread = threading.Thread(target=take_over)
            thread.start()
            time.sleep(0.1)
            Records(database).add_feature("mine", options={}, target="main", before="")
            assert done == []
        thread.join()
        with pytest.raises(FencedError):
            Records(database).add_feature("late", options={}, target="main", before="")
    assert taken(done[0]).fence == 2


def test_a_released_claim_fences_too(database: Database) -> None:
    mine = taken(claims(database).claim(NAME))
    claims(database).release(mine)
    with fenced(mine.name, mine.fence), pytest.raises(FencedError, match="no longer ours"):
        Records(database).add_feature("late", options={}, target="main", before="")


def test_a_fence_holds_where_a_copy_of_the_context_is_run(database: Database) -> None:
    caught: list[BaseException] = []

    def write() -> None:
        try:
            Records(database).add_feature("late", options={}, target="main", before="")
        except FencedError as error:
            caught.append(error)
        database.close()

    with fenced("ticket:T-0001", 7):
        thread = threading.Thread(target=contextvars.copy_context().run, args=(write,))
        thread.start()
        thread.join()
    assert len(caught) == 1


def test_a_held_name_outlives_its_lease_and_is_free_afterwards(database: Database) -> None:
    with claims(database).hold(NAME, ttl_s=0.3) as mine:
        assert taken(mine).fence == 1
        time.sleep(0.7)
        with claims(database, "other").hold(NAME) as other:
            assert other is None
        Records(database).add_feature("mine", options={}, target="main", before="")
    assert taken(claims(database, "other").claim(NAME)).fence == 2


def test_an_owner_that_slept_past_its_lease_can_do_no_harm(database: Database, others: Others) -> None:
    import subprocess

    database.connection()
    sleeper = others.start(SLEEPER, stdin=subprocess.PIPE)
    with sleeper:
        assert sleeper.stdout is not None
        assert sleeper.stdin is not None
        assert sleeper.stdout.readline() == "asleep\n"
        sleeper.send_signal(signal.SIGSTOP)
        time.sleep(0.4)
        assert taken(claims(database, "heir").claim(NAME)).fence == 2
        sleeper.send_signal(signal.SIGCONT)
        said, _ = sleeper.communicate("go\n", timeout=30)
    assert "train:main is no longer ours; heir has it now" in said
