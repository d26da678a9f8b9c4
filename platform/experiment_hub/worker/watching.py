"""Looking at what runs: its output, its health, its time-out, its end."""

import time

from sqlalchemy import select

from experiment_hub.errors import HubError
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.tables import Run
from experiment_hub.scheduler.attempts import Outcome
from experiment_hub.worker import keeping, stopping
from experiment_hub.worker.attempt import TIME_OUT, Attempt
from experiment_hub.worker.folders import HEALTH, LOG
from experiment_hub.worker.foreign import Calling
from experiment_hub.worker.launchers.protocol import Status
from experiment_hub.worker.post import Post

FAR_S = 1.0
"""Between two looks at something that runs elsewhere."""
PIECES = 16
"""Of output that are fetched at one look."""


Over = list[tuple[Attempt, Status]]


def look(post: Post) -> Over:
    """What has ended."""
    at = time.monotonic()
    due = [each for each in post.attempts.values() if each.reference is not None and each.next_look <= at]
    return [(attempt, status) for attempt in due if (status := _poll(post, attempt)) is not None]


def _poll(post: Post, attempt: Attempt) -> Status | None:
    """Its status once it has ended; a look that fails is repeated: what cannot be seen may still run."""
    if not attempt.launcher.on_this_machine:
        attempt.next_look = time.monotonic() + FAR_S
    try:
        with Calling(attempt.claim.launcher, "look at it"):
            status = attempt.launcher.poll(attempt.reference or {})
    except HubError as error:
        attempt.next_look = time.monotonic() + FAR_S
        post.say(f"{attempt.claim.id}: {error}")
        return None
    if not attempt.launcher.on_this_machine:
        _fetch_output(post, attempt)
    if attempt.claim.paid:
        _mind_the_money(post, attempt, status)
    if status.state == "ended":
        return status
    if status.state == "starting":
        attempt.counted_s, attempt.began = 0.0, time.monotonic()  # waiting for a machine is not running
    elif attempt.seconds(status) > attempt.claim.timeout_s:
        stopping.stop(post, attempt, TIME_OUT)
    return None


def _fetch_output(post: Post, attempt: Attempt) -> None:
    """Our copy goes on where it ends, so a crash neither repeats nor loses anything."""
    try:
        with Calling(attempt.claim.launcher, "fetch its output"):
            attempt.launch.folder.mkdir(parents=True, exist_ok=True)
            with (attempt.launch.folder / LOG).open("ab") as file:
                for _ in range(PIECES):
                    piece = attempt.launcher.log(attempt.reference or {}, file.tell())
                    if not piece:
                        return
                    file.write(piece)
    except HubError as error:
        post.say(f"{attempt.claim.id}: {error}")


def _mind_the_money(post: Post, attempt: Attempt, status: Status) -> None:
    health = attempt.launch.folder / HEALTH
    if attempt.claim.fan_out and health.is_file() and post.purse.healthy(attempt.claim, health):
        post.say(
            f"{attempt.claim.id} {attempt.claim.name}: healthy; the other variants of {attempt.claim.fan_out} may go"
        )
    why = post.purse.why_stop(attempt.claim, status)
    if why and status.state != "ended":
        stopping.stop(post, attempt, why)


def outcomes(post: Post, over: Over) -> list[Outcome]:
    """How they ended; what they cost is booked first, because that may be done twice and must not be left out."""
    if not over:
        return []
    runs = _runs(post, [attempt.claim.id for attempt, _ in over])
    for attempt, status in over:
        if attempt.claim.paid:
            post.purse.settle(attempt.claim, status)
        keeping.keep(post, attempt, runs.get(attempt.claim.id, ()))
    return [attempt.outcome(status, runs.get(attempt.claim.id, ())) for attempt, status in over]


def close(post: Post, attempt: Attempt, state: str | None, detail: str) -> None:
    """The end is recorded; `state` is None when it was refused."""
    claim = attempt.claim
    post.attempts.pop(claim.id, None)
    if state is None:
        post.say(f"{claim.id} {claim.name}: ended, but it is somebody else's by now; nothing was recorded")
        return
    if claim.paid:
        post.purse.close(claim, state)
    if not attempt.launcher.on_this_machine:
        stopping.let_go(post, attempt)
    post.say(f"{claim.id} {claim.name}: {state}{f' ({detail})' if detail else ''}")


def _runs(post: Post, jobs: list[str]) -> dict[str, tuple[str, ...]]:
    """Runs that the jobs recorded, oldest first."""
    query = select(Run.job_id, Run.id).where(Run.job_id.in_(jobs)).order_by(Run.created_at, Run.id)
    found: dict[str, tuple[str, ...]] = {}
    with reading(post.engine) as session:
        for job, run in session.execute(query):
            found[str(job)] = (*found.get(str(job), ()), run)
    return found
