"""`hub worker`: claims jobs, starts them, watches them, records how they end; may be killed at any moment."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from sqlalchemy import Engine

from experiment_hub.errors import ConflictError, DatabaseGoneError, HubError
from experiment_hub.metadata.database import open_engine
from experiment_hub.scheduler import admission, workers
from experiment_hub.scheduler.exchange import exchange
from experiment_hub.scheduler.states import AT_WORK, DRAINING, GONE
from experiment_hub.scheduler.workers import Process, Standing
from experiment_hub.worker import machine, starting, stopping, watching
from experiment_hub.worker.adoption import Adoption
from experiment_hub.worker.attempt import Attempt
from experiment_hub.worker.heart import Heart
from experiment_hub.worker.launchers.registry import launchers
from experiment_hub.worker.post import Options, Post

BUSY_S = 0.01
IDLE_S = 0.2
CARE_S = 2.0
"""Between two looks at what others left behind, and at what waits for money."""
TROUBLE_S = 0.5
"""Between two tries when something stands in the way."""


@dataclass
class Leaving:
    asked: int = 0
    since: float = field(default=0.0)

    def ask(self, _: int, __: FrameType | None) -> None:
        self.asked += 1
        self.since = self.since or time.monotonic()

    def overdue(self, drain_s: float) -> bool:
        return self.asked > 1 or (self.asked == 1 and time.monotonic() - self.since > drain_s)


def work(home: Path, options: Options, say: Callable[[str], None]) -> Post:
    """Until it is asked to leave, or with `once` until nothing is left to do."""
    known = {name: found.item for name, found in launchers().items()}
    post = Post(home, open_engine(home), options, known, say)
    _refuse_shared_gpus(post)
    post.worker = workers.register(post.engine, machine.this_process(), post.resources())
    say(f"worker {post.worker} on {machine.host()}: {options.capacity} jobs at a time, {options.gpus} GPUs")
    heart = Heart(post)
    with _kept_open(post.engine), _signals() as leaving:
        heart.start()
        try:
            Shift(post, heart, leaving, Adoption.after(options.silence_s)).serve()
        finally:
            heart.stop()
        _leave(post)
    return post


def _refuse_shared_gpus(post: Post) -> None:
    """Two workers of one machine must not give the same GPU away."""
    mine = set(post.resources()["gpu_ids"])
    for other in workers.others(post.engine, ""):
        process = Process(other.host, other.boot, other.pid, other.process_started)
        here = (other.host, other.boot) == (machine.host(), machine.boot()) and not machine.is_dead(process)
        twice = mine & set(other.resources.get("gpu_ids", ())) if here and other.state != GONE else set()
        if twice:
            raise ConflictError(
                f"worker {other.id} on this machine offers GPU {', '.join(sorted(twice))} already; stop it, or start "
                "this one with --gpus 0 or with other CUDA_VISIBLE_DEVICES"
            )


@dataclass
class Shift:
    """The main loop, turn by turn."""

    post: Post
    heart: Heart
    leaving: Leaving
    adoption: Adoption
    care_at: float = 0.0
    draining: bool = False
    trouble: str | None = None
    """What stood in the way of the last turn, said once."""

    def serve(self) -> None:
        while not self.leaving.overdue(self.post.options.drain_s):
            moved = self._turn()
            if self._done(moved):
                return
            busy = self.post.attempts and self.trouble is None
            time.sleep(0.0 if moved else BUSY_S if busy else IDLE_S)

    def _turn(self) -> int:
        try:
            self._care()
            moved = _round(self.post, self.leaving)
        except DatabaseGoneError as error:
            return self._wait(f"{error}; waiting for it, what runs goes on")
        except HubError as error:  # a hub.yaml that somebody is writing, say
            if self.post.options.once:
                raise
            return self._wait(str(error))
        if self.trouble is not None:
            self.post.say("goes on: what stood in the way is gone")
        self.trouble = None
        return moved

    def _care(self) -> None:
        if self.leaving.asked and not self.draining:
            workers.change_state(self.post.engine, self.post.worker, DRAINING)
            self.draining = True
        _hear(self.post, self.heart)
        if time.monotonic() >= self.care_at:
            self.care_at = time.monotonic() + CARE_S
            self.adoption.adopt(self.post)
            admission.reconsider(self.post.engine, self.post.home)

    def _wait(self, trouble: str) -> int:
        if self.trouble != trouble:
            self.post.say(trouble)
        self.trouble = trouble
        time.sleep(TROUBLE_S)
        return 0

    def _done(self, moved: int) -> bool:
        idle = not moved and not self.post.attempts and self.trouble is None
        return idle and bool(self.leaving.asked or self.post.options.once)


def _round(post: Post, leaving: Leaving) -> int:
    """How many attempts ended or were claimed."""
    over, starts = watching.look(post), starting.untold(post)
    ends = watching.outcomes(post, over)
    offer = None if leaving.asked else post.offer(without={end.id for end in ends})
    done = exchange(post.engine, post.worker, starts=starting.reports(starts), ends=ends, offer=offer)
    starting.heard(post, starts, done.accepted)
    states = dict(done.states)
    for (attempt, _), end in zip(over, ends, strict=True):
        watching.close(post, attempt, states.get(end.id), end.detail)
    starting.take_on(post, done.claims)
    return len(over) + len(done.claims)


def _hear(post: Post, heart: Heart) -> None:
    """Wishes of people, jobs that are not ours any more, and that we were taken for dead."""
    for job, standing in heart.round().items():
        attempt = post.attempts.get(job)
        if attempt is not None:
            _heed(post, attempt, standing)
    if not heart.alive:
        _come_back(post)
        heart.alive = True


def _heed(post: Post, attempt: Attempt, standing: Standing) -> None:
    if standing.token == attempt.claim.token:
        if standing.wish:
            stopping.stop(post, attempt, f"a person asked to {standing.wish} it")
    elif standing.token > attempt.claim.token:
        if standing.attempt == attempt.claim.attempt and standing.state in AT_WORK:
            post.attempts.pop(attempt.claim.id)
            post.say(f"{attempt.claim.id} {attempt.claim.name}: another worker looks after it now")
        else:
            stopping.disown(post, attempt)


def _come_back(post: Post) -> None:
    """Under a new name, with those of our jobs that nobody has taken over."""
    previous = post.worker
    post.worker = workers.register(post.engine, machine.this_process(), post.resources())
    post.say(f"worker {previous} had been declared gone; goes on as {post.worker}")
    for attempt in list(post.attempts.values()):
        try:
            attempt.claim = workers.take_over(post.engine, attempt.claim, worker=post.worker, previous=previous)
        except ConflictError:
            continue  # the next beat tells what became of it


def _leave(post: Post) -> None:
    try:
        workers.change_state(post.engine, post.worker, GONE)
    except DatabaseGoneError:
        post.say("the database is gone; the next worker of this machine will find out that this one has left")
    if post.attempts:
        post.say(f"{len(post.attempts)} jobs go on without a worker; the next one of this machine looks after them")


@contextmanager
def _kept_open(engine: Engine) -> Iterator[None]:
    """One idle connection: when SQLite's last one closes it empties its journal, which would cost more than a round."""
    if engine.dialect.name != "sqlite":
        yield
        return
    with engine.connect() as idle:
        idle.exec_driver_sql("SELECT count(*) FROM workers")  # opens the journal
        idle.rollback()
        yield


@contextmanager
def _signals() -> Iterator[Leaving]:
    leaving = Leaving()
    before = {number: signal.signal(number, leaving.ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield leaving
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
