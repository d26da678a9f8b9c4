"""One worker, its jobs, and what it makes of how they end."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from experiment_hub.errors import ConflictError
from experiment_hub.scheduler import wishes, workers
from experiment_hub.worker import machine as this_machine
from experiment_hub.worker.folders import attempt_folder


def test_a_command_runs_once_and_its_output_is_kept(machine: Any) -> None:
    job = machine.sh("echo hello; echo x >>count; exit 0")
    machine.work()
    assert machine.job(job).state == "finished"
    assert machine.output(job) == "hello\n"
    assert (machine.home / "count").read_text() == "x\n"
    assert machine.kinds(job) == ["queued", "starting", "running", "finished"]


@pytest.mark.parametrize(
    ("script", "failure", "said"),
    [
        ("echo it broke here; exit 7", "error", "exit code 7: it broke here"),
        ("kill -9 $$", "killed", "SIGKILL"),
        ('echo "{\\"class\\": \\"out_of_memory\\", \\"detail\\": \\"too big\\"}" >"$HUB_FAILURE_FILE"; exit 1', "out_of_memory", "too big"),
        ('echo "{\\"class\\": \\"nan\\"}" >"$HUB_FAILURE_FILE"; exit 1', "nan", "nan"),
        ('echo "{\\"class\\": \\"finished\\"}" >"$HUB_FAILURE_FILE"; exit 1', "error", "exit code 1"),
        ('head -c 100000 /dev/urandom >"$HUB_FAILURE_FILE"; exit 1', "error", "exit code 1"),
        ('printf "\\033[31mred\\000\\n"; exit 1', "error", "exit code 1"),
    ],
)  # fmt: skip
def test_a_failure_has_a_class_and_a_sentence(machine: Any, script: str, failure: str, said: str) -> None:
    job = machine.sh(script)
    machine.work()
    found = machine.job(job)
    assert (found.state, found.failure) == ("failed", failure)
    assert said in found.reason
    assert found.reason.isprintable()


def test_a_command_gets_what_it_needs_and_nothing_of_the_workers_own(
    machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_WORKER", "x")
    job = machine.submit(
        "sh",
        "-c",
        "env; cat note.txt; pwd",
        folder=None,
        files={"note.txt": "from the job\n"},
        environment={"MINE": "1 = one"},
    )
    machine.work()
    output = machine.output(job)
    folder = machine.folder(job)
    for line in (
        f"HUB_JOB={job}",
        "HUB_ATTEMPT=1",
        f"HUB_HOME={machine.home}",
        f"HUB_FAILURE_FILE={folder}/failure.json",
        f"HUB_HEALTH_FILE={folder}/health.json",
        "CUDA_VISIBLE_DEVICES=",
        "MINE=1 = one",
        "from the job",
        str(folder),
    ):
        assert line in output.splitlines()
    assert "SECRET" not in output


def test_arguments_are_never_read_by_a_shell(machine: Any) -> None:
    odd = ["a b", "$HOME", "`id`", "'; exit 9", "*", "", "ünï", "-n", "\n"]
    job = machine.submit(sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))", *odd)
    machine.work()
    assert json.loads(machine.output(job)) == odd


@pytest.mark.parametrize(
    ("argv", "folder", "said"),
    [(["no-such-program"], None, "no-such-program"), (["true"], "/no/such/folder", "/no/such/folder")],
)
def test_what_is_not_on_this_machine_is_said(machine: Any, argv: list[str], folder: str | None, said: str) -> None:
    job = machine.submit(*argv, folder=folder or str(machine.home))
    machine.work()
    found = machine.job(job)
    assert (found.state, found.attempt) == ("failed", 0)
    assert said in found.reason
    assert "not on this machine" in found.reason


def test_a_job_is_ended_at_its_time_out_with_all_that_it_started(machine: Any) -> None:
    job = machine.sh("sleep 300 & echo $! >child; trap '' TERM; sleep 300", timeout_s=0.3)
    machine.work(grace_s=0.2)
    found = machine.job(job)
    assert (found.state, found.failure) == ("failed", "time_out")
    child = int((machine.home / "child").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_later_attempt_goes_on_with_the_run_of_the_first(machine: Any) -> None:
    from experiment_hub.metadata.sessions import writing
    from experiment_hub.metadata.tables import Run

    preempted = 'echo "{\\"class\\": \\"preempted\\"}" >"$HUB_FAILURE_FILE"; exit 1'
    job = machine.sh(preempted, again=["echo", "go on with {run}"])
    run = {"name": "x", "state": "killed", "smoke": False, "config": {}, "overrides": {}, "folder": "f", "host": "h"}
    with writing(machine.engine) as session:
        session.add(Run(id="r-1", job_id=job, pid=1, process_started=0.0, resumes=[], created_at="2026", **run))
    machine.work()
    assert machine.job(job).state == "finished"
    assert machine.job(job).run_ids == ["r-1"]
    assert machine.output(job, 2) == "go on with r-1\n"


def test_a_large_log_is_followed_piece_by_piece(machine: Any, hub: Any) -> None:
    job = machine.sh("echo first; echo last")
    machine.work()
    log = machine.folder(job) / "output.log"
    with log.open("r+b") as file:  # a hole of ten gigabytes, then two lines
        file.seek(10 << 30)
        file.write(b"\nlast but one\nvery last\n")
    began = time.monotonic()
    code, out, _ = hub_at(hub, machine.home, "logs", job, "--tail", "2", "--json")
    assert (code, json.loads(out)["text"]) == (0, "last but one\nvery last\n")
    assert time.monotonic() - began < 20
    log.unlink()


@pytest.mark.slow
def test_a_worker_that_leaves_does_not_take_its_jobs_along(machine: Any) -> None:
    job = machine.sh("sleep 3; echo done >mark")
    worker = machine.start("--drain", "0s")
    machine.wait(job, "running")
    worker.terminate()
    assert worker.wait(timeout=30) == 0
    assert "1 jobs go on without a worker" in machine.said()
    assert machine.job(job).state == "running"
    machine.work()
    assert (machine.job(job).state, machine.job(job).attempt) == ("finished", 1)
    assert (machine.home / "mark").read_text() == "done\n"


def test_each_job_sees_the_gpus_that_it_was_given_and_no_others(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-abc,7")
    jobs = [
        machine.sh('echo "$CUDA_VISIBLE_DEVICES"; sleep 0.3', resources={"gpus": count, "cpus": 0.0})
        for count in (2, 1, 0)
    ]
    machine.work(gpus=3, capacity=3)
    assert [machine.output(job) for job in jobs] == ["4,GPU-abc\n", "7\n", "\n"]


def test_two_workers_of_one_machine_do_not_offer_the_same_gpu(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    resources = {"gpu_ids": ["0", "1"]}
    workers.register(machine.engine, this_machine.this_process(), resources)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    with pytest.raises(ConflictError, match="GPU 1 already"):
        machine.work(gpus=2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    machine.work(gpus=2)


def hub_at(hub: Any, home: Path, *arguments: str) -> Any:
    return hub("jobs", *arguments, "--home", home)


def test_a_cancelled_job_that_waits_is_never_started(machine: Any) -> None:
    job = machine.sh("echo x >mark")
    wishes.cancel(machine.engine, job, by="me")
    machine.work()
    assert not attempt_folder(machine.home, job, 1).exists()
    assert not (machine.home / "mark").exists()
