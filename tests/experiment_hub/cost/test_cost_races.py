"""Processes that ask for money at the same moment, and processes that are killed while they have it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from experiment_hub.cost import desk, reports
from experiment_hub.errors import ConflictError, NotAllowedError
from experiment_hub.metadata.database import open_engine
from experiment_hub.metadata.sessions import writing
from experiment_hub.metadata.tables import CostEntry

ASK = """
import sys, threading
from pathlib import Path
from experiment_hub.cost import desk
from experiment_hub.errors import DatabaseGoneError, NotAllowedError
from experiment_hub.metadata.database import open_engine

home = Path(sys.argv[1])
engine, now = open_engine(home), desk.terms(home)
ready = threading.Barrier(len(sys.argv[2:]))

def ask(job):
    request = desk.Request(
        job_id=job, project="default", launcher="simulated", timeout_s=3600.0, attempts=1, work="w", gpu="H100", gpus=1
    )
    ready.wait()
    while True:
        try:
            answers.append("yes" if desk.reserve(engine, now, request, attempt=1).fresh else "had it")
        except NotAllowedError:
            answers.append("no")
        except DatabaseGoneError:  # locked for too long: a worker asks again as well
            continue
        return

answers = []
threads = [threading.Thread(target=ask, args=(job,)) for job in sys.argv[2:]]
print("ready", flush=True)
sys.stdin.readline()
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(*answers, sep=",")
"""
CRASH = """
import sys
from pathlib import Path
from experiment_hub.cost import desk
from experiment_hub.metadata.database import open_engine

home = Path(sys.argv[1])
engine = open_engine(home)
number = 0
while True:
    number += 1
    request = desk.Request(
        job_id=f"j-{number}", project="default", launcher="simulated", timeout_s=36.0, attempts=1, work="w",
        gpu="H100", gpus=1,
    )
    desk.reserve(engine, desk.terms(home), request, attempt=1)
    print(number, flush=True)
    desk.settle(engine, request.job_id, attempt=1, billed_seconds=18.0)
"""


def ask_at_once(home: Path, *groups: list[str]) -> list[str]:
    """A process for each group, a thread for each job in it; all begin together."""
    command = [sys.executable, "-c", ASK, str(home)]
    running = [
        subprocess.Popen(
            [*command, *group], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
        )
        for group in groups
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [answer for process in running for answer in process.communicate()[0].strip().split(",")]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": "platform"}


def limited(home: Path, cap: float) -> None:
    path = home / "hub.yaml"
    home.mkdir(exist_ok=True)
    kept = path.read_text() if path.exists() else ""
    path.write_text(f"{kept}cost: {{day_cap: {cap}}}\n")


@pytest.mark.slow
@pytest.mark.parametrize("any_home", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)], indirect=True)
def test_of_sixteen_that_ask_at_once_exactly_as_many_get_money_as_fit(any_home: Path) -> None:
    limited(any_home, 22.0)  # at 4 dollars each: five
    open_engine(any_home)
    answers = ask_at_once(any_home, *[[f"j-{each}-{group}" for each in range(4)] for group in range(4)])
    assert sorted(answers) == ["no"] * 11 + ["yes"] * 5
    assert reports.balance(open_engine(any_home), desk.terms(any_home).settings).head_room == 2.0


@pytest.mark.long
def test_of_several_that_reserve_for_one_job_one_does(any_home: Path) -> None:
    limited(any_home, 20.0)
    open_engine(any_home)
    assert sorted(ask_at_once(any_home, ["j-1"] * 3, ["j-1"] * 3)) == ["had it"] * 5 + ["yes"]
    assert len(reports.rows(open_engine(any_home))) == 1


@pytest.mark.long
def test_a_kill_at_any_moment_leaves_a_ledger_that_adds_up(any_home: Path) -> None:
    limited(any_home, 10_000.0)
    engine = open_engine(any_home)
    for delay in (0.0, 0.006, 0.011):
        child = subprocess.Popen(
            [sys.executable, "-c", CRASH, str(any_home)], stdout=subprocess.PIPE, text=True, env=environment()
        )
        assert child.stdout is not None
        seen = [child.stdout.readline() for _ in range(3)][-1]
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        for job in list(reports.open_jobs(engine)):  # what the worker's recovery does
            desk.settle(engine, job, attempt=1, billed_seconds=18.0)
        rows = reports.rows(engine)
        assert int(seen) >= 3
        assert reports.open_jobs(engine) == {}
        assert len({(row["job_id"], row["attempt"]) for row in rows if row["kind"] == "spend"}) == len(rows) / 3
        break_even = sum(row["usd"] for row in rows if row["kind"] in {"reserve", "release"})
        assert break_even == pytest.approx(0.0, abs=1e-9)
        _forget(any_home)


def _forget(home: Path) -> None:
    """The next child begins with other jobs."""
    with writing(open_engine(home)) as session:
        session.execute(delete(CostEntry))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "settle", "settle and go on", "unknown", "release"]),
        st.integers(1, 4),  # job
        st.integers(1, 3),  # attempt
        st.floats(0.0, 5000.0, allow_nan=False),  # billed seconds
    ),
    max_size=20,
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("template") / "home"
    limited(found, 20.0)
    open_engine(found)
    return found


@pytest.mark.slow
@given(steps=STEPS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_the_ledger_adds_up(
    steps: list[tuple[str, int, int, float]], template: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("ledger") / "home"
    shutil.copytree(template, home)
    engine, now = open_engine(home), desk.terms(home)
    held: dict[str, float] = {}
    paid: dict[tuple[str, int], float] = {}
    for verb, number, attempt, seconds in steps:
        job = f"j-{number}"
        request = desk.Request(
            job_id=job, project="p", launcher="simulated", timeout_s=1800.0, attempts=2, work="w", gpu="H100", gpus=1
        )
        try:
            if verb == "reserve":
                held[job] = desk.reserve(engine, now, request, attempt=attempt).usd
            elif verb == "release":
                desk.release(engine, job, attempt=attempt, why="test")
                held[job] = 0.0
            else:
                billed = None if verb == "unknown" else seconds
                last = verb != "settle and go on"
                done = desk.settle(engine, job, attempt=attempt, billed_seconds=billed, last=last)
                held[job], paid[job, attempt] = done.held, paid.get((job, attempt), done.usd)
                assert done.usd == paid[job, attempt]
        except (NotAllowedError, ConflictError):
            continue
    stand = reports.balance(engine, now.settings)
    assert stand.reserved == pytest.approx(sum(held.values()), abs=1e-6)
    assert stand.spent_today == pytest.approx(sum(paid.values()), abs=1e-6)
    assert stand.reserved <= 20.0
    assert all(usd >= 0 for usd in held.values())
