from typing import Any

import pytest

from experiment_hub.errors import BadInputError, UnknownNameError
from experiment_hub.scheduler import reading
from experiment_hub.scheduler.requests import parse
from experiment_hub.scheduler.submission import new_id
from experiment_hub.worker.submitting import submit


def test_a_job_is_queued_as_it_was_asked_for(queue: Any) -> None:
    job = queue.job(queue.add("a name with ünïcode, 'quotes' and <tags>", priority=3, timeout_s=60.0))
    assert (job.name, job.state, job.priority, job.timeout_s) == (
        "a name with ünïcode, 'quotes' and <tags>",
        "queued",
        3,
        60.0,
    )
    assert job.payload["argv"] == ["true"]
    assert queue.kinds(job.id) == ["queued"]


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"argv": []}, "argv"),
        ({"argv": [""]}, "argv"),
        ({"argv": "true"}, "argv"),
        ({"argv": ["a\x00b"]}, "argv"),
        ({"name": "a\x00b"}, "name"),
        ({"name": ""}, "name"),
        ({"timeout_s": 0.0}, "timeout_s"),
        ({"timeout_s": float("nan")}, "timeout_s"),
        ({"timeout_s": float("inf")}, "timeout_s"),
        ({"priority": 10**9}, "priority"),
        ({"resources": {"gpus": -1}}, "resources.gpus"),
        ({"resources": {"memory_mb": 5}}, "resources.memory_mb"),
        ({"resources": {"launcher": {"gpus": 5}}}, "resources"),
        ({"retries": {"error": {"times": 1}}}, "retries.error"),
        ({"retries": {"lost": {"times": -1}}}, "retries.lost"),
        ({"environment": {"A=B": "x"}}, "environment"),
        ({"files": {"../x": "x"}}, "files"),
        ({"files": {"x": "x" * 2_000_000}}, "files"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_bad_requests_are_refused_with_the_key_that_is_wrong(wrong: dict[str, Any], key: str) -> None:
    with pytest.raises(BadInputError, match=key):
        parse({"argv": ["true"], "name": "x", **wrong})


def test_nothing_is_queued_when_one_of_many_is_wrong(queue: Any) -> None:
    good = parse({"argv": ["true"], "name": "good"})
    with pytest.raises(BadInputError, match="no such job"):
        submit(queue.engine, queue.home, [good, parse({"argv": ["true"], "name": "bad", "needs": ["j-none"]})])
    assert reading.listing(queue.engine) == []


def test_an_unknown_launcher_is_refused(queue: Any) -> None:
    with pytest.raises(UnknownNameError, match="local"):
        queue.add(launcher="starship")


def test_jobs_that_need_each_other_in_a_circle_are_refused(queue: Any) -> None:
    one, two = new_id(), new_id()
    requests = [parse({"argv": ["true"], "name": "x", "needs": [other]}) for other in (two, one)]
    with pytest.raises(BadInputError, match="circle"):
        submit(queue.engine, queue.home, requests, [one, two])


def test_one_call_queues_many_jobs_in_their_order(queue: Any) -> None:
    requests = [parse({"argv": ["true"], "name": str(number)}) for number in range(300)]
    ids = submit(queue.engine, queue.home, requests)
    worker = queue.worker()
    assert [claim.id for claim in queue.claim(worker, jobs=300, cpus=1000.0)] == ids


def test_a_job_is_found_by_the_beginning_of_its_id(queue: Any) -> None:
    job = queue.add()
    assert queue.job(job[:8]).id == job
    queue.add()
    for given, error in (("j-", BadInputError), ("", UnknownNameError), ("%", UnknownNameError)):
        with pytest.raises(error):
            queue.job(given)
