"""Money from the command line, with the real queue, real workers and the simulated provider."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiment_hub.cost import desk, reports
from experiment_hub.metadata.database import open_engine

Hub = Callable[..., tuple[int, str, str]]
HUB = [sys.executable, "-m", "experiment_hub"]
QUICK = ("--option", "simulated.speed=3600", "--retry", "lost=0")


def submit(hub: Hub, timeout: str, *more: str, script: str = "sleep 0.2") -> tuple[int, str]:
    """Exit code and id of a job on one H100 at 4 dollars an hour."""
    asked = ("--launcher", "simulated", "--gpus", 1, "--gpu", "H100", "--timeout", timeout)
    code, out, _ = hub("jobs", "submit", *asked, *QUICK, *more, "--json", "--", "sh", "-c", script)
    return code, json.loads(out)["jobs"][0]["id"]


def capped(home: Path, cap: float) -> None:
    home.mkdir(exist_ok=True)
    (home / "hub.yaml").write_text(f"cost: {{day_cap: {cap}}}\n")


def waiting(hub: Hub) -> list[dict[str, Any]]:
    _, out, _ = hub("cost", "waiting", "--json")
    rows: list[dict[str, Any]] = json.loads(out)["waiting"]
    return rows


def work(home: Path) -> None:
    subprocess.run([*HUB, "worker", "--once", "--home", str(home)], check=True, env=environment(), timeout=60)


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path("platform").absolute()), **more}


def state(hub: Hub, job: str) -> str:
    _, out, _ = hub("jobs", "show", job, "--json")
    return str(json.loads(out)["state"])


@pytest.mark.slow
def test_a_twelve_dollar_job_waits_for_a_person_and_then_runs(hub: Hub, home: Path) -> None:
    capped(home, 100)
    code, job = submit(hub, "3h")
    assert (code, state(hub, job)) == (3, "waiting")
    code, out, _ = hub("cost", "waiting")
    assert code == 3
    assert "$12.00 = (1 H100 x $4.00/h) x 3 h" in out
    work(home)
    assert state(hub, job) == "waiting"
    code, out, _ = hub("cost", "approve", waiting(hub)[0]["estimate_hash"][:12], "--actor", "ada")
    assert code == 0
    assert "(as ada)" in out
    assert f"queued: {job}" in out
    work(home)
    assert state(hub, job) == "finished"
    assert hub("cost", "waiting")[:2] == (0, "no job waits for a person's word on its price\n")
    _, out, _ = hub("cost", "ledger", "--json")
    assert [row["kind"] for row in json.loads(out)["entries"]] == ["reserve", "spend", "release"]


@pytest.mark.long
def test_a_thirty_dollar_job_asks_for_a_reason_and_a_small_variant_first(hub: Hub, home: Path) -> None:
    capped(home, 100)
    code, large = submit(hub, "7.5h", "--fan-out", "big")
    assert code == 3
    hash_ = waiting(hub)[0]["estimate_hash"]
    code, _, err = hub("cost", "approve", hash_)
    assert code == 2
    assert "needs a reason" in err
    code, _, err = hub("cost", "approve", hash_, "--reason", "for the paper")
    assert code == 3
    assert "no variant has been verified" in err
    assert submit(hub, "15m", "--fan-out", "big")[0] == 0
    work(home)
    assert hub("cost", "approve", hash_, "--reason", "for the paper")[0] == 0
    work(home)
    assert state(hub, large) == "finished"


@pytest.mark.long
def test_a_worker_that_is_killed_while_it_owes_money_neither_forgets_nor_pays_twice(hub: Hub, home: Path) -> None:
    capped(home, 100)
    _, job = submit(hub, "1h", "--option", "simulated.speed=600", script="sleep 2")
    worker = subprocess.Popen([*HUB, "worker", "--home", str(home)], env=environment(), stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while state(hub, job) != "running":
        assert time.monotonic() < end
        time.sleep(0.05)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    engine = open_engine(home)
    assert reports.open_jobs(engine) == {job: 4.0}
    while state(hub, job) != "finished":
        assert time.monotonic() < end
        work(home)
    rows = reports.rows(engine)
    assert [row["kind"] for row in rows] == ["reserve", "spend", "release"]
    assert sum(row["usd"] for row in rows if row["kind"] != "spend") == 0


@pytest.mark.long
def test_reconciling_settles_what_ended_without_being_settled(hub: Hub, home: Path) -> None:
    from sqlalchemy import delete

    from experiment_hub.metadata.sessions import writing
    from experiment_hub.metadata.tables import CostEntry

    capped(home, 100)
    _, job = submit(hub, "1h")
    work(home)
    engine = open_engine(home)
    billed = [row["usd"] for row in reports.rows(engine) if row["kind"] == "spend"]
    with writing(engine) as session:  # as if everything after the reservation had been lost
        session.execute(delete(CostEntry).where(CostEntry.kind != "reserve"))
    code, out, _ = hub("cost", "reconcile")
    assert code == 0
    assert f"{job}, attempt 1: settled $" in out
    assert [row["usd"] for row in reports.rows(engine) if row["kind"] == "spend"] == billed
    assert reports.open_jobs(engine) == {}
    assert hub("cost", "reconcile")[1] == "all accounts are in order\n"


@pytest.mark.long
def test_a_bill_that_was_unknown_is_corrected_when_it_comes(hub: Hub, home: Path) -> None:
    capped(home, 100)
    fault = '[{"kind": "lose", "attempt": 1, "after_s": 900}]'
    late = ("--option", f"simulated.faults={fault}", "--option", "simulated.invoice_delay_s=20")
    _, job = submit(hub, "1h", *late, script="sleep 30")
    work(home)
    assert state(hub, job) == "failed"
    engine = open_engine(home)
    assert reports.balance(engine, desk.terms(home).settings).spent_today == 4.0
    reference = next((home / "simulated" / "calls").glob("*/status.json"))
    status = json.loads(reference.read_text())
    reference.write_text(json.dumps({**status, "at": status["at"] - 60}))  # a minute later
    assert "the bill came: -$3.00" in hub("cost", "reconcile")[1]
    assert reports.balance(engine, desk.terms(home).settings).spent_today == 1.0


@pytest.mark.slow
def test_a_denied_job_fails_with_the_reason(hub: Hub, home: Path) -> None:
    capped(home, 100)
    _, job = submit(hub, "3h")
    assert hub("cost", "deny", waiting(hub)[0]["estimate_hash"], "--reason", "too much")[0] == 0
    assert state(hub, job) == "failed"


@pytest.mark.slow
def test_an_approval_cannot_come_from_inside_a_job(hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    capped(home, 100)
    submit(hub, "3h")
    hash_ = waiting(hub)[0]["estimate_hash"]
    monkeypatch.setenv("HUB_JOB", "j-1")
    for words in (("approve", hash_), ("deny", hash_), ("allow-stop", "j-1"), ("next-variant", "f", "--reason", "x")):
        code, _, err = hub("cost", *words)
        assert code == 2
        assert "cannot be given from inside a job" in err


@pytest.mark.long
def test_clearing_the_variable_inside_a_job_does_not_help(hub: Hub, home: Path) -> None:
    capped(home, 100)
    submit(hub, "3h")
    hash_ = waiting(hub)[0]["estimate_hash"]
    approve = f"env -u HUB_JOB {sys.executable} -m experiment_hub cost approve {hash_} --home {home}; exit $?"
    done = subprocess.run(
        ["sh", "-c", approve], check=False, capture_output=True, text=True, env=environment(HUB_JOB="j-1")
    )
    assert done.returncode == 2
    assert "inside a job" in done.stderr


def test_estimates_and_rates_are_shown_with_their_sources(hub: Hub, home: Path) -> None:
    code, out, _ = hub("cost", "estimate", "simulated", "--gpu", "H100", "--hours", 3)
    assert code == 0
    assert "at worst $12.00 = (1 H100 x $4.00/h) x 3 h" in out
    assert "made up" in out
    code, out, _ = hub("cost", "rates", "--json")
    modal = [row for row in json.loads(out)["rates"] if row["launcher"] == "modal"]
    assert {row["source"] for row in modal} == {"https://modal.com/pricing"}
    assert home.exists()


BAD = [
    (("estimate", "simulated", "--gpu", "H100", "--hours", "nan"), "expected a number from 1"),
    (("estimate", "simulated", "--gpu", "H100", "--hours", "-1"), "expected a number from 1"),
    (("estimate", "simulated", "--gpu", "H100", "--hours", "1e9"), "expected a number from 1"),
    (("estimate", "simulated", "--gpu", "K80", "--hours", "1"), "no price for K80"),
    (("estimate", "nowhere", "--gpu", "H100", "--hours", "1"), "it knows nothing"),
    (("approve",), "say which"),
    (("approve", "x"), "first 8 characters"),
    (("approve", "0" * 12), "unknown estimate"),
    (("approve", "--fan-out", "f"), "nothing waits"),
    (("next-variant", "f"), "needs --reason"),
    (("next-variant", "f", "--reason", "x"), "unknown fan-out"),
    (("allow-stop", "j-1", "--reason", "x"), "unknown job"),
    (("allow-stop", "j-1"), "needs --reason"),
]


@pytest.mark.slow
def test_bad_input_is_named(hub: Hub) -> None:
    for words, message in BAD:
        code, _, err = hub("cost", *words)
        assert code == 2, words
        assert message in err


@pytest.mark.slow
def test_everything_has_a_json_form(hub: Hub) -> None:
    for words in (("rates",), ("waiting",), ("ledger",), ("report",), ("reconcile",)):
        code, out, _ = hub("cost", *words, "--json")
        assert code == 0
        assert isinstance(json.loads(out), dict)
