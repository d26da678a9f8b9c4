"""A queue on SQLite and on PostgreSQL, and the calls of a worker without a worker."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, text

from experiment_hub.metadata.database import FILE, open_engine
from experiment_hub.metadata.tables import Job
from experiment_hub.scheduler import attempts, claims, reading, workers
from experiment_hub.scheduler.attempts import Outcome, Started
from experiment_hub.scheduler.claims import Claim, Offer
from experiment_hub.scheduler.requests import parse
from experiment_hub.scheduler.workers import Process
from experiment_hub.worker.submitting import submit

if TYPE_CHECKING:
    import postgres

OFFER = Offer(
    jobs=10,
    gpus=(),
    cpus=10.0,
    memory_mib=10_000,
    total_gpus=0,
    total_cpus=10.0,
    total_memory_mib=10_000,
    gpu=None,
    here=("local",),
    elsewhere=("slurm",),
)


@dataclass
class Queue:
    home: Path
    engine: Engine

    def add(self, name: str = "x", **more: Any) -> str:
        return submit(self.engine, self.home, [parse({"argv": ["true"], "name": name, **more})])[0]

    def job(self, job: str) -> Job:
        return reading.find(self.engine, job)

    def state(self, job: str) -> str:
        return self.job(job).state

    def kinds(self, job: str) -> list[str]:
        return [event.kind for event in reading.events(self.engine, job)]

    def worker(self, host: str = "here") -> str:
        return workers.register(self.engine, Process(host, "boot", 1, 1.0), {})

    def claim(self, worker: str, **changes: Any) -> list[Claim]:
        return claims.claim(self.engine, worker, replace(OFFER, **changes))

    def start(self, claim: Claim) -> bool:
        report = Started(id=claim.id, token=claim.token, reference={"pid": 1})
        return claim.id in attempts.started(self.engine, [report])

    def end(self, claim: Claim, failure: str | None = None, detail: str = "") -> str | None:
        """The new state, None when the report was refused."""
        outcome = Outcome(
            id=claim.id,
            token=claim.token,
            exit_code=0 if failure is None else 1,
            failure=failure,
            detail=detail,
            seconds=1.0,
        )
        return attempts.ended(self.engine, [outcome]).get(claim.id)


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrated once; every test on SQLite begins with a copy."""
    home = tmp_path_factory.mktemp("empty")
    open_engine(home).dispose()
    return home


@pytest.fixture(scope="session")
def shared_database(postgres_server: "postgres.Server", tmp_path_factory: pytest.TempPathFactory) -> str:
    """Migrated once; every test on PostgreSQL begins with its tables emptied."""
    url, home = postgres_server.new_database(), tmp_path_factory.mktemp("shared")
    (home / "hub.yaml").write_text(f"database: {url}\n", encoding="utf-8")
    open_engine(home)
    return url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def queue(request: pytest.FixtureRequest, home: Path, empty_home: Path) -> Queue:
    home.mkdir()
    if request.param == "sqlite":
        shutil.copy(empty_home / FILE, home / FILE)
        return Queue(home, open_engine(home))
    (home / "hub.yaml").write_text(f"database: {request.getfixturevalue('shared_database')}\n", encoding="utf-8")
    engine = open_engine(home)
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE jobs, workers, named_leases CASCADE"))
    return Queue(home, engine)


@pytest.fixture
def run(queue: Queue) -> Callable[..., str | None]:
    """`run(failure)` claims the next job, starts it and ends it."""
    worker = queue.worker()

    def one(failure: str | None = None) -> str | None:
        (claim,) = queue.claim(worker, jobs=1)
        assert queue.start(claim)
        return queue.end(claim, failure)

    return one
