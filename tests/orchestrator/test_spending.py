from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from agents.catalogue import DRIVERS
from agents.causes import Cause
from agents.drivers.scripted import ScriptedDriver
from agents.protocol import Assignment, Capabilities, Outcome, ToolCall
from agents.usage import NOTHING, Usage
from demo_project import POLICY, ROOT
from memory.events import About, read
from memory.ledger import Ledger
from memory.records import Records
from orchestrator.debrief import outcome_of
from orchestrator.money.books import of_day, of_feature, of_ticket, spend_usd, spent
from orchestrator.money.purse import NoMoneyError, Purse, purse, purse_for, recover
from orchestrator.money.tariff import Tariff
from orchestrator.workspace import Workspace
from tickets.agents import Agent
from tickets.model import Budget
from tickets.plan import read_plan
from tickets.states import State
from workbench import Desk, workbench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agents.protocol import Bench
    from demo_project import Demo
    from memory.records import TicketRow

CODER = """
[agents.coder]
kind = "openai"
model = "gpt-5.5"
base_url = "https://models.example.org/v1"
"""
CLIENT = """
[agents.client]
kind = "command"
command = ["true"]
"""
MILLION = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Metered(ScriptedDriver):
    """An agent that reports one usage after the other until it is stopped."""

    usages: tuple[Usage, ...] = ()
    usage: Any = "tokens"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(usage=self.usage, usage_scope="run", budget="live")

    def work(self, assignment: Assignment) -> Outcome:
        last = NOTHING
        for last in self.usages:
            if why := assignment.bench.may_go_on(last):
                return _ended(last).failed(Cause.BUDGET, why)
        return _ended(last)


def _ended(used: Usage) -> Outcome:
    return Outcome(ending="done", reason="", report="", transcript="", cause=Cause.DONE, used=used)


@dataclass(kw_only=True)
class Shop:
    """A repository with one ticket, and agents that cost money."""

    root: Path
    scratch: Path
    patch: pytest.MonkeyPatch
    workspace: Workspace
    row: TicketRow

    def policy(self, text: str) -> None:
        # the list of prices grows old, the tests do not
        age = "" if "max_age_days" in text else "max_age_days = 100000\n"
        spend = age if "[spend]" in text else f"[spend]\n{age}"
        (self.root / "orchestrate.toml").write_text(f"{POLICY}{text}{spend}", encoding="utf-8")
        self.workspace = Workspace.open(self.root)
        self.row = self.workspace.records.ticket(self.row.id)

    def driver(self, *usages: Usage, usage: str = "tokens") -> None:
        def make(name: str, _agent: Agent, root: Path) -> Metered:
            return Metered(name=name, script=root, usages=usages, usage=usage)

        self.patch.setitem(DRIVERS, "openai", make)

    def bench(self, name: str = "bench") -> Bench:
        return workbench(self.scratch / name, Desk())

    def attempt(self, number: int, *usages: Usage, agent: str = "coder", usage: str = "tokens") -> Outcome:
        """Make one attempt as the harness does."""
        self.driver(*usages, usage=usage)
        with purse(self.workspace, self.row, agent_name=agent, attempt=number) as money:
            bench = money.on(self.bench(f"bench-{number}"))
            hand = DRIVERS["openai"](agent, self.workspace.policy.agent(agent), self.root)
            outcome = hand.work(Assignment(ticket=self.row.record, attempt=number, brief="", bench=bench))
            money.settle(outcome)
        return outcome

    def notes(self, number: int) -> list[str]:
        file = self.scratch / f"bench-{number}" / "logs" / "transcript.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return [json.loads(line)["text"] for line in lines]

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event.data for event in read(self.workspace.database) if event.kind == kind]

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.workspace.database)


@pytest.fixture
def shop(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    workspace = Workspace.open(demo.root)
    workspace.prepare()
    records = Records(workspace.database)
    draft = {"key": "a", "title": "a", "objective": "a", "non_goals": ["x"], "acceptance": [{"run": ["true"]}]}
    text = json.dumps({"request": "r", "tickets": [{**draft, "scope": {"new": ["a"]}}]})
    feature = records.add_feature("r", options={}, target="main", before=workspace.head())
    (ticket,) = records.set_plan(feature, read_plan(text, "p", max_tickets=1))
    made = Shop(root=demo.root, scratch=tmp_path, patch=monkeypatch, workspace=workspace, row=records.ticket(ticket))
    made.policy(CODER + CLIENT)
    yield made
    workspace.database.close()
    made.workspace.database.close()


def said(*millions: float, **other: Any) -> tuple[Usage, ...]:
    """Usages of so many million tokens read: at the price of gpt-5.5, five dollars each."""
    return tuple(Usage(input=int(one * MILLION), model="gpt-5.5", **other) for one in millions)


# an attempt


def test_an_attempt_is_reserved_counted_and_settled_at_what_it_used(shop: Shop) -> None:
    outcome = shop.attempt(1, *said(0.05, 0.1, 0.2))
    assert (outcome.ending, outcome.reason) == ("done", "")
    total = shop.ledger.total(ticket="T-0001")
    assert (total.used.usd, total.used.tokens, total.reserved.usd) == (MILLION, 200_000, 2 * MILLION)
    assert total.held.usd == total.unmeasured == 0
    assert spent(shop.workspace, "T-0001") == (1.0, 200_000)
    assert shop.workspace.records.ticket("T-0001").spend_usd == 1.0


def test_an_attempt_is_warned_at_four_fifths_and_stopped_at_its_limit_with_what_it_used_booked(shop: Shop) -> None:
    outcome = shop.attempt(1, *said(0.1, 0.3, 0.33, 0.39, 0.41, 5.0))
    assert outcome.cause is Cause.BUDGET
    assert outcome.reason == "$2.05 are used, and [spend] attempt_usd allows $2.00"
    assert outcome.used.input == 410_000
    assert shop.notes(1) == ["$1.65 of the $2.00 of [spend] attempt_usd are used"]
    (warned,) = shop.events("spend.warned")
    assert (warned["scope"], warned["most"], warned["used"]) == ("attempt", 2 * MILLION, 1_650_000)
    assert shop.ledger.total().used.usd == 2_050_000


def test_an_attempt_gets_what_its_ticket_has_left_and_is_stopped_there(shop: Shop) -> None:
    shop.policy(f"{CODER}[spend]\nticket_usd = 2.5\n")
    assert shop.attempt(1, *said(0.3)).ending == "done"
    outcome = shop.attempt(2, *said(0.1, 0.15, 0.2))
    assert outcome.reason == "$1.00 are used, and [spend] ticket_usd allows $1.00 ($2.50, of which so much was left)"
    with pytest.raises(NoMoneyError) as refused:
        shop.attempt(3)
    assert str(refused.value) == (
        "no money for coder: [spend] ticket_usd allows $2.50 for the ticket, $2.50 of it are used, and this run may need "
        "$2.00; raise it in orchestrate.toml, then: orchestrate tickets retry T-0001"
    )
    assert refused.value.exit_code == 3


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ("max_usd = 0.5\n", "[agents.coder] max_usd allows $0.50"),
        ("max_tokens = 90000\n", "[agents.coder] max_tokens allows 90,000 tokens"),
        ("[spend]\nattempt_usd = 0.5\n", "[spend] attempt_usd allows $0.50"),
        ("[spend]\nattempt_tokens = 90000\n", "[spend] attempt_tokens allows 90,000 tokens"),
        ("max_usd = 9.0\n[spend]\nday_usd = 0.5\n", "[spend] day_usd allows $0.50"),
    ],
)
def test_the_tightest_limit_stops_the_attempt(settings: str, where: str, shop: Shop) -> None:
    shop.policy(CODER + settings)
    outcome = shop.attempt(1, *said(0.01, 0.1, 0.2))
    assert outcome.reason.endswith(where)
    assert outcome.used.input == 100_000


def test_a_tickets_own_budget_tightens_too(shop: Shop) -> None:
    record = shop.row.record.model_copy(update={"budget": Budget(usd=0.25)})
    shop.row = replace(shop.row, record=record)
    assert shop.attempt(1, *said(0.04, 0.06)).reason == "$0.30 are used, and the ticket's budget.usd allows $0.25"


def test_what_the_client_says_it_cost_is_believed_before_the_list(shop: Shop) -> None:
    shop.attempt(1, Usage(input=MILLION, usd=0.25, model="gpt-5.5"), usage="tokens+usd")
    assert spent(shop.workspace, "T-0001") == (0.25, MILLION)


def test_a_price_of_ones_own_is_believed_before_everything(shop: Shop) -> None:
    shop.policy(f"{CODER}price = {{ input = 0.5, output = 1.0 }}\n")
    shop.attempt(1, Usage(input=MILLION, output=100_000, usd=17.0, model="gpt-5.5"))
    assert spent(shop.workspace, "T-0001") == (0.6, 1_100_000)


def test_a_model_of_ones_own_costs_nothing_and_starts_when_no_money_is_left(shop: Shop) -> None:
    own = CODER.replace("gpt-5.5", "qwen3:30b").replace("https://models.example.org", "http://127.0.0.1:11434")
    shop.policy(f"{own}[spend]\nday_usd = 0.0\n")
    assert shop.attempt(1, Usage(input=50 * MILLION, model="qwen3:30b")).ending == "done"
    assert spent(shop.workspace, "T-0001") == (0.0, 50 * MILLION)


def test_a_day_of_no_money_starts_nothing_that_costs_any(shop: Shop) -> None:
    shop.policy(f"{CODER}[spend]\nday_usd = 0.0\n")
    with pytest.raises(NoMoneyError, match=r"\[spend\] day_usd allows \$0\.00 for the day, so nothing that costs"):
        shop.attempt(1)


@pytest.mark.parametrize("model", ["gpt-99", "own-model"])
def test_an_unknown_price_stops_it_before_it_starts(model: str, shop: Shop) -> None:
    shop.policy(CODER.replace("gpt-5.5", model))
    with pytest.raises(
        NoMoneyError, match=rf"the price of '{model}' is unknown, so coder is not started; set price = "
    ):
        shop.attempt(1)
    assert shop.ledger.total().runs == 0


def test_a_model_that_turns_out_to_have_no_price_is_stopped_at_its_first_word(shop: Shop) -> None:
    shop.policy(CODER.replace("gpt-5.5", "gpt-99"))
    outcome = shop.attempt(1, Usage(input=10, model="gpt-99"), Usage(input=20, model="gpt-99"), usage="tokens+usd")
    assert (outcome.cause, outcome.used.input) == (Cause.BUDGET, 10)
    assert "the price of 'gpt-99' is unknown" in outcome.reason
    total = shop.ledger.total()
    assert (total.used.usd, total.used.tokens, total.unmeasured) == (2 * MILLION, 10, 1)


def test_an_old_price_is_used_with_a_warning(shop: Shop) -> None:
    shop.policy(f"{CODER}[spend]\nmax_age_days = 1\n")
    shop.attempt(1, *said(0.1))
    (note,) = shop.notes(1)
    assert re.match(r"the listed price of gpt-5\.5 is [0-9]+ days old \(OpenAI's pricing page.*\); set price = ", note)
    shop.policy(f"{CODER}[spend]\nmax_age_days = 100000\n")
    shop.attempt(2, *said(0.1))
    assert shop.notes(2) == []


def test_a_count_that_is_late_takes_nothing_back(shop: Shop) -> None:
    shop.driver()
    with purse(shop.workspace, shop.row, agent_name="coder", attempt=1) as money:
        money.on(shop.bench())
        (more, less) = said(0.2, 0.1)
        assert money(more) == money(less) == ""
    assert spent(shop.workspace, "T-0001") == (1.0, 200_000)


def test_what_a_client_says_at_the_end_corrects_what_was_counted(shop: Shop) -> None:
    shop.driver()
    with purse(shop.workspace, shop.row, agent_name="coder", attempt=1) as money:
        money.on(shop.bench())
        money(said(0.3)[0])
        money.settle(_ended(said(0.1)[0]))
    assert spent(shop.workspace, "T-0001") == (0.5, 100_000)


def test_a_client_that_was_broken_off_is_booked_at_what_was_counted(shop: Shop) -> None:
    shop.driver()
    with purse(shop.workspace, shop.row, agent_name="coder", attempt=1) as money:
        money.on(shop.bench())
        money(said(0.3)[0])
        money.settle(_ended(said(0.1)[0]).failed(Cause.CRASH, "killed"))
    assert spent(shop.workspace, "T-0001") == (1.5, 300_000)


def test_an_agent_that_never_started_costs_nothing(shop: Shop) -> None:
    shop.driver()
    with pytest.raises(OSError, match="no tree"), purse(shop.workspace, shop.row, agent_name="coder", attempt=1):
        raise OSError("no tree")
    assert shop.ledger.total().used.usd == shop.ledger.total().held.usd == 0


def test_an_agent_that_broke_off_without_a_word_is_booked_in_full(shop: Shop) -> None:
    shop.driver()

    def broken() -> None:
        with purse(shop.workspace, shop.row, agent_name="coder", attempt=1) as money:
            money.on(shop.bench())
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        broken()
    total = shop.ledger.total()
    assert (total.used.usd, total.unmeasured) == (2 * MILLION, 1)


@pytest.mark.parametrize("calls", [(), (ToolCall(id="1", tool="Bash"),)])
def test_a_run_that_worked_and_named_no_usage_is_booked_in_full(calls: tuple[ToolCall, ...], shop: Shop) -> None:
    shop.driver()
    with purse(shop.workspace, shop.row, agent_name="coder", attempt=1) as money:
        money.on(shop.bench())
        money.settle(replace(_ended(NOTHING), calls=calls, ending="failed" if calls else "done"))
    assert (shop.ledger.total().used.usd, shop.ledger.total().unmeasured) == (2 * MILLION, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        Usage(input=-5_000_000),
        Usage(input=10, output=-1),
        Usage(input=10**30),
        Usage(input=10, usd=float("nan")),
        Usage(input=10, usd=float("inf")),
        Usage(input=10, usd=-3.0),
    ],
)
def test_an_impossible_usage_stops_the_run_and_gives_nothing_back(wrong: Usage, shop: Shop) -> None:
    outcome = shop.attempt(1, *said(0.1), wrong)
    assert outcome.cause is Cause.BUDGET
    assert outcome.reason.endswith("US dollars were used, which cannot be")
    assert spent(shop.workspace, "T-0001") == (0.5, 100_000)
    with purse(shop.workspace, shop.row, agent_name="coder", attempt=2) as money:
        money.on(shop.bench())
        money.settle(_ended(wrong))
    assert spent(shop.workspace, "T-0001") == (2.5, 100_000)


def test_many_counts_write_little(shop: Shop) -> None:
    shop.attempt(1, *said(*(part / 10_000 for part in range(1, 2000))))
    assert len(shop.events("spend.counted")) < 25
    assert spent(shop.workspace, "T-0001")[1] == 199_900


def test_threads_may_count_and_each_hears_that_it_is_over(shop: Shop) -> None:
    shop.driver()
    heard: list[str] = []

    def work(money: Purse, begin: int) -> None:
        for step in range(50):
            answer = money(Usage(input=(begin + step * 4) * 3000, model="gpt-5.5"))
        heard.append(answer)
        shop.workspace.database.close()

    with purse(shop.workspace, shop.row, agent_name="coder", attempt=1) as money:
        money.on(shop.bench())
        threads = [threading.Thread(target=work, args=(money, begin)) for begin in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(set(heard)) == 1
    assert heard[0].endswith("[spend] attempt_usd allows $2.00")


# other agents


@pytest.mark.parametrize("agent", ["actor", "recipes"])
def test_an_agent_without_a_model_costs_nothing_and_reserves_nothing(agent: str, shop: Shop) -> None:
    with purse(shop.workspace, shop.row, agent_name=agent, attempt=1) as money:
        assert money.on(shop.bench()).may_go_on(Usage(input=10**9)) == ""
        money.settle(_ended(NOTHING))
    assert shop.ledger.total().runs == 0


def test_a_command_is_booked_at_its_max_usd_and_flagged_because_nobody_can_measure_it(shop: Shop) -> None:
    shop.policy(f"{CLIENT}max_usd = 0.75\n")
    with purse(shop.workspace, shop.row, agent_name="client", attempt=1) as money:
        money.on(shop.bench())
        money.settle(_ended(NOTHING))
    total = shop.ledger.total()
    assert (total.used.usd, total.unmeasured) == (750_000, 1)
    assert "$0.75 spent of $5.00, 0 tokens, reserved beforehand $0.75, 1 of 1 runs not measured" in str(
        of_ticket(shop.workspace, shop.row)
    )


def test_a_command_without_a_limit_reserves_nothing_and_is_flagged(shop: Shop) -> None:
    with purse(shop.workspace, shop.row, agent_name="client", attempt=1) as money:
        money.on(shop.bench())
        money.settle(_ended(NOTHING))
    total = shop.ledger.total()
    assert (total.runs, total.used.usd, total.unmeasured) == (1, 0, 1)


def test_a_command_that_could_not_be_started_costs_nothing(shop: Shop) -> None:
    shop.policy(f"{CLIENT}max_usd = 0.75\n")
    with purse(shop.workspace, shop.row, agent_name="client", attempt=1) as money:
        money.on(shop.bench())
        money.settle(replace(_ended(NOTHING), ending="not-started"))
    assert shop.ledger.total().used.usd == 0


def test_plans_and_audits_are_paid_from_the_same_day_and_feature(shop: Shop) -> None:
    shop.policy(f"{CODER}[spend]\nfeature_usd = 2.8\n")
    shop.driver()
    with purse_for(shop.workspace, About(feature="F-0001"), agent_name="coder", purpose="plan") as money:
        assert money.on(shop.bench()).may_go_on(said(0.2)[0]) == ""
    with purse_for(shop.workspace, shop.row.about, agent_name="coder", purpose="audit") as money:
        money.on(shop.bench())
        money(said(0.3)[0])
    assert spent(shop.workspace, "T-0001") == (0.0, 0)
    assert spend_usd(shop.workspace, ticket="T-0001") == 1.5
    assert spend_usd(shop.workspace, feature="F-0001") == 2.5
    with pytest.raises(NoMoneyError, match=r"feature_usd allows \$2\.80 for the feature, \$2\.50 of it are used"):
        shop.attempt(2)


# side by side


def test_a_run_waits_for_money_that_another_only_holds(shop: Shop) -> None:
    shop.policy(f"{CODER}[spend]\nday_usd = 3.0\n")
    shop.driver()
    began = time.monotonic()
    with purse(shop.workspace, shop.row, agent_name="coder", attempt=1) as first:
        first.on(shop.bench())
        timer = threading.Timer(0.6, _settled_elsewhere(shop, first))
        timer.start()
        with purse(shop.workspace, shop.row, agent_name="coder", attempt=2) as second:
            assert time.monotonic() - began >= 0.5
            assert second.reservation is not None
            assert second.reservation.amount.usd == 2 * MILLION
        timer.join()


def _settled_elsewhere(shop: Shop, first: Purse) -> Callable[[], None]:
    def settle() -> None:
        first.settle(_ended(said(0.1)[0]))
        shop.workspace.database.close()

    return settle


HOLD = """
import sys
from pathlib import Path
from agents.usage import Usage
from orchestrator.money import purse as spending
from orchestrator.workspace import Workspace
workspace = Workspace.open(Path(sys.argv[1]))
row = workspace.records.ticket("T-0001")
with spending.purse(workspace, row, agent_name="client", attempt=1) as money:
    print("held", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_had_reserved_is_booked_by_the_next_one(shop: Shop) -> None:
    shop.policy(f"{CLIENT}max_usd = 0.75\n")
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", HOLD, str(shop.root)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert recover(shop.workspace) == 0
        assert shop.ledger.total().held.usd == 750_000
        holder.send_signal(signal.SIGKILL)
    assert recover(shop.workspace) == 1
    total = shop.ledger.total()
    assert (total.used.usd, total.held.usd, total.unmeasured) == (750_000, 0, 1)
    assert recover(shop.workspace) == 0


# what is shown


def test_status_shows_what_was_used_beside_what_was_reserved_and_allowed(shop: Shop, demo: Demo) -> None:
    shop.attempt(1, *said(0.1, 0.2))
    text = demo.orchestrate("status", exits=0).stdout
    assert "1 ready; $1.00 spent of $20.00, 200,000 tokens, reserved beforehand $2.00" in text
    assert "today (UTC): $1.00 spent of $50.00, 200,000 tokens, reserved beforehand $2.00" in text
    ticket = demo.orchestrate("status", "T-0001", exits=0).stdout
    assert "$1.00 spent of $5.00, 200,000 tokens, reserved beforehand $2.00; next:" in ticket


def test_status_gives_the_same_as_data(shop: Shop, demo: Demo) -> None:
    shop.attempt(1, *said(0.1, 0.2))
    data = json.loads(demo.orchestrate("status", "--json", exits=0).stdout)
    spend = {
        "usd": 1.0,
        "tokens": 200_000,
        "reserved": {"usd": 2.0, "tokens": 0},
        "held": {"usd": 0.0, "tokens": 0},
        "runs": 1,
        "unmeasured_runs": 0,
    }
    assert data["day"] == {**spend, "limit": {"usd": 50.0, "tokens": None}}
    (feature,) = data["features"]
    assert feature["spend"] == {**spend, "limit": {"usd": 20.0, "tokens": None}}
    (ticket,) = feature["tickets"]
    assert ticket["spend"] == {**spend, "limit": {"usd": 5.0, "tokens": None}}
    assert ticket["spend_usd"] == 1.0


def test_status_shows_what_goes_on_at_the_moment(shop: Shop) -> None:
    shop.driver()
    with purse(shop.workspace, shop.row, agent_name="coder", attempt=1) as money:
        money.on(shop.bench())
        money(said(0.1)[0])
        said_now = str(of_feature(shop.workspace, "F-0001"))
    assert said_now.endswith("reserved beforehand $2.00, $1.50 still held by runs that go on")
    assert of_day(shop.workspace).total.held.usd == 0


def test_the_outcome_of_a_feature_names_what_the_ledger_says(shop: Shop) -> None:
    shop.attempt(1, *said(0.1, 0.2))
    shop.workspace.records.move("T-0001", State.BLOCKED, "waits")
    outcome = outcome_of(shop.workspace, shop.workspace.records.feature("F-0001"))
    assert (outcome["spend_usd"], outcome["tickets"][0]["spend_usd"]) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:11434/v1", True),
        ("http://localhost:8000/v1", True),
        ("http://[::1]:8000/v1", True),
        ("https://api.example.org/v1", False),
        ("https://localhost.example.org/v1", False),
        ("http://10.0.0.7:8000/v1", False),
        ("", False),
    ],
)
def test_only_a_model_on_this_machine_is_taken_to_cost_nothing(url: str, here: bool) -> None:  # noqa: FBT001 - a case of the table
    agent = Agent(kind="codex", model="my-model", base_url=url)
    tariff = Tariff(name="coder", agent=agent, usage="tokens", max_age_days=90)
    assert (tariff.free, tariff.trouble() == "") == (here, here)
