"""Who gets which job, and that nobody gets one twice."""

import json
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import update

from experiment_hub.metadata.sessions import writing
from experiment_hub.metadata.tables import Job
from experiment_hub.scheduler import leases, reading, workers
from experiment_hub.scheduler.requests import parse
from experiment_hub.scheduler.submission import AGEING_S
from experiment_hub.worker.submitting import submit

RACER = """
import json, sys
from pathlib import Path
from experiment_hub.metadata.database import open_engine
from experiment_hub.scheduler import attempts, claims, workers
from experiment_hub.scheduler.attempts import Outcome, Started
from experiment_hub.scheduler.claims import Offer
from experiment_hub.scheduler.workers import Process

engine = open_engine(Path(sys.argv[1]))
worker = workers.register(engine, Process("h", "b", int(sys.argv[2]), 1.0), {})
offer = Offer(jobs=3, gpus=(), cpus=9.0, memory_mib=9, total_gpus=0, total_cpus=9.0, total_memory_mib=9, gpu=None,
              here=("local",), elsewhere=())
sys.stdin.readline()
mine, empty = [], 0
while empty < 5:
    found = claims.claim(engine, worker, offer)
    empty = 0 if found else empty + 1
    assert len(attempts.started(engine, [Started(id=c.id, token=c.token, reference={}) for c in found])) == len(found)
    done = [Outcome(id=c.id, token=c.token, exit_code=0, failure=None, detail="", seconds=0.0) for c in found]
    assert set(attempts.ended(engine, done).values()) <= {"finished"}
    mine += [c.id for c in found]
print(json.dumps(mine))
"""


def test_first_come_first_served_within_a_priority(queue: Any) -> None:
    jobs = {name: queue.add(name, priority=priority) for name, priority in (("a", 0), ("b", 5), ("c", 0), ("d", 5))}
    order = [claim.name for claim in queue.claim(queue.worker())]
    assert order == ["b", "d", "a", "c"]
    assert all(queue.state(job) == "starting" for job in jobs.values())


def test_a_job_of_low_priority_does_not_wait_for_ever(queue: Any) -> None:
    old = queue.add("old", priority=0)
    with writing(queue.engine) as session:  # as if it had been submitted long ago
        session.execute(update(Job).where(Job.id == old).values(rank=Job.rank - 3 * AGEING_S))
    queue.add("new", priority=2)
    assert [claim.name for claim in queue.claim(queue.worker(), jobs=1)] == ["old"]


def test_a_job_goes_only_where_it_fits(queue: Any) -> None:
    worker = queue.worker()
    queue.add("much memory", resources={"memory_mib": 20_000})
    queue.add("gpu", resources={"gpus": 2})
    queue.add("h100", resources={"gpus": 1, "gpu": "H100"})
    queue.add("label", resources={"label": "big disk"})
    queue.add("elsewhere", launcher="slurm", resources={"gpus": 64, "gpu": "H100", "cpus": 1000.0})
    assert [claim.name for claim in queue.claim(worker)] == ["elsewhere"]
    gpus = {"gpus": (0, 1), "total_gpus": 2, "gpu": "A100"}
    assert [claim.name for claim in queue.claim(worker, labels=("big disk",), **gpus)] == ["gpu", "label"]
    assert queue.claim(worker, **gpus) == []
    assert [claim.name for claim in queue.claim(worker, **(gpus | {"gpu": "NVIDIA H100 80GB HBM3"}))] == ["h100"]


def test_jobs_claimed_together_share_what_is_free(queue: Any) -> None:
    for name in "abc":
        queue.add(name, resources={"gpus": 1, "cpus": 4.0})
    claims = queue.claim(queue.worker(), gpus=(0, 3), total_gpus=2, cpus=9.0)
    assert [claim.assigned["gpus"] for claim in claims] == [[0], [3]]


def test_small_jobs_overtake_a_large_one_only_for_a_while(queue: Any) -> None:
    worker = queue.worker()
    large = queue.add("large", resources={"cpus": 10.0})
    queue.add("small")
    assert [claim.name for claim in queue.claim(worker, cpus=2.0)] == ["small"]
    late = queue.add("late")
    with writing(queue.engine) as session:
        session.execute(update(Job).where(Job.id == large).values(rank=Job.rank - 3600))
    assert queue.claim(worker, cpus=2.0) == []  # what is free is kept for the large one by now
    assert [claim.id for claim in queue.claim(worker)] == [large]
    assert queue.state(late) == "queued"


def test_every_claim_has_a_larger_token(queue: Any) -> None:
    job, worker = queue.add(), queue.worker()
    tokens = []
    for _ in range(3):
        (claim,) = queue.claim(worker)
        tokens.append((claim.token, claim.attempt))
        queue.end(claim, "preempted")
    assert tokens == [(1, 1), (2, 2), (3, 3)]
    assert queue.state(job) == "queued"


def test_a_worker_that_was_declared_gone_gets_nothing(queue: Any) -> None:
    queue.add()
    worker, other = queue.worker(), queue.worker()
    (found,) = [each for each in workers.others(queue.engine, other) if each.id == worker]
    assert workers.declare_gone(queue.engine, found)
    assert queue.claim(worker) == []
    assert not workers.beat(queue.engine, worker, {})


def test_a_worker_that_has_just_beaten_is_not_declared_gone(queue: Any) -> None:
    worker, other = queue.worker(), queue.worker()
    (found,) = [each for each in workers.others(queue.engine, other) if each.id == worker]
    assert workers.beat(queue.engine, worker, {})
    assert not workers.declare_gone(queue.engine, found)


def test_a_named_lease_is_held_by_one_job_at_a_time(queue: Any) -> None:
    worker = queue.worker()
    first, second = (queue.add(name, resources={"leases": ["licence"]}) for name in ("first", "second"))
    queue.add("free")
    claims = {claim.name: claim for claim in queue.claim(worker)}
    assert sorted(claims) == ["first", "free"]
    assert claims["first"].assigned["leases"] == {"licence": {"slot": 0, "token": 1}}
    assert queue.claim(worker) == []
    queue.end(claims["first"])
    (claim,) = queue.claim(worker)
    assert claim.id == second
    assert claim.assigned["leases"] == {"licence": {"slot": 0, "token": 2}}  # a late writer of the first is told apart
    assert queue.state(first) == "finished"


def test_a_lease_has_as_many_slots_as_it_was_given(queue: Any) -> None:
    leases.resize(queue.engine, "device", 2)
    worker = queue.worker()
    for name in "abc":
        queue.add(name, resources={"leases": ["device"]})
    claims = queue.claim(worker)
    assert [claim.assigned["leases"]["device"]["slot"] for claim in claims] == [0, 1]


def test_a_slot_that_is_held_is_not_taken_away(queue: Any) -> None:
    queue.add(resources={"leases": ["device"]})
    queue.claim(queue.worker())
    with pytest.raises(Exception, match="held"):
        leases.resize(queue.engine, "device", 0)


@pytest.mark.parametrize(
    ("racers", "jobs"), [pytest.param(3, 60, marks=pytest.mark.slow), pytest.param(8, 500, marks=pytest.mark.long)]
)
def test_of_processes_that_race_for_jobs_each_job_is_started_once(queue: Any, racers: int, jobs: int) -> None:
    ids = submit(queue.engine, queue.home, [parse({"argv": ["true"], "name": "x"}) for _ in range(jobs)])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(queue.home), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(racers)
    ]
    outputs = [racer.communicate("go\n", timeout=120)[0] for racer in processes]
    taken = Counter(job for output in outputs for job in json.loads(output))
    assert taken == Counter(ids)
    assert reading.counts(queue.engine) == {"finished": jobs}
