import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from experiment_hub.worker.launchers.protocol import Launch, Launcher, Reference, Status
from experiment_hub.worker.launchers.simulated import LAUNCHER

pytestmark = pytest.mark.slow
START_AND_DIE = """
import os, sys
from pathlib import Path
from experiment_hub.worker.launchers.protocol import Launch
from experiment_hub.worker.launchers.simulated import LAUNCHER
folder = Path(sys.argv[1])
environment = {"PATH": os.environ["PATH"], "HUB_HOME": str(folder)}
print(LAUNCHER.start(Launch("j", 1, ("sh", "-c", sys.argv[2]), folder, folder, environment, 3600.0))["folder"], flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def launch(tmp_path: Path) -> Callable[..., Launch]:
    def make(script: str, *, attempt: int = 1, job: str = "j", timeout_s: float = 3600.0, **simulated: Any) -> Launch:
        environment = {"PATH": os.environ["PATH"], "HUB_HOME": str(tmp_path)}
        argv = ("sh", "-c", script)
        return Launch(job, attempt, argv, tmp_path, tmp_path, environment, timeout_s, {"simulated": simulated})

    return make


def wait_for(reference: Reference) -> Status:
    end = time.monotonic() + 30
    while (status := LAUNCHER.poll(reference)).state != "ended":
        assert time.monotonic() < end
        time.sleep(0.02)
    return status


def test_a_call_runs_its_command_and_is_billed_by_the_second(launch: Callable[..., Launch]) -> None:
    assert isinstance(LAUNCHER, Launcher)
    reference = LAUNCHER.start(launch("echo hello; sleep 0.5; exit 3", speed=3600.0, start_delay_s=360.0))
    assert LAUNCHER.poll(reference).state in {"starting", "running"}
    status = wait_for(reference)
    assert (status.exit_code, status.failure) == (3, None)
    assert status.billed_seconds is not None
    assert 1800 <= status.billed_seconds < 5400
    assert (LAUNCHER.log(reference, 0), LAUNCHER.log(reference, 3)) == (b"hello\n", b"lo\n")


def test_starting_the_same_attempt_again_starts_nothing_and_is_noticed(launch: Callable[..., Launch]) -> None:
    mine = launch("echo once >> count; sleep 0.5")
    reference = LAUNCHER.start(mine)
    assert LAUNCHER.start(mine) == reference
    assert wait_for(reference).exit_code == 0
    assert LAUNCHER.start(mine) == reference
    assert (mine.working_folder / "count").read_text() == "once\n"
    assert len((Path(reference["folder"]) / "duplicates").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("kind", "failure", "billed"),
    [("preempt", "preempted", 600.0), ("lose", "lost", 600.0), ("refuse", "preempted", 0)],
)
def test_a_fault_comes_when_it_was_asked_for(
    launch: Callable[..., Launch], kind: str, failure: str, billed: float
) -> None:
    faults = [{"kind": kind, "attempt": 2, "after_s": 600.0}]
    assert wait_for(LAUNCHER.start(launch("true", speed=3600.0, faults=faults))).exit_code == 0
    status = wait_for(LAUNCHER.start(launch("sleep 30", attempt=2, speed=3600.0, faults=faults)))
    assert (status.failure, status.billed_seconds) == (failure, billed)


def test_a_time_out_ends_it_and_bounds_the_bill(launch: Callable[..., Launch]) -> None:
    status = wait_for(LAUNCHER.start(launch("sleep 30", speed=7200.0, timeout_s=1000.0)))
    assert (status.failure, status.billed_seconds) == ("time_out", 1000.0)


def test_random_preemption_is_the_same_for_the_same_seed(launch: Callable[..., Launch]) -> None:
    billed = [
        wait_for(LAUNCHER.start(launch("sleep 30", job=job, speed=36_000.0, preempt_per_hour=2.0, seed=7)))
        for job in ("a", "b")
    ]
    assert [status.failure for status in billed] == ["preempted", "preempted"]
    assert billed[0].billed_seconds != billed[1].billed_seconds


def test_the_bill_of_a_lost_call_comes_later(launch: Callable[..., Launch]) -> None:
    faults = [{"kind": "lose", "after_s": 60.0}]
    reference = LAUNCHER.start(launch("sleep 30", speed=3600.0, faults=faults, invoice_delay_s=1.0))
    assert wait_for(reference).billed_seconds is None
    time.sleep(1.1)
    assert LAUNCHER.poll(reference).billed_seconds == 60.0


def test_a_call_can_be_stopped_and_stopping_twice_does_no_harm(launch: Callable[..., Launch]) -> None:
    reference = LAUNCHER.start(launch("sleep 30"))
    LAUNCHER.stop(reference, grace_s=0.5)
    assert wait_for(reference).exit_code == -signal.SIGTERM
    LAUNCHER.stop(reference, grace_s=0.5)


def test_a_call_outlives_the_worker_that_started_it(tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", START_AND_DIE, str(tmp_path), "sleep 1; echo done"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": "platform"},
    )
    assert child.returncode == -signal.SIGKILL
    reference = {"attempt": 1, "folder": child.stdout.strip(), "invoice_delay_s": 0.0}
    assert LAUNCHER.poll(reference).state != "ended"
    assert wait_for(reference).exit_code == 0
    assert LAUNCHER.log(reference, 0) == b"done\n"


def test_a_machine_that_dies_takes_its_command_along_and_is_lost(launch: Callable[..., Launch], tmp_path: Path) -> None:
    reference = LAUNCHER.start(launch("echo $$ > pid; exec sleep 30"))
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.02)
    command = psutil.Process(int((tmp_path / "pid").read_text()))
    machine = command.parent()
    assert machine is not None
    machine.kill()
    command.wait(5)
    status = wait_for(reference)
    assert (status.failure, status.detail) == ("lost", "its machine is gone")
    assert status.billed_seconds is not None


def test_what_cannot_work_is_said_before_a_start(launch: Callable[..., Launch]) -> None:
    assert LAUNCHER.check(launch("true", speed=-1)) == ["simulated: speed: Input should be greater than 0"]
    assert "faults.0.kind" in LAUNCHER.check(launch("true", faults=[{"kind": "fire"}]))[0]
    reference = LAUNCHER.start(launch("sleep 30"))
    assert LAUNCHER.check(launch("true", attempt=2)) == [
        "call j-1 of the same job still runs at the simulated provider"
    ]
    LAUNCHER.stop(reference, grace_s=0.5)
    wait_for(reference)
    assert LAUNCHER.check(launch("true", attempt=2)) == []


def test_a_command_that_cannot_be_started_is_an_error_of_the_job(tmp_path: Path) -> None:
    mine = Launch("j", 1, ("/no/such/program",), tmp_path, tmp_path, {"HUB_HOME": str(tmp_path)}, 60.0, {})
    status = wait_for(LAUNCHER.start(mine))
    assert (status.exit_code, status.failure) == (127, "error")
    assert b"no/such/program" in LAUNCHER.log({"folder": str(tmp_path / "simulated" / "calls" / "j-1")}, 0)
