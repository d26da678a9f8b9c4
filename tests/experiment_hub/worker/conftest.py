"""Real workers as processes of their own, and the queue that they serve."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from experiment_hub.metadata.database import FILE, open_engine
from experiment_hub.metadata.tables import Job
from experiment_hub.scheduler import reading
from experiment_hub.scheduler.requests import parse
from experiment_hub.worker import agent, post
from experiment_hub.worker.submitting import submit

PATIENCE_S = 60.0
MAIN = "from experiment_hub.__main__ import main; main()"


def until(true: Callable[[], Any], *, what: str, seconds: float = PATIENCE_S) -> Any:
    """The first true answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := true():
            return answer
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


@dataclass
class Machine:
    """A home, and the workers that were started in it."""

    home: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = open_engine(self.home)

    def submit(self, *argv: str, **more: Any) -> str:
        request = parse({"argv": list(argv), "name": argv[0], "folder": str(self.home), **more})
        return submit(self.engine, self.home, [request])[0]

    def sh(self, script: str, **more: Any) -> str:
        return self.submit("sh", "-c", script, **more)

    def start(self, *options: str) -> subprocess.Popen[str]:
        """`hub worker` as a process."""
        command = [sys.executable, "-c", MAIN, "worker", "--home", str(self.home), "--gpus", "0", *options]
        log = self.home / f"worker-{len(self.processes)}.log"
        with log.open("w") as file:
            process = subprocess.Popen(command, stderr=file, stdout=file, text=True, env=dict(os.environ))
        self.processes.append(process)
        until(lambda: " jobs at a time" in log.read_text() or process.poll() is not None, what="the worker registers")
        assert process.poll() is None, log.read_text()
        return process

    def said(self, number: int = 0) -> str:
        return (self.home / f"worker-{number}.log").read_text()

    def work(self, **options: Any) -> list[str]:
        """A worker in this process, until nothing is left to do; gives what it said."""
        said: list[str] = []
        agent.work(
            self.home,
            post.options(**{"gpus": 0, "once": True, "silence_s": 5.0, "grace_s": 1.0} | options),
            said.append,
        )
        return said

    def job(self, job: str) -> Job:
        return reading.find(self.engine, job)

    def wait(self, job: str, state: str, seconds: float = PATIENCE_S) -> Job:
        until(lambda: self.job(job).state == state, what=f"{job} is {state}", seconds=seconds)
        return self.job(job)

    def kinds(self, job: str) -> list[str]:
        return [event.kind for event in reading.events(self.engine, job)]

    def folder(self, job: str, attempt: int = 1) -> Path:
        return self.home / "jobs" / job / str(attempt)

    def output(self, job: str, attempt: int = 1) -> str:
        return (self.folder(job, attempt) / "output.log").read_text()


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrated once; every home begins with a copy."""
    home = tmp_path_factory.mktemp("empty")
    open_engine(home).dispose()
    return home


@pytest.fixture
def machines(tmp_path: Path, empty_home: Path) -> Iterator[Callable[..., Machine]]:
    """`machines("a")` is a home on SQLite, `machines("a", url)` one on a shared PostgreSQL."""
    made: list[Machine] = []

    def make(name: str, database: str | None = None) -> Machine:
        home = tmp_path / name
        home.mkdir()
        if database is None:
            shutil.copy(empty_home / FILE, home / FILE)
        else:
            (home / "hub.yaml").write_text(f"database: {database}\n", encoding="utf-8")
        made.append(Machine(home))
        return made[-1]

    yield make
    for process in (process for machine in made for process in machine.processes):
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait()


@pytest.fixture
def machine(machines: Callable[..., Machine]) -> Machine:
    return machines("box")
