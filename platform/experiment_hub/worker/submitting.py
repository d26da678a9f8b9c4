"""The one way into the queue, for the command line, the API and Python: launcher, price and needs are looked at first."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine

from experiment_hub.scheduler import admission, submission
from experiment_hub.scheduler.requests import JobRequest
from experiment_hub.scheduler.submission import Entry, new_id
from experiment_hub.worker.launchers.registry import launcher


def submit(engine: Engine, home: Path, requests: Sequence[JobRequest], ids: Sequence[str] = ()) -> list[str]:
    """Ids in the order of the requests, all queued in one transaction or none.

    `ids` may be given (by `new_id`), where requests need each other. Raises UnknownNameError for a launcher,
    BadInputError for needs that are not there, NotAllowedError for what has no price.
    """
    chosen = ids or [new_id() for _ in requests]
    entries = [
        Entry(request=request, id=id_, paid=launcher(request.launcher).paid)
        for request, id_ in zip(requests, chosen, strict=True)
    ]
    return submission.submit(engine, admission.weigh(engine, home, entries))
