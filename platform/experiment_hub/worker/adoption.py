"""Jobs that were left behind: by this worker's predecessor, by a worker that died, by a machine that is silent."""

from dataclasses import dataclass

from experiment_hub.errors import ConflictError
from experiment_hub.metadata.tables import Worker
from experiment_hub.scheduler import attempts, workers
from experiment_hub.scheduler.attempts import Outcome
from experiment_hub.scheduler.claims import Claim
from experiment_hub.scheduler.states import GONE
from experiment_hub.scheduler.workers import Process, Watch
from experiment_hub.worker import machine, starting
from experiment_hub.worker.post import Post


@dataclass
class Adoption:
    near: Watch
    far: Watch
    """Of another machine's jobs; longer, so that its own next worker comes first."""

    @classmethod
    def after(cls, silence_s: float) -> "Adoption":
        return cls(Watch(silence_s), Watch(2 * silence_s))

    def adopt(self, post: Post) -> None:
        found = workers.others(post.engine, post.worker)
        silent = {each.id for each in self.near.silent(found)}
        very_silent = {each.id for each in self.far.silent(found)}
        for other in found:
            if other.state == GONE or other.id in silent or machine.is_dead(_process(other)):
                _take_what_it_held(post, other, given_up=other.id in very_silent)
        _take_what_nobody_told_us(post)
        starting.start_all(post)


def _take_what_it_held(post: Post, other: Worker, *, given_up: bool) -> None:
    held = workers.left_behind(post.engine, other.id)
    if other.state != GONE:
        if not workers.declare_gone(post.engine, other):
            return  # it lives after all
        post.say(f"worker {other.id} on {other.host} is gone; it held {len(held)} jobs")
    here = (other.host, other.boot, other.resources.get("home")) == (machine.host(), machine.boot(), str(post.home))
    for claim in held:
        launcher = post.launchers.get(claim.launcher)
        if launcher is None:
            continue  # for a worker that has it
        if here or not launcher.on_this_machine:
            _adopt(post, claim, other.id)
        elif given_up:
            _give_up(post, claim, other)


def _adopt(post: Post, claim: Claim, previous: str) -> None:
    """The same attempt goes on under our token; what was not started yet is started by us."""
    try:
        ours = workers.take_over(post.engine, claim, worker=post.worker, previous=previous)
    except ConflictError:
        return
    post.attempts[ours.id] = starting.attempt_of(post, ours)
    post.say(f"{ours.id} {ours.name}: taken over from {previous}")


def _give_up(post: Post, claim: Claim, other: Worker) -> None:
    """Its machine is silent: it may still run there, so only a job that allows for it is tried again."""
    try:
        ours = workers.take_over(post.engine, claim, worker=post.worker, previous=other.id)
    except ConflictError:
        return
    detail = f"machine {other.host} has been silent for too long; it may still run there, but nothing of it is recorded"
    outcome = Outcome(
        id=ours.id, token=ours.token, exit_code=None, failure="unreachable", detail=detail, seconds=ours.seconds
    )
    attempts.ended(post.engine, [outcome])
    post.say(f"{ours.id} {ours.name}: {detail}")


def _take_what_nobody_told_us(post: Post) -> None:
    """Claims whose answer was lost together with the connection."""
    for claim in workers.left_behind(post.engine, post.worker):
        if claim.id not in post.attempts and claim.launcher in post.launchers:
            _adopt(post, claim, post.worker)


def _process(other: Worker) -> Process:
    return Process(other.host, other.boot, other.pid, other.process_started)
