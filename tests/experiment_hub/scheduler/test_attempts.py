"""What may be reported about an attempt, by whom, and what comes of it."""

from collections.abc import Callable
from typing import Any

import pytest

from experiment_hub.errors import BadInputError, ConflictError, UnknownNameError
from experiment_hub.scheduler import attempts, wishes, workers
from experiment_hub.scheduler.attempts import Refusal


def test_a_report_with_an_old_token_changes_nothing(queue: Any) -> None:
    job, first, second = queue.add(), queue.worker(), queue.worker()
    (old,) = queue.claim(first)
    assert queue.start(old)
    new = workers.take_over(queue.engine, old, worker=second, previous=first)
    assert new.token == old.token + 1
    assert not queue.start(old)
    assert queue.end(old) is None
    assert not attempts.refused(queue.engine, Refusal(id=job, token=old.token, reason="no"))
    assert queue.state(job) == "running"
    assert queue.end(new) == "finished"
    assert queue.end(new) is None  # said once


def test_of_two_that_take_a_job_over_one_gets_it(queue: Any) -> None:
    queue.add()
    first, second, third = (queue.worker() for _ in range(3))
    (claim,) = queue.claim(first)
    workers.take_over(queue.engine, claim, worker=second, previous=first)
    with pytest.raises(ConflictError):
        workers.take_over(queue.engine, claim, worker=third, previous=first)


def test_every_change_is_an_event(queue: Any, run: Callable[..., str | None]) -> None:
    job = queue.add()
    run("preempted")
    run()
    assert queue.kinds(job) == ["queued", "starting", "running", "queued", "starting", "running", "finished"]


@pytest.mark.parametrize("failure", ["error", "nan", "disk_full", "time_out", "out_of_memory", "unreachable", "killed"])
def test_what_would_fail_again_is_not_tried_again(queue: Any, run: Callable[..., str | None], failure: str) -> None:
    job = queue.add()
    assert run(failure) == "failed"
    assert queue.job(job).failure == failure
    assert failure in queue.job(job).reason


def test_a_preempted_job_is_tried_again_as_often_as_it_may(queue: Any, run: Callable[..., str | None]) -> None:
    job = queue.add(retries={"preempted": {"times": 2}})
    assert [run("preempted") for _ in range(3)] == ["queued", "queued", "failed"]
    assert queue.job(job).attempt == 3


def test_out_of_memory_is_adapted_to_once(queue: Any, run: Callable[..., str | None]) -> None:
    smaller = {"times": 1, "argv": ["train", "--batch", "8"]}
    job = queue.add(argv=["train", "--batch", "16"], retries={"out_of_memory": smaller})
    assert run("out_of_memory") == "queued"
    assert queue.job(job).payload["argv"] == ["train", "--batch", "8"]
    assert run("out_of_memory") == "failed"


def test_a_job_waits_for_all_that_it_needs(queue: Any, run: Callable[..., str | None]) -> None:
    first, second = queue.add("first"), queue.add("second")
    third = queue.add("third", needs=[first, second])
    assert (queue.state(third), queue.job(third).reason) == ("waiting", f"needs {first}, {second}")
    run()
    assert queue.state(third) == "waiting"
    run()
    assert queue.state(third) == "queued"


def test_two_needs_that_end_in_one_report_free_their_dependant(queue: Any) -> None:
    needs = [queue.add(name) for name in "ab"]
    third = queue.add("third", needs=needs)
    claims = queue.claim(queue.worker())
    outcomes = [
        attempts.Outcome(id=claim.id, token=claim.token, exit_code=0, failure=None, detail="", seconds=0.0)
        for claim in claims
    ]
    attempts.ended(queue.engine, outcomes)
    assert queue.state(third) == "queued"


def test_a_failed_need_skips_all_that_follow_and_a_retry_brings_them_back(
    queue: Any, run: Callable[..., str | None]
) -> None:
    first = queue.add("first")
    second = queue.add("second", needs=[first])
    third = queue.add("third", needs=[second])
    run("error")
    assert [queue.state(job) for job in (second, third)] == ["cancelled", "cancelled"]
    assert queue.job(third).reason == f"skipped: it needs {second}, which did not finish"
    with pytest.raises(BadInputError, match="retry"):
        queue.add(needs=[first])
    wishes.retry(queue.engine, first, by="me")
    assert [queue.state(job) for job in (first, second, third)] == ["queued", "waiting", "waiting"]
    assert [run(), run(), run()] == ["finished"] * 3
    assert [queue.state(job) for job in (first, second, third)] == ["finished"] * 3


def test_a_job_that_finished_already_need_not_be_waited_for(queue: Any, run: Callable[..., str | None]) -> None:
    first = queue.add()
    run()
    assert queue.state(queue.add(needs=[first])) == "queued"


def test_a_queued_job_is_cancelled_at_once_and_a_running_one_by_its_worker(queue: Any) -> None:
    waiting, running = queue.add(), queue.add(priority=5)
    (claim,) = queue.claim(queue.worker(), jobs=1)
    assert wishes.cancel(queue.engine, waiting, by="me") == "cancelled"
    assert wishes.cancel(queue.engine, running, by="me") == "starting"
    assert workers.standings(queue.engine, [running])[running].wish == "cancel"
    assert queue.end(claim, "killed") == "cancelled"
    with pytest.raises(ConflictError, match="already"):
        wishes.cancel(queue.engine, running, by="me")


def test_a_job_that_finished_before_its_worker_heard_the_wish_has_finished(queue: Any) -> None:
    job = queue.add()
    (claim,) = queue.claim(queue.worker())
    wishes.cancel(queue.engine, job, by="me")
    assert queue.end(claim) == "finished"


def test_a_paused_job_is_not_claimed_until_it_is_resumed(queue: Any) -> None:
    job, worker = queue.add(), queue.worker()
    assert wishes.pause(queue.engine, job, by="me") == "paused"
    assert queue.claim(worker) == []
    assert wishes.resume(queue.engine, job, by="me") == "queued"
    (claim,) = queue.claim(worker)
    wishes.pause(queue.engine, job, by="me")
    assert queue.end(claim, "killed") == "paused"
    with pytest.raises(ConflictError):
        wishes.retry(queue.engine, job, by="me")


def test_a_job_that_is_not_there_cannot_be_cancelled(queue: Any) -> None:
    with pytest.raises(UnknownNameError):
        wishes.cancel(queue.engine, "j-none", by="me")


def test_what_stands_against_a_start_is_said_and_the_attempt_does_not_count(queue: Any) -> None:
    job = queue.add()
    after = queue.add(needs=[job])
    (claim,) = queue.claim(queue.worker())
    assert attempts.refused(queue.engine, Refusal(id=job, token=claim.token, reason="the folder is not here"))
    assert (queue.state(job), queue.job(job).attempt, queue.job(job).reason) == ("failed", 0, "the folder is not here")
    assert queue.state(after) == "cancelled"
