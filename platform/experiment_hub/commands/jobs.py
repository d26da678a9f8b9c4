"""Commands about the queue."""

import getpass
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from experiment_hub.configuration.settings import settings
from experiment_hub.cost import desk
from experiment_hub.errors import BadInputError, WaitsForPersonError
from experiment_hub.metadata.database import open_engine
from experiment_hub.metadata.tables import Job
from experiment_hub.output import emit, progress, table
from experiment_hub.scheduler import admission, leases, reading, wishes
from experiment_hub.scheduler.states import CANCELLED, ENDED, FAILED, FINISHED, PAUSED, STARTING, WAITING
from experiment_hub.tracking.home import find_home
from experiment_hub.worker import agent, asking, keeping, logs, post
from experiment_hub.worker.folders import LOG, attempt_folder
from experiment_hub.worker.launchers.registry import launchers
from experiment_hub.worker.submitting import submit as enqueue

POLL_S = 0.2
LINES_IN_JSON = 10_000


@dataclass(frozen=True)
class Place:
    """Home and database of one call."""

    home: Path
    engine: Engine

    @classmethod
    def find(cls, home: Path | None) -> "Place":
        found = find_home(home)
        return cls(found, open_engine(found))


def submit(asked: asking.Asked, home: Path | None, *, as_json: bool) -> None:
    """Exit code 3 when one of them waits for a person."""
    ids, requests = asking.build(asked)
    place = Place.find(home)
    _report(place, enqueue(place.engine, place.home, requests, ids), as_json=as_json)


def usual_project(home: Path | None) -> str:
    return settings(find_home(home)).project


def ids(given: Sequence[str], home: Path | None) -> list[str]:
    """Whole ids for beginnings of them."""
    if not given:
        return []
    engine = Place.find(home).engine
    return [reading.find(engine, each).id for each in given]


def worker(asked: dict[str, Any], home: Path | None, *, as_json: bool) -> None:
    """Progress on stderr; at the end who it was and what goes on without it."""
    served = agent.work(find_home(home), post.options(**asked), progress)
    document = {"worker": served.worker, "left_running": sorted(served.attempts)}
    emit(document, [f"worker {served.worker} has left"], as_json=as_json)


def launcher_list(*, as_json: bool) -> None:
    rows = [
        {"launcher": name, "paid": each.item.paid, "on_this_machine": each.item.on_this_machine, "module": each.module}
        for name, each in launchers().items()
    ]
    header = ("launcher", "paid", "on_this_machine", "module")
    emit({"launchers": rows}, table(header, ([row[key] for key in header] for row in rows)), as_json=as_json)


def _report(place: Place, ids: Sequence[str], *, as_json: bool) -> None:
    jobs = [reading.find(place.engine, job) for job in ids]
    lines = [f"{job.id}  {job.state}{f': {job.reason}' if job.reason else ''}" for job in jobs]
    emit({"jobs": [reading.described(job) for job in jobs]}, lines, as_json=as_json)
    if any(job.state == WAITING and job.paid for job in jobs):
        raise SystemExit(WaitsForPersonError.exit_code)


def listing(state: str | None, fan_out: str | None, limit: int, home: Path | None, *, as_json: bool) -> None:
    place = Place.find(home)
    jobs = reading.listing(place.engine, state=state, fan_out=fan_out, limit=limit)
    header = ("job", "name", "state", "priority", "launcher", "attempt", "seconds", "reason")
    rows = (
        (job.id, job.name, job.state, job.priority, job.launcher, job.attempt, job.seconds, job.reason) for job in jobs
    )
    document = {"jobs": [reading.described(job) for job in jobs], "counts": reading.counts(place.engine)}
    emit(document, table(header, rows), as_json=as_json)


def show(given: str, home: Path | None, *, as_json: bool) -> None:
    place = Place.find(home)
    job = reading.find(place.engine, given)
    happened = reading.events(place.engine, job.id)
    document = {
        **reading.described(job),
        "needs": reading.needs(place.engine, job.id),
        "events": [{"kind": each.kind, "at": each.at, "detail": each.detail} for each in happened],
    }
    facts = [f"{key}: {value}" for key, value in document.items() if key != "events" and value not in (None, [], {})]
    history = table(("at", "what", ""), ((each.at, each.kind, _short(each.detail)) for each in happened))
    emit(document, [*facts, "", *history], as_json=as_json)


def _short(detail: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in detail.items() if value not in (None, [], {}))


def workers(home: Path | None, *, as_json: bool) -> None:
    place = Place.find(home)
    found = reading.workers(place.engine)
    header = ("worker", "host", "pid", "state", "started_at", "capacity", "gpus", "labels")
    offers = [{**reading.facts(each), **each.resources, "worker": each.id} for each in found]
    lines = table(header, ([str(offer.get(key)) for key in header] for offer in offers))
    emit({"workers": [reading.facts(each) for each in found]}, lines, as_json=as_json)


CHANGES = {"cancel": wishes.cancel, "pause": wishes.pause, "resume": wishes.resume, "retry": wishes.retry}


def change(what: str, given: Sequence[str], home: Path | None, *, as_json: bool) -> None:
    """Cancel, pause, resume or retry, one after the other; exit code 3 for a paid job that a person must agree to stop."""
    place = Place.find(home)
    jobs = [reading.find(place.engine, each).id for each in given]
    for job in jobs:
        if what in {"cancel", "pause"} and (objection := desk.may_stop(place.engine, place.home, job)):
            raise WaitsForPersonError(objection)
        CHANGES[what](place.engine, job, by=_person())
    admission.reconsider(place.engine, place.home)
    found = [reading.find(place.engine, job) for job in jobs]
    lines = [f"{job.id}  {job.state}{f', asked to {job.wish}' if job.wish else ''}" for job in found]
    emit({"jobs": [reading.described(job) for job in found]}, lines, as_json=as_json)


def _person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as containers have them
        return "somebody"


def wait(given: Sequence[str], timeout_s: float | None, home: Path | None, *, as_json: bool) -> None:
    """Until all have ended. Exit code 0 when all finished, 3 when one waits for a person or is paused, else 1."""
    place = Place.find(home)
    jobs = [reading.find(place.engine, each).id for each in given]
    until = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        found = [reading.find(place.engine, job) for job in jobs]
        open_ = [job for job in found if job.state not in ENDED]
        stuck = [job for job in open_ if job.state == PAUSED or (job.state == WAITING and job.paid)]
        if not open_ or stuck or (until is not None and time.monotonic() > until):
            break
        time.sleep(POLL_S)
    lines = [f"{job.id}  {job.state}{f': {job.reason}' if job.reason else ''}" for job in found]
    emit({"jobs": [reading.described(job) for job in found]}, lines, as_json=as_json)
    if any(job.state in {FAILED, CANCELLED} for job in found):
        raise SystemExit(1)
    if any(job.state != FINISHED for job in found):
        raise SystemExit(WaitsForPersonError.exit_code if stuck else 1)


@dataclass(frozen=True)
class LogRequest:
    job: str
    attempt: int | None
    lines: int | None
    follow: bool


def log(asked: LogRequest, home: Path | None, *, as_json: bool) -> None:
    """The output of an attempt, as the command wrote it; `follow` goes on until the job has ended."""
    place = Place.find(home)
    job = reading.find(place.engine, asked.job)
    if as_json:
        _log_document(place, job, asked)
    elif asked.follow:
        _follow(place, job, asked)
    else:
        _pour(place, job, asked, None)


def _follow(place: Place, job: Job, asked: LogRequest) -> None:
    offset: int | None = None
    current = job
    while current.state not in ENDED:
        offset = _pour(place, current, asked, offset)
        time.sleep(POLL_S)
        attempt, current = current.attempt, reading.find(place.engine, job.id)
        if current.attempt != attempt and asked.attempt is None:
            offset = None  # the next attempt has a log of its own
    _pour(place, current, asked, offset)


def _pour(place: Place, job: Job, asked: LogRequest, offset: int | None) -> int | None:
    """What is new since a byte position; gives the next one, None while there is no log."""
    path = _log_file(place, job, asked.attempt)
    ended = not asked.follow or job.state in ENDED
    if not (path.is_file() or (ended and keeping.fetch_log(place.home, job, path))):
        if ended:
            progress(_why_no_log(place, job))
        return None
    if offset is None:
        offset = 0 if asked.lines is None else logs.tail(path, asked.lines)
    for piece in logs.pieces(path, offset):
        sys.stdout.buffer.write(piece)
        offset += len(piece)
    sys.stdout.buffer.flush()
    return offset


def _log_document(place: Place, job: Job, asked: LogRequest) -> None:
    if asked.follow:
        raise BadInputError("--follow gives plain text; leave --json out")
    path = _log_file(place, job, asked.attempt)
    lines = LINES_IN_JSON if asked.lines is None else asked.lines
    found = path.is_file() or keeping.fetch_log(place.home, job, path)
    text = b"".join(logs.pieces(path, logs.tail(path, lines))) if found else b""
    document = {"job": job.id, "file": str(path) if found else None, "text": text.decode(errors="replace")}
    emit(document, [], as_json=True)


def _log_file(place: Place, job: Job, attempt: int | None) -> Path:
    number = job.attempt if attempt is None else attempt
    if not 0 <= number <= max(job.attempt, 1):
        raise BadInputError(f"job {job.id} has no attempt {number}; it was started {job.attempt} times")
    return attempt_folder(place.home, job.id, number) / LOG


def _why_no_log(place: Place, job: Job) -> str:
    if job.attempt == 0:
        return f"job {job.id} has not been started: it is {job.state}"
    starts = [each.detail.get("worker") for each in reading.events(place.engine, job.id) if each.kind == STARTING]
    homes = {each.id: f"{each.resources.get('home')} on {each.host}" for each in reading.workers(place.engine)}
    where = homes.get(str(starts[-1]), "another machine") if starts else "another machine"
    return f"no output of job {job.id} in {place.home}; it ran in {where}"


def lease(name: str | None, slots: int | None, home: Path | None, *, as_json: bool) -> None:
    """List named resources, or give one so many slots."""
    place = Place.find(home)
    if (name is None) != (slots is None):
        raise BadInputError("give both NAME and --slots, or neither to list them all")
    if name is not None and slots is not None:
        leases.resize(place.engine, name, slots)
    found = [
        {"name": each.name, "slot": each.slot, "job": each.job_id, "token": each.token}
        for each in leases.listing(place.engine)
    ]
    emit(
        {"leases": found},
        table(("name", "slot", "job", "token"), (list(each.values()) for each in found)),
        as_json=as_json,
    )
