"""Workers: who they are, that they live, and what happens to the jobs of one that does not.

No clock of the day decides about life. A worker counts upwards; who watches that count stand still for long enough, by
a watch of his own that nobody can set, may declare it gone. From then on its reports are refused.
"""

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, select, update

from experiment_hub.errors import ConflictError
from experiment_hub.metadata import clock
from experiment_hub.metadata.sessions import reading, writing
from experiment_hub.metadata.tables import Job, Worker
from experiment_hub.scheduler.claims import Claim, described
from experiment_hub.scheduler.events import note
from experiment_hub.scheduler.states import AT_WORK, GONE, WORKING
from experiment_hub.times import now

LONGEST_GAP_S = 3.0
"""Between two looks; what is longer was not watching."""


@dataclass(frozen=True)
class Process:
    """A process of a running system."""

    host: str
    boot: str
    pid: int
    started: float


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the queue says about a job that we hold."""

    token: int
    attempt: int
    state: str
    wish: str | None


def register(engine: Engine, process: Process, resources: Mapping[str, Any]) -> str:
    """The new worker's id."""
    worker = f"w-{secrets.token_hex(4)}"
    with writing(engine) as session:
        session.add(
            Worker(
                id=worker,
                host=process.host,
                boot=process.boot,
                pid=process.pid,
                process_started=process.started,
                resources=dict(resources),
                state=WORKING,
                beat=0,
                seen=clock.seconds(session),
                started_at=now(),
            )
        )
    return worker


def beat(engine: Engine, worker: str, seconds: Mapping[str, float]) -> bool:
    """Another beat, and how long each job has been running; False when somebody declared this worker gone."""
    with writing(engine) as session:
        alive = (Worker.id == worker, Worker.state != GONE)
        change = update(Worker).where(*alive).values(beat=Worker.beat + 1, seen=clock.seconds(session))
        if session.execute(change.returning(Worker.id)).first() is None:
            return False
        for job, elapsed in seconds.items():
            session.execute(update(Job).where(Job.id == job, Job.worker_id == worker).values(seconds=elapsed))
    return True


def change_state(engine: Engine, worker: str, state: str) -> None:
    with writing(engine) as session:
        session.execute(update(Worker).where(Worker.id == worker, Worker.state != GONE).values(state=state))


def standings(engine: Engine, jobs: Sequence[str]) -> dict[str, Standing]:
    columns = (Job.id, Job.token, Job.attempt, Job.state, Job.wish)
    with reading(engine) as session:
        rows = session.execute(select(*columns).where(Job.id.in_(jobs)))
        return {row.id: Standing(token=row.token, attempt=row.attempt, state=row.state, wish=row.wish) for row in rows}


def others(engine: Engine, worker: str) -> list[Worker]:
    """Workers that have not left, and those that left jobs behind."""
    holding = select(Job.worker_id).where(Job.state.in_(AT_WORK), Job.worker_id.is_not(None))
    query = select(Worker).where(Worker.id != worker, (Worker.state != GONE) | Worker.id.in_(holding))
    with reading(engine) as session:
        return list(session.scalars(query.order_by(Worker.id)))


def declare_gone(engine: Engine, found: Worker) -> bool:
    """Only if it still is as it was found; its reports are refused from now on."""
    change = update(Worker).where(Worker.id == found.id, Worker.beat == found.beat, Worker.state != GONE)
    with writing(engine) as session:
        return session.execute(change.values(state=GONE).returning(Worker.id)).first() is not None


def left_behind(engine: Engine, worker: str) -> list[Claim]:
    """Jobs that a worker that is gone still holds."""
    with reading(engine) as session:
        return [described(job) for job in session.scalars(_held_by(worker))]


def take_over(engine: Engine, claim: Claim, *, worker: str, previous: str) -> Claim:
    """The same attempt under a new token; raises ConflictError where somebody was faster."""
    with writing(engine) as session:
        job = session.scalars(_held_by(previous).where(Job.id == claim.id).with_for_update()).first()
        if job is None or job.token != claim.token:
            raise ConflictError(f"job {claim.id} is somebody else's by now")
        job.worker_id, job.token = worker, job.token + 1
        note(session, [(job.id, "taken_over", {"worker": worker, "previous": previous, "token": job.token})])
        return described(job)


def _held_by(worker: str) -> Any:
    return select(Job).where(Job.worker_id == worker, Job.state.in_(AT_WORK)).order_by(Job.id)


@dataclass
class Watch:
    """How long the others' beats have stood still while we could have seen them move.

    Time in which this process did not look (suspended, database gone) does not count against anybody.
    """

    limit_s: float
    _still: dict[str, tuple[int, float]] = field(default_factory=dict)
    _looked: float | None = None

    def silent(self, found: Sequence[Worker]) -> list[Worker]:
        at = time.monotonic()
        passed = 0.0 if self._looked is None else min(at - self._looked, LONGEST_GAP_S)
        self._looked = at
        still = {}
        for worker in found:
            beat_, seconds = self._still.get(worker.id, (worker.beat, 0.0))
            still[worker.id] = (worker.beat, seconds + passed if beat_ == worker.beat else 0.0)
        self._still = still
        return [worker for worker in found if still[worker.id][1] >= self.limit_s]
