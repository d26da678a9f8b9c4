"""Ending what runs, without making the other jobs wait for its grace."""

import threading

from experiment_hub.errors import HubError
from experiment_hub.worker.attempt import Attempt
from experiment_hub.worker.foreign import Calling
from experiment_hub.worker.post import Post


def stop(post: Post, attempt: Attempt, why: str) -> None:
    """Ask once; the end is seen by the next look."""
    if attempt.stopping is None and attempt.reference is not None:
        attempt.stopping = why
        threading.Thread(target=_stop, args=(post, attempt, post.options.grace_s), daemon=True).start()


def disown(post: Post, attempt: Attempt) -> None:
    """The job is not ours any more, and what we started must not go on beside its successor."""
    post.attempts.pop(attempt.claim.id, None)
    post.say(f"{attempt.claim.id} {attempt.claim.name}: taken away from this worker; ending what it had started")
    stop(post, attempt, "not ours any more")


def let_go(post: Post, attempt: Attempt) -> None:
    """Of something that has ended: whatever its launcher still keeps for it."""
    threading.Thread(target=_stop, args=(post, attempt, 0.0), daemon=True).start()


def _stop(post: Post, attempt: Attempt, grace_s: float) -> None:
    try:
        with Calling(attempt.claim.launcher, "stop it"):
            attempt.launcher.stop(attempt.reference or {}, grace_s=grace_s)
    except HubError as error:
        attempt.stopping = None  # asked again with the next look
        post.say(f"{attempt.claim.id}: {error}")
