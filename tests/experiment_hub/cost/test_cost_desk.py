import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, update

from experiment_hub.cost import decisions, desk, reports, settlement
from experiment_hub.cost.approvals import Word
from experiment_hub.errors import ConflictError, CorruptError, NotAllowedError, UnknownNameError, WaitsForPersonError
from experiment_hub.metadata.database import open_engine
from experiment_hub.metadata.sessions import reading, writing
from experiment_hub.metadata.tables import Approval, CostEntry, Estimate, Job

HOUR = 3600.0
YES = Word("approved", "ada", None, 24.0)
BECAUSE = Word("approved", "ada", "the paper needs it", 24.0)
LAB = """
[[rates]]
launcher = "simulated"
item = "H100"
price = {price}
currency = "USD"
source = "somebody"
as_of = 2026-11-21
fixed = true
"""


class Till:
    """One home with its desk, and requests by what they cost at worst."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.engine: Engine = open_engine(home)

    def limit(self, **cost: Any) -> None:
        path = self.home / "hub.yaml"
        kept = [line for line in path.read_text().splitlines() if line.startswith("database:")] if path.exists() else []
        path.write_text("\n".join([*kept, "cost:", *(f"  {name}: {value}" for name, value in cost.items()), ""]))

    @property
    def now(self) -> desk.Terms:
        return desk.terms(self.home)

    def request(self, job: str, usd: float, **changes: Any) -> desk.Request:
        """At 4 dollars an hour."""
        asked = {"project": "default", "launcher": "simulated", "attempts": 1, "work": "w", "gpu": "H100", "gpus": 1}
        return desk.Request(**{"job_id": job, "timeout_s": usd / 4 * HOUR, **asked, **changes})

    def admit(self, request: desk.Request) -> desk.Admission:
        return desk.admit(self.engine, self.now, request)

    def reserve(self, request: desk.Request, attempt: int = 1) -> desk.Reservation:
        return desk.reserve(self.engine, self.now, request, attempt=attempt)

    def settle(self, job: str, hours: float | None, **more: Any) -> settlement.Settlement:
        seconds = None if hours is None else hours * HOUR
        return desk.settle(self.engine, job, **{"attempt": 1, "billed_seconds": seconds, **more})

    def balance(self) -> tuple[float, float, float]:
        found = reports.balance(self.engine, self.now.settings)
        return found.spent_today, found.reserved, found.head_room


@pytest.fixture
def till(any_home: Path) -> Till:
    found = Till(any_home)
    found.limit(day_cap=100)
    return found


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrated once, for tests that need no other database."""
    found = tmp_path_factory.mktemp("empty") / "home"
    open_engine(found)
    return found


@pytest.fixture
def lite(home: Path, empty_home: Path) -> Till:
    shutil.copytree(empty_home, home)
    found = Till(home)
    found.limit(day_cap=100)
    return found


def a_job(job_id: str, **changes: Any) -> Job:
    values: dict[str, Any] = {
        "id": job_id,
        "number": 1,
        "name": "big",
        "project": "default",
        "state": "running",
        "priority": 0,
        "rank": 0.0,
        "payload": {},
        "launcher": "simulated",
        "paid": True,
        "resources": {},
        "gpus": 1,
        "cpus": 1.0,
        "memory_mib": 0,
        "retries": {},
        "timeout_s": HOUR,
        "attempt": 1,
        "token": 1,
        "seconds": 1800.0,
        "run_ids": [],
        "created_at": "2026-11-21T00:00:00+00:00",
    }
    return Job(**{**values, **changes})


def test_a_twelve_dollar_job_waits_and_an_approved_one_is_reserved_and_settled(till: Till) -> None:
    request = till.request("j-1", 12.0)
    said = till.admit(request)
    assert (said.state, said.worst_usd, said.tier) == ("waits", 12.0, "ask")
    with pytest.raises(WaitsForPersonError, match="a person decides"):
        till.reserve(request)
    decisions.approve(till.engine, till.now, said.estimate_hash[:8], YES)
    assert till.admit(request).state == "go"
    assert till.reserve(request).usd == 12.0
    assert till.balance() == (0.0, 12.0, 88.0)
    assert till.settle("j-1", 1.5).usd == 6.0
    assert till.balance() == (6.0, 0.0, 94.0)


def test_a_thirty_dollar_job_needs_a_reason_and_a_verified_variant(till: Till, tmp_path: Path) -> None:
    small, large = till.request("j-1", 1.0, fan_out="big"), till.request("j-2", 30.0, fan_out="big")
    hash_ = till.admit(large).estimate_hash
    with pytest.raises(NotAllowedError, match="needs a reason"):
        decisions.approve(till.engine, till.now, hash_, Word("approved", "ada", "  ", 24.0))
    with pytest.raises(WaitsForPersonError, match="no variant has been verified"):
        decisions.approve(till.engine, till.now, hash_, BECAUSE)
    assert desk.hold_back(till.engine, small) == ""
    assert "waits until its first variant, job j-1" in desk.hold_back(till.engine, large)
    (tmp_path / "health.json").write_text('{"finite_loss": true, "gradient_flow": true, "checkpoint": true}')
    assert desk.note_health(till.engine, small, tmp_path / "health.json") is True
    assert desk.note_health(till.engine, small, tmp_path / "health.json") is False
    decisions.approve(till.engine, till.now, hash_, BECAUSE)
    assert desk.hold_back(till.engine, large) == ""
    assert till.reserve(large).usd == 30.0


def test_small_jobs_go_by_themselves(lite: Till) -> None:
    assert lite.admit(lite.request("j-1", 4.99)).state == "go"
    assert lite.reserve(lite.request("j-1", 4.99)).usd == 4.99
    with pytest.raises(ConflictError, match="needs no approval"):
        decisions.approve(lite.engine, lite.now, lite.admit(lite.request("j-2", 1.0)).estimate_hash, YES)


def test_an_approval_is_good_for_one_reservation(lite: Till) -> None:
    one, other = lite.request("j-1", 12.0), lite.request("j-2", 12.0)
    decisions.approve(lite.engine, lite.now, lite.admit(one).estimate_hash, YES)
    lite.reserve(one)
    with pytest.raises(WaitsForPersonError):
        lite.reserve(other)
    with writing(lite.engine) as session:  # somebody makes the row look unused
        session.execute(update(Approval).values(used_by=None))
    with pytest.raises(CorruptError, match="was used before"):
        lite.reserve(other)


@pytest.mark.parametrize(
    "forged", [{"expires_at": "2999-01-01T00:00:00+00:00"}, {"reason": "because"}, {"actor": "somebody else"}]
)
def test_an_edited_approval_counts_for_nothing(lite: Till, forged: dict[str, Any]) -> None:
    request = lite.request("j-1", 12.0)
    decisions.approve(lite.engine, lite.now, lite.admit(request).estimate_hash, YES)
    with writing(lite.engine) as session:
        session.execute(update(Approval).values(**forged))
    with pytest.raises(CorruptError, match="was edited"):
        lite.reserve(request)


def test_an_approval_that_was_moved_to_another_estimate_counts_for_nothing(lite: Till) -> None:
    cheap, dear = lite.request("j-1", 6.0), lite.request("j-2", 19.0)
    decisions.approve(lite.engine, lite.now, lite.admit(cheap).estimate_hash, YES)
    hash_ = lite.admit(dear).estimate_hash
    with writing(lite.engine) as session:
        session.execute(update(Approval).values(estimate_hash=hash_))
    with pytest.raises(CorruptError, match="was edited"):
        lite.reserve(dear)


def test_an_edited_estimate_cannot_be_agreed_to(lite: Till) -> None:
    hash_ = lite.admit(lite.request("j-1", 12.0)).estimate_hash
    with writing(lite.engine) as session:
        row = session.get_one(Estimate, hash_)
        row.request = {**row.request, "timeout_s": 1.0}
    with pytest.raises(CorruptError, match="was edited in the database"):
        decisions.approve(lite.engine, lite.now, hash_, YES)


def test_lowering_the_tier_in_the_database_gains_nothing(lite: Till) -> None:
    request = lite.request("j-1", 30.0)
    hash_ = lite.admit(request).estimate_hash
    with writing(lite.engine) as session:
        session.execute(update(Estimate).values(tier="ask", worst_usd=6.0))
    decisions.approve(lite.engine, lite.now, hash_, YES)
    with pytest.raises(WaitsForPersonError, match="says why"):
        lite.reserve(request)


def test_an_unknown_estimate_cannot_be_approved(lite: Till) -> None:
    with pytest.raises(UnknownNameError, match="unknown estimate"):
        decisions.approve(lite.engine, lite.now, "0" * 64, YES)
    with pytest.raises(NotAllowedError, match="first 8 characters"):
        decisions.approve(lite.engine, lite.now, "", YES)


def test_an_expired_approval_is_void(lite: Till) -> None:
    request = lite.request("j-1", 12.0)
    decisions.approve(lite.engine, lite.now, lite.admit(request).estimate_hash, Word("approved", "ada", None, 1e-9))
    with pytest.raises(WaitsForPersonError):
        lite.reserve(request)


def test_a_price_that_changes_after_the_approval_voids_it(lite: Till) -> None:
    request = lite.request("j-1", 12.0)
    said = lite.admit(request)
    decisions.approve(lite.engine, lite.now, said.estimate_hash, YES)
    (lite.home / "prices.toml").write_text(LAB.format(price=4.5))
    lite.limit(day_cap=100, rates="prices.toml")
    with pytest.raises(WaitsForPersonError, match=r"\$13.50"):
        lite.reserve(request)
    with pytest.raises(ConflictError, match="prices have changed"):
        decisions.approve(lite.engine, lite.now, said.estimate_hash, YES)


def test_a_denial_holds_until_somebody_approves_after_all(lite: Till) -> None:
    request = lite.request("j-1", 12.0)
    hash_ = lite.admit(request).estimate_hash
    decisions.deny(lite.engine, hash_, Word("denied", "bob", "too much", 24.0))
    assert (lite.admit(request).state, lite.admit(request).reason) == ("refused", "denied by bob: too much")
    with pytest.raises(NotAllowedError, match="denied by bob"):
        lite.reserve(request)
    decisions.approve(lite.engine, lite.now, hash_, YES)
    lite.reserve(request)
    assert lite.admit(lite.request("j-2", 12.0)).state == "waits"  # the denial is not the newest word again


def test_the_day_cap_counts_what_is_spent_and_what_is_held(till: Till) -> None:
    till.limit(day_cap=10)
    till.reserve(till.request("j-1", 4.0))
    till.reserve(till.request("j-2", 4.0))
    assert "there is room for $2.00" in till.admit(till.request("j-3", 4.0)).reason
    with pytest.raises(NotAllowedError, match="day cap"):
        till.reserve(till.request("j-3", 4.0))
    till.settle("j-1", 0.25)
    assert till.reserve(till.request("j-3", 4.0)).fresh


def test_a_project_has_its_own_cap(lite: Till) -> None:
    lite.limit(day_cap=100, project_cap=5)
    lite.reserve(lite.request("j-1", 4.0))
    with pytest.raises(NotAllowedError, match="project cap"):
        lite.reserve(lite.request("j-2", 2.0))
    assert lite.reserve(lite.request("j-3", 2.0, project="other")).fresh


def test_another_project_does_not_escape_the_day_cap(lite: Till) -> None:
    lite.limit(day_cap=5)
    lite.reserve(lite.request("j-1", 4.0))
    with pytest.raises(NotAllowedError, match="day cap"):
        lite.reserve(lite.request("j-2", 2.0, project="other"))


def test_after_an_overrun_nothing_may_start_however_small(lite: Till) -> None:
    lite.limit(day_cap=5)
    lite.reserve(lite.request("j-1", 4.0))
    done = lite.settle("j-1", 2.0)
    assert (done.usd, done.overrun, lite.balance()) == (8.0, 4.0, (8.0, 0.0, -3.0))
    with pytest.raises(NotAllowedError, match=r"room for -\$3.00"):
        lite.reserve(lite.request("j-2", 0.01))


def test_a_reservation_or_settlement_that_is_asked_for_again_changes_nothing(till: Till) -> None:
    request = till.request("j-1", 4.0)
    assert [till.reserve(request).fresh for _ in range(3)] == [True, False, False]
    assert [till.settle("j-1", hours).usd for hours in (0.5, 1.0)] == [2.0, 2.0]
    assert till.balance() == (2.0, 0.0, 98.0)
    with pytest.raises(ConflictError, match="paid for already"):
        till.reserve(request)


def test_a_job_keeps_money_for_its_further_attempts(lite: Till) -> None:
    request = lite.request("j-1", 1.0, attempts=3)
    assert lite.reserve(request).usd == 3.0
    assert lite.settle("j-1", 0.125, last=False).held == 2.0
    assert not lite.reserve(request, attempt=2).fresh
    assert lite.settle("j-1", 0.125, attempt=2).held == 0.0
    assert lite.balance() == (1.0, 0.0, 99.0)


def test_what_was_held_for_a_job_that_never_starts_is_let_go(lite: Till) -> None:
    lite.reserve(lite.request("j-1", 4.0))
    assert [desk.release(lite.engine, "j-1", attempt=1, why="cancelled") for _ in range(2)] == [4.0, 0.0]
    assert lite.reserve(lite.request("j-1", 4.0)).fresh
    assert lite.balance() == (0.0, 4.0, 96.0)


def test_an_unknown_bill_counts_as_the_worst_case_until_it_comes(lite: Till) -> None:
    lite.reserve(lite.request("j-1", 4.0))
    assert lite.settle("j-1", None).usd == 4.0
    assert settlement.correct(lite.engine, "j-1", attempt=1, billed_seconds=0.5 * HOUR) == -2.0
    assert settlement.correct(lite.engine, "j-1", attempt=1, billed_seconds=0.25 * HOUR) == 0.0
    assert lite.balance() == (2.0, 0.0, 98.0)


@pytest.mark.parametrize("hours", [float("nan"), float("inf"), -1.0])
def test_a_bill_that_is_no_amount_is_refused(lite: Till, hours: float) -> None:
    lite.reserve(lite.request("j-1", 4.0))
    with pytest.raises(NotAllowedError, match="billed_seconds"):
        lite.settle("j-1", hours)


def test_nothing_is_settled_that_was_never_reserved(lite: Till) -> None:
    with pytest.raises(ConflictError, match="nothing was ever reserved"):
        lite.settle("j-1", 1.0)


def test_a_clock_that_goes_back_over_midnight_makes_no_room(till: Till) -> None:
    till.limit(day_cap=10)
    till.reserve(till.request("j-1", 4.0))
    till.settle("j-1", 2.0)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    with writing(till.engine) as session:  # as if the clock had been a day ahead
        session.execute(update(CostEntry).values(day=tomorrow))
    assert till.balance() == (8.0, 0.0, 2.0)
    till.reserve(till.request("j-2", 2.0))
    with reading(till.engine) as session:
        assert {row.day for row in session.query(CostEntry)} == {tomorrow}


def test_a_new_day_makes_room_but_not_for_what_is_still_held(lite: Till) -> None:
    lite.limit(day_cap=10)
    lite.reserve(lite.request("j-1", 4.0))
    lite.settle("j-1", 1.0)
    lite.reserve(lite.request("j-2", 3.0))
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    with writing(lite.engine) as session:
        session.execute(update(CostEntry).values(day=yesterday))
    assert lite.balance() == (0.0, 3.0, 7.0)


@pytest.mark.slow
def test_expectations_follow_what_earlier_jobs_used_and_stay_below_the_worst_case(till: Till) -> None:
    def expected(job: str) -> float:
        hash_ = till.admit(till.request(job, 4.0)).estimate_hash
        with reading(till.engine) as session:
            return session.get_one(Estimate, hash_).expected_usd

    assert expected("j-0") == 4.0
    for number in range(3):
        till.reserve(till.request(f"j-{number}", 4.0))
        till.settle(f"j-{number}", 0.25)
    assert expected("j-3") == 1.0
    for number in range(4, 9):
        till.reserve(till.request(f"j-{number}", 4.0))
        till.settle(f"j-{number}", 1.5)
    assert expected("j-9") == 4.0
    account = reports.accounts(till.engine)[0]
    assert (account.jobs, account.reserved_usd, account.paid_usd, account.overruns) == (8, 32.0, 33.0, 5)


def test_many_small_variants_are_one_large_expense(lite: Till) -> None:
    first, second, third = (lite.request(f"j-{n}", 4.0, fan_out="f", work=str(n)) for n in range(3))
    desk.hold_back(lite.engine, first)
    lite.reserve(first)
    desk.note_end(lite.engine, first, "finished")
    lite.settle("j-0", 0.5)
    assert lite.admit(second).tier == "ask"
    waiting = lite.admit(second).estimate_hash
    with writing(lite.engine) as session:
        session.add(a_job("j-1", state="waiting", fan_out="f", estimate_hash=waiting, reason="price"))
    assert lite.admit(third).tier == "ask"
    assert [each.job_id for each in decisions.waiting(lite.engine)] == ["j-1"]
    assert decisions.waiting_in(lite.engine, "f") == [waiting]


@pytest.mark.parametrize(
    ("content", "state"),
    [
        ('{"finite_loss": false, "gradient_flow": true, "checkpoint": true}', "finite_loss"),
        ('{"finite_loss": "yes", "gradient_flow": true, "checkpoint": true}', "true or false"),
        ("[]", "true or false"),
    ],
)
def test_a_first_variant_that_failed_keeps_the_lock_and_says_why(
    lite: Till, tmp_path: Path, content: str, state: str
) -> None:
    first, second = (lite.request(f"j-{n}", 1.0, fan_out="f") for n in range(2))
    desk.hold_back(lite.engine, first)
    (tmp_path / "health.json").write_text(content)
    assert not desk.note_health(lite.engine, first, tmp_path / "health.json")
    assert state in desk.hold_back(lite.engine, second)
    assert not desk.note_end(lite.engine, second, "finished")
    from experiment_hub.cost.variants import let_another

    let_another(lite.engine, "f", actor="ada", reason="mended")
    assert desk.hold_back(lite.engine, second) == ""


def test_half_a_health_file_says_nothing_yet(lite: Till, tmp_path: Path) -> None:
    first, second = (lite.request(f"j-{n}", 1.0, fan_out="f") for n in range(2))
    desk.hold_back(lite.engine, first)
    (tmp_path / "health.json").write_text('{"finite_loss": tr')
    assert not desk.note_health(lite.engine, first, tmp_path / "health.json")
    assert not desk.note_health(lite.engine, first, tmp_path / "absent.json")
    assert "waits until" in desk.hold_back(lite.engine, second)


def test_a_first_variant_that_is_cancelled_gives_way(lite: Till) -> None:
    first, second = (lite.request(f"j-{n}", 1.0, fan_out="f") for n in range(2))
    desk.hold_back(lite.engine, first)
    assert desk.note_end(lite.engine, first, "cancelled")
    assert desk.hold_back(lite.engine, second) == ""


def test_a_variant_that_was_verified_elsewhere_does_not_count_here(lite: Till) -> None:
    elsewhere = lite.request("j-1", 1.0, fan_out="f", launcher="local")
    desk.hold_back(lite.engine, elsewhere)
    desk.note_end(lite.engine, elsewhere, "finished")
    with pytest.raises(WaitsForPersonError, match="no variant has been verified on launcher simulated"):
        decisions.approve(
            lite.engine, lite.now, lite.admit(lite.request("j-2", 30.0, fan_out="f")).estimate_hash, BECAUSE
        )


def test_a_paid_job_at_work_is_stopped_only_with_permission_for_this_attempt(till: Till) -> None:
    from experiment_hub.cost.stops import allow_stop

    till.reserve(till.request("j-1", 4.0, attempts=1))
    with writing(till.engine) as session:
        session.add(a_job("j-1"))
    refusal = desk.may_stop(till.engine, till.home, "j-1")
    assert "at work for 1800 s" in refusal
    assert "spent about $2.00 of $4.00" in refusal
    assert "hub cost allow-stop j-1" in refusal
    with pytest.raises(NotAllowedError, match="needs --reason"):
        allow_stop(till.engine, till.home, "j-1", YES)
    allow_stop(till.engine, till.home, "j-1", BECAUSE)
    assert desk.may_stop(till.engine, till.home, "j-1") == ""
    with writing(till.engine) as session:
        session.execute(update(Job).values(attempt=2))
    assert desk.may_stop(till.engine, till.home, "j-1") != ""


@pytest.mark.parametrize("state", ["queued", "waiting", "finished"])
def test_jobs_that_are_not_at_work_or_cost_nothing_may_be_stopped(lite: Till, state: str) -> None:
    lite.reserve(lite.request("j-1", 4.0))
    with writing(lite.engine) as session:
        session.add(a_job("j-1", state=state))
        session.add(a_job("j-2", number=2))
    assert desk.may_stop(lite.engine, lite.home, "j-1") == ""
    assert desk.may_stop(lite.engine, lite.home, "j-2") == ""
    with pytest.raises(UnknownNameError, match="unknown job"):
        desk.may_stop(lite.engine, lite.home, "j-3")


def test_a_runaway_is_stopped_only_where_a_person_wrote_the_rule(lite: Till) -> None:
    lite.reserve(lite.request("j-1", 4.0))
    assert desk.runaway(lite.engine, lite.now.settings, "j-1", billed_seconds=3 * HOUR) == ""
    lite.limit(day_cap=100, runaway_factor=2)
    assert "more than 2 x the $4.00" in desk.runaway(lite.engine, lite.now.settings, "j-1", billed_seconds=3 * HOUR)
    assert desk.runaway(lite.engine, lite.now.settings, "j-1", billed_seconds=HOUR) == ""
