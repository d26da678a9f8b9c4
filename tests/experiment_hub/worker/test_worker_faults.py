"""Workers that are killed, stopped, cut off and raced; what they look after must happen exactly once and be told truly."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from experiment_hub.artifacts.catalog import catalog
from experiment_hub.metadata.database import FILE
from experiment_hub.metadata.tables import Worker
from experiment_hub.scheduler import reading, wishes, workers
from experiment_hub.worker import machine as this_machine
from experiment_hub.worker.launchers import supervised
from experiment_hub.worker.launchers.protocol import Launch

if TYPE_CHECKING:
    import postgres

pytestmark = pytest.mark.slow

MAIN = "from experiment_hub.__main__ import main; main()"
STARTER = """
import os, sys
from pathlib import Path
from experiment_hub.worker.launchers import supervised
from experiment_hub.worker.launchers.protocol import Launch

folder = Path(sys.argv[1])
launch = Launch("j-1", 1, ("sh", "-c", "echo x >>" + str(folder) + "/count; sleep 0.3"), folder, folder, dict(os.environ), 60.0)
sys.stdin.readline()
print(supervised.start(launch, launch.argv)["pid"])
"""


def children_of(launch_folder: Path) -> int:
    return int((launch_folder / "pid").read_text())


def launch_of(folder: Path, script: str) -> Launch:
    return Launch("j-1", 1, ("sh", "-c", script), folder, folder, dict(os.environ), 60.0)


def until(true: Callable[[], Any], seconds: float = 30.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := true():
            return answer
        time.sleep(0.01)
    raise AssertionError("it did not come true")


def test_of_many_processes_that_start_one_attempt_one_does(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTER, str(tmp_path)]
    starters = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    pids = {starter.communicate("go\n", timeout=60)[0] for starter in starters}
    assert len(pids) == 1
    until((tmp_path / "exit").is_file)
    assert (tmp_path / "count").read_text() == "x\n"


def test_a_command_whose_shell_was_killed_is_lost_and_does_not_run_on(tmp_path: Path) -> None:
    launch = launch_of(tmp_path, "echo $$ >child; sleep 300")
    reference = supervised.start(launch, launch.argv)
    until(lambda: (tmp_path / "child").is_file() and (tmp_path / "child").read_text())
    os.kill(reference["pid"], signal.SIGKILL)
    status = until(lambda: (found := supervised.poll(reference)).state == "ended" and found)
    assert (status.failure, status.exit_code) == ("lost", None)
    child = int((tmp_path / "child").read_text())
    until(lambda: this_machine.birth(child) is None)


def test_a_later_process_of_the_same_number_is_not_taken_for_the_command(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        place = {"folder": str(tmp_path), "host": this_machine.host(), "boot": this_machine.boot()}
        reference = {**place, "pid": stranger.pid, "started": 1.0}
        assert supervised.poll(reference).failure == "lost"
        supervised.stop(reference, grace_s=0.0)
        assert stranger.poll() is None
        stranger.kill()


def test_a_command_of_an_earlier_boot_is_lost(tmp_path: Path) -> None:
    reference = {"folder": str(tmp_path), "host": this_machine.host(), "boot": "other", "pid": os.getpid()}
    reference["started"] = this_machine.birth(os.getpid())
    assert supervised.poll(reference).failure == "lost"


@pytest.mark.long
def test_a_killed_worker_is_followed_by_one_that_finds_its_jobs_running(machine: Any) -> None:
    job = machine.sh("echo begin >>count; sleep 2; echo end >>count")
    worker = machine.start()
    machine.wait(job, "running")
    worker.kill()
    worker.wait()
    machine.start("--once")
    assert machine.wait(job, "finished").attempt == 1
    assert (machine.home / "count").read_text() == "begin\nend\n"
    assert "taken_over" in machine.kinds(job)


@pytest.mark.parametrize(
    "stage", ["running", *(pytest.param(stage, marks=pytest.mark.long) for stage in ("starting", "finished"))]
)
def test_a_worker_killed_at_any_stage_loses_nothing_and_repeats_nothing(machine: Any, stage: str) -> None:
    jobs = [machine.sh(f"echo {number} >>count; sleep 0.0{number}") for number in range(6)]
    worker = machine.start("--capacity", "3")

    def reached() -> bool:
        return any(stage in machine.kinds(job) for job in jobs)

    until(reached)
    worker.kill()
    worker.wait()
    machine.work()
    assert [machine.job(job).state for job in jobs] == ["finished"] * 6
    assert [machine.job(job).attempt for job in jobs] == [1] * 6
    assert sorted((machine.home / "count").read_text().split()) == list("012345")


@pytest.mark.long
def test_workers_killed_at_random_moments_start_each_job_once(machine: Any) -> None:
    random.seed(5)
    jobs = [machine.sh(f"echo {number} >>count") for number in range(60)]
    for _ in range(12):
        worker = machine.start("--capacity", "4")
        time.sleep(random.uniform(0.0, 0.5))
        worker.kill()
        worker.wait()
    machine.work()
    assert Counter(machine.job(job).state for job in jobs) == {"finished": 60}
    assert sorted(map(int, (machine.home / "count").read_text().split())) == list(range(60))


@pytest.mark.long
def test_a_worker_that_slept_past_its_lease_changes_nothing_when_it_wakes_up(machine: Any) -> None:
    job = machine.sh("echo $HUB_ATTEMPT >>count; sleep 5")
    asleep = machine.start("--capacity", "1")
    machine.wait(job, "running")
    asleep.send_signal(signal.SIGSTOP)
    machine.start("--silence", "2s")
    until(lambda: "taken_over" in machine.kinds(job))
    asleep.send_signal(signal.SIGCONT)
    done = machine.wait(job, "finished")
    assert done.token == 2
    until(lambda: "goes on as" in machine.said(0))
    assert machine.kinds(job).count("finished") == 1
    assert (machine.home / "count").read_text() == "1\n"
    after = machine.sh("true")  # it works again, under its new name
    machine.wait(after, "finished")


def test_a_running_job_is_cancelled_and_paused_by_its_worker(machine: Any) -> None:
    cancelled, paused = (
        machine.sh("sleep 300"),
        machine.sh("echo $HUB_ATTEMPT >>count; test $HUB_ATTEMPT = 2 || sleep 300"),
    )
    machine.start("--capacity", "2", "--grace", "1s")
    machine.wait(cancelled, "running")
    machine.wait(paused, "running")
    wishes.cancel(machine.engine, cancelled, by="me")
    wishes.pause(machine.engine, paused, by="me")
    machine.wait(cancelled, "cancelled")
    machine.wait(paused, "paused")
    wishes.resume(machine.engine, paused, by="me")
    machine.wait(paused, "finished")
    assert (machine.home / "count").read_text() == "1\n2\n"


@pytest.mark.long
def test_two_machines_share_the_jobs_of_one_postgresql(
    machines: Callable[..., Any], postgres_server: "postgres.Server"
) -> None:
    url = postgres_server.new_database()
    one, other = machines("one", url), machines("other", url)
    for each in (one, other):
        each.start("--capacity", "1")
    jobs = [one.submit("sleep", "0.3", folder=None) for _ in range(6)]
    for job in jobs:
        one.wait(job, "finished")
    homes = Counter(
        name for name in ("one", "other") for job in jobs if (one.home.parent / name / "jobs" / job).is_dir()
    )
    assert homes.total() == 6
    assert set(homes) == {"one", "other"}


@pytest.mark.long
def test_a_database_that_goes_away_and_comes_back_costs_nothing(
    machines: Callable[..., Any], postgres_server: "postgres.Server"
) -> None:
    machine = machines("box", postgres_server.new_database())
    job = machine.sh("sleep 1.5; echo done >>count", folder=str(machine.home))
    worker = machine.start("--silence", "2s")
    machine.wait(job, "running")
    postgres_server.stop()
    try:
        until(lambda: "waiting for it" in machine.said())
        until((machine.home / "count").is_file)
    finally:
        postgres_server.start()
    assert machine.wait(job, "finished").attempt == 1
    assert "what stood in the way is gone" in machine.said()
    assert (machine.home / "count").read_text() == "done\n"
    assert worker.poll() is None


@pytest.mark.long
def test_a_silent_machines_job_fails_with_the_reason_unless_it_may_run_twice(
    machines: Callable[..., Any], postgres_server: "postgres.Server"
) -> None:
    url = postgres_server.new_database()
    dead, alive = machines("dead", url), machines("alive", url)
    careful = dead.submit("sleep", "300", folder=None)
    repeatable = dead.submit(
        "sh", "-c", 'test "$HUB_ATTEMPT" = 2 || sleep 300', folder=None, retries={"unreachable": {"times": 1}}
    )
    worker = dead.start("--capacity", "2")
    for job in (careful, repeatable):
        dead.wait(job, "running")
    worker.send_signal(signal.SIGSTOP)  # as if its machine had been unplugged
    alive.start("--silence", "1s")
    found = alive.wait(careful, "failed")
    assert found.failure == "unreachable"
    assert "may still run there" in found.reason
    assert alive.wait(repeatable, "finished").attempt == 2
    worker.send_signal(signal.SIGCONT)  # it comes back, and must end what it had started
    shells = [children_of(dead.folder(job)) for job in (careful, repeatable)]
    until(lambda: all(this_machine.birth(shell) is None for shell in shells))
    assert alive.job(careful).state == "failed"


def test_a_locked_database_is_waited_for(machine: Any) -> None:
    job = machine.sh("echo x >>count")
    with sqlite3.connect(machine.home / FILE, isolation_level=None, check_same_thread=False) as other:
        other.execute("BEGIN IMMEDIATE")
        unlock = threading.Timer(2.0, other.rollback)
        unlock.start()
        machine.work()
        unlock.join()
    other.close()
    assert machine.job(job).state == "finished"
    assert (machine.home / "count").read_text() == "x\n"


def test_time_that_nobody_watched_counts_against_nobody() -> None:
    watch = workers.Watch(limit_s=2.0)
    quiet = Worker(id="w", beat=7)
    assert watch.silent([quiet]) == []
    watch._looked = (watch._looked or 0.0) - 3600  # noqa: SLF001 -- as if this process had been suspended for an hour
    watch.limit_s = 10.0
    assert watch.silent([quiet]) == []


def test_a_clock_that_jumps_ends_no_job_and_gives_none_away(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = machine.sh("echo x >>count; sleep 1.5", timeout_s=60.0)
    true, jumps = time.time, iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: true() + (next(jumps) % 3 - 1) * 86_400.0)
    assert not any("taken over" in line for line in machine.work())
    found = machine.job(job)
    assert (found.state, found.attempt) == ("finished", 1)
    assert 1.0 < found.seconds < 60.0
    assert (machine.home / "count").read_text() == "x\n"


def test_a_broken_hub_yaml_is_said_and_does_not_end_the_worker(machine: Any) -> None:
    worker = machine.start()
    settings = machine.home / "hub.yaml"
    waiting = machine.submit("true", launcher="simulated", resources={"gpus": 1, "gpu": "H100"}, timeout_s=3600.0 * 3)
    assert machine.job(waiting).state == "waiting"
    settings.write_text("colour: red\n", encoding="utf-8")
    until(lambda: "colour" in machine.said())
    settings.unlink()
    machine.wait(machine.sh("true"), "finished")
    assert worker.poll() is None


@pytest.mark.long
def test_one_configuration_is_trained_by_two_machines(
    machines: Callable[..., Any], postgres_server: "postgres.Server", tmp_path: Path
) -> None:
    url, shared = postgres_server.new_database(), tmp_path / "shared"
    pair = [machines(name, url) for name in ("one", "other")]
    for each in pair:
        (each.home / "hub.yaml").write_text(f"database: {url}\nartifacts: file://{shared}\n", encoding="utf-8")
        each.start("--capacity", "1")
    place = ["--home", str(pair[0].home), "--json"]
    call = [sys.executable, "-c", MAIN, "jobs", "submit", "--config", "mlp", "--set", "epochs=3", *place]
    jobs = [
        job["id"] for job in json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)["jobs"]
    ]
    for job in jobs:
        pair[0].wait(job, "finished", seconds=200.0)
    homes = {each.home for each in pair for job in jobs if each.folder(job).is_dir()}
    assert homes == {each.home for each in pair}
    runs = [pair[1].job(job).run_ids for job in jobs]
    assert [len(found) for found in runs] == [1, 1, 1]
    for each in pair:  # whoever asks gets the log and the series, wherever the job ran
        for job in jobs:
            call = [sys.executable, "-c", MAIN, "jobs", "logs", job, "--home", str(each.home), "--json"]
            assert (
                runs[jobs.index(job)][0]
                in json.loads(subprocess.run(call, check=True, capture_output=True).stdout)["text"]
            )
        assert {link.owner for link in catalog(each.home).links("run")} >= {found[0] for found in runs}


@pytest.mark.long
def test_jobs_that_workers_race_for_run_once(machine: Any) -> None:
    jobs = [machine.sh(f"echo {number} >>count") for number in range(40)]
    for _ in range(3):
        machine.start("--once", "--capacity", "4")
    for job in jobs:
        machine.wait(job, "finished")
    assert sorted(map(int, (machine.home / "count").read_text().split())) == list(range(40))
    assert {job.attempt for job in reading.listing(machine.engine)} == {1}
