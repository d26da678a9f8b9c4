"""The queue: jobs enqueued a second, and no-op jobs started (claimed, run as a process of their own, recorded) a second.

The peer of both is DBOS 3, the durable queue that the harness of this repository runs on: its `enqueue`, and a workflow
of five empty steps (prepare, reserve, launch, watch, settle), which is the least that an attempt would need there and
starts no process. Both sides write SQLite with WAL and `synchronous=NORMAL`. Rows "two workers" are two `hub worker`
processes on one PostgreSQL, beside one worker on the same PostgreSQL. Rounds alternate; medians, least and greatest.

    python benchmarks/job_queue.py --rounds 5
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from experiment_hub.scheduler.requests import JobRequest

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "platform"), str(ROOT / "tests/support")]

JOBS = 200
NO_OP = ("true",)
WORKER = "from experiment_hub.__main__ import main; main()"
PEER = """
import os, sys, time
from pathlib import Path
import sqlalchemy
from dbos import DBOS, SetWorkflowID

engine = sqlalchemy.create_engine(f"sqlite:///{Path(sys.argv[1]) / 'peer.sqlite'}")

@sqlalchemy.event.listens_for(engine, "connect")
def settle(connection, _):
    connection.execute("PRAGMA busy_timeout = 60000")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")

@DBOS.step()
def step(number):
    return number

@DBOS.workflow()
def attempt(number):
    for _ in range(5):
        step(number)

jobs = int(sys.argv[2])
DBOS(config={"name": "peer", "system_database_engine": engine, "application_version": "1", "executor_id": "one",
             "log_level": "ERROR", "max_executor_threads": 64})
DBOS.launch()
handles, began = [], time.perf_counter()
for number in range(jobs):
    with SetWorkflowID(f"job-{number}"):
        handles.append(DBOS.start_workflow(attempt, number))
for handle in handles:
    handle.get_result(polling_interval_sec=0.01)
print(jobs / (time.perf_counter() - began), flush=True)
os._exit(0)
"""


def request() -> JobRequest:
    from experiment_hub.scheduler.requests import parse

    return parse({"argv": list(NO_OP), "name": "no-op", "resources": {"cpus": 0.0}})


def new_home(folder: Path, url: str | None = None) -> Path:
    from experiment_hub.metadata.database import open_engine

    home = Path(tempfile.mkdtemp(dir=folder))
    if url is not None:
        (home / "hub.yaml").write_text(f"database: {url}\n", encoding="utf-8")
    open_engine(home)
    return home


def enqueued(home: Path, *, together: bool) -> float:
    """Jobs a second, in one call or one call each."""
    from experiment_hub.metadata.database import open_engine
    from experiment_hub.worker.submitting import submit

    engine = open_engine(home)
    began = time.perf_counter()
    requests = [request() for _ in range(JOBS)]
    if together:
        submit(engine, home, requests)
    else:
        for each in requests:
            submit(engine, home, [each])
    return JOBS / (time.perf_counter() - began)


def started(homes: list[Path], *, capacity: int) -> float:
    """Jobs a second from the first start to the last end, by the queue's own record; the workers are up before."""
    from experiment_hub.metadata.database import open_engine
    from experiment_hub.scheduler import reading
    from experiment_hub.worker.submitting import submit

    engine = open_engine(homes[0])
    command = [sys.executable, "-c", WORKER, "worker", "--gpus", "0", "--capacity", str(capacity), "--home"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "platform"), "OMP_NUM_THREADS": "1"}
    workers = [
        subprocess.Popen([*command, str(home)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for home in homes
    ]
    while len([each for each in reading.workers(engine) if each.state == "working"]) < len(homes):
        time.sleep(0.05)
    began = time.perf_counter()
    submit(engine, homes[0], [request() for _ in range(JOBS)])
    while reading.counts(engine).get("finished", 0) < JOBS:
        time.sleep(0.02)
    seconds = time.perf_counter() - began
    for worker in workers:
        worker.terminate()
        worker.wait()
    return JOBS / seconds


def peer(folder: Path) -> float:
    place = tempfile.mkdtemp(dir=folder)
    done = subprocess.run(
        [sys.executable, "-c", PEER, place, str(JOBS)], check=True, capture_output=True, text=True, timeout=300
    )
    return float(done.stdout.split()[-1])


def rounds_of(count: int, folder: Path, capacity: int) -> dict[str, list[float]]:
    import postgres

    found: dict[str, list[float]] = {}
    with postgres.server() as server:
        for _ in range(count):
            measured = {
                "enqueued in one call, SQLite": enqueued(new_home(folder), together=True),
                "enqueued one call each, SQLite": enqueued(new_home(folder), together=False),
                "DBOS: attempts of five empty steps, SQLite": peer(folder),
                "no-op jobs done, SQLite, one worker": started([new_home(folder)], capacity=capacity),
            }
            url = server.new_database()
            measured["enqueued one call each, PostgreSQL"] = enqueued(new_home(folder, url), together=False)
            alone, shared = server.new_database(), server.new_database()
            measured["no-op jobs done, PostgreSQL, one worker"] = started([new_home(folder, alone)], capacity=capacity)
            pair = [new_home(folder, shared) for _ in range(2)]
            measured["no-op jobs done, PostgreSQL, two workers"] = started(pair, capacity=capacity)
            for name, value in measured.items():
                found.setdefault(name, []).append(value)
                print(f"{name}: {value:.0f}", file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--capacity", type=int, default=8)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        found = rounds_of(max(1, options.rounds), Path(folder), options.capacity)
    print(
        f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, load before {load:.1f}, "
    )
    print(f"{JOBS} jobs a round, {len(next(iter(found.values())))} rounds, capacity {options.capacity}\n")
    print("| | jobs a second (median) | least | greatest |\n|---|---:|---:|---:|")
    for name, values in found.items():
        print(f"| {name} | {statistics.median(values):.0f} | {min(values):.0f} | {max(values):.0f} |")


if __name__ == "__main__":
    main()
