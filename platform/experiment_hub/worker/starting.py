"""From a claim to something that runs: folder, objections, money, start, record. Each step may be done again."""

import time
from collections.abc import Collection, Iterable

from experiment_hub.errors import BadInputError, HubError
from experiment_hub.scheduler import attempts
from experiment_hub.scheduler.attempts import Refusal, Started
from experiment_hub.scheduler.claims import Claim
from experiment_hub.worker import environment, stopping
from experiment_hub.worker.attempt import Attempt
from experiment_hub.worker.foreign import Calling
from experiment_hub.worker.post import Post

TRIES = 3
PAUSE_S = 2.0


def take_on(post: Post, found: Iterable[Claim]) -> None:
    """Look after these from now on, and start them."""
    for claim in found:
        post.attempts[claim.id] = attempt_of(post, claim)
    start_all(post)


def attempt_of(post: Post, claim: Claim) -> Attempt:
    launch = environment.prepare(claim, post.home)
    launcher = post.launchers[claim.launcher]
    return Attempt(claim, launch, launcher, reference=claim.reference, counted_s=claim.seconds)


def start_all(post: Post) -> None:
    """Everything that has no reference yet. A start elsewhere is told at once, one on this machine with the next round."""
    at = time.monotonic()
    new = [each for each in post.attempts.values() if each.reference is None and each.next_look <= at]
    started = [attempt for attempt in new if _start(post, attempt)]
    elsewhere = [attempt for attempt in started if not attempt.launcher.on_this_machine]
    if elsewhere:
        heard(post, elsewhere, attempts.started(post.engine, reports(elsewhere)))


def untold(post: Post) -> list[Attempt]:
    return [each for each in post.attempts.values() if each.reference is not None and not each.told]


def reports(started: Iterable[Attempt]) -> list[Started]:
    return [Started(id=each.claim.id, token=each.claim.token, reference=each.reference or {}) for each in started]


def heard(post: Post, started: Iterable[Attempt], accepted: Collection[str]) -> None:
    """What the queue does not accept is somebody else's by now."""
    for attempt in started:
        attempt.told = True
        if attempt.claim.id not in accepted:
            stopping.disown(post, attempt)


def _start(post: Post, attempt: Attempt) -> bool:
    """Whether it runs now; what cannot start at all is given back to the queue with the reason."""
    try:
        refusal = _objections(attempt) or _unpaid(post, attempt)
        if refusal is None:
            with Calling(attempt.claim.launcher, "start it"):
                attempt.reference = attempt.launcher.start(attempt.launch)
            attempt.began, attempt.told = time.monotonic(), False
            return True
    except (HubError, OSError) as error:
        refusal = _later(attempt, error)
    if refusal is not None:
        _refuse(post, attempt, refusal)
    return False


def _objections(attempt: Attempt) -> Refusal | None:
    environment.lay_out(attempt.claim, attempt.launch)
    with Calling(attempt.claim.launcher, "check it"):
        problems = attempt.launcher.check(attempt.launch)
    if not problems:
        return None
    return Refusal(id=attempt.claim.id, token=attempt.claim.token, reason="; ".join(problems))


def _unpaid(post: Post, attempt: Attempt) -> Refusal | None:
    return post.purse.reserve(attempt.claim) if attempt.claim.paid else None


def _later(attempt: Attempt, error: Exception) -> Refusal | None:
    """None: it is tried again, because starting twice does no harm; bad input stays bad."""
    attempt.tries += 1
    if attempt.tries < TRIES and not isinstance(error, BadInputError):
        attempt.next_look = time.monotonic() + PAUSE_S
        return None
    return Refusal(id=attempt.claim.id, token=attempt.claim.token, reason=f"could not be started: {error}")


def _refuse(post: Post, attempt: Attempt, refusal: Refusal) -> None:
    if attempt.claim.paid and not refusal.waits:
        post.purse.never_started(attempt.claim, refusal.reason)
    attempts.refused(post.engine, refusal)
    post.attempts.pop(attempt.claim.id, None)
    post.say(f"{attempt.claim.id} {attempt.claim.name}: {refusal.reason}")
