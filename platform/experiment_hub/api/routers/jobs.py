"""The queue: jobs, workers, and what people ask of them."""

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import select

from experiment_hub.api.context import Hub, HubDep, Operator
from experiment_hub.api.paging import Cursor, Key, Limit, Order, Page, one_page
from experiment_hub.api.problems import documented
from experiment_hub.api.texts import Id, MaybeText
from experiment_hub.cost import desk
from experiment_hub.errors import WaitsForPersonError
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.tables import Job
from experiment_hub.scheduler import admission, wishes
from experiment_hub.scheduler import reading as queue
from experiment_hub.scheduler.requests import JobRequest
from experiment_hub.worker.submitting import submit as submit_jobs

router = APIRouter(tags=["jobs"])
WISHES = {"cancel": wishes.cancel, "pause": wishes.pause, "resume": wishes.resume, "retry": wishes.retry}
STOPS = ("cancel", "pause")
Wish = Literal["cancel", "pause", "resume", "retry"]


class JobOut(BaseModel, from_attributes=True):
    id: str
    number: int
    name: str
    project: str
    state: str
    reason: str | None
    priority: int
    launcher: str
    paid: bool
    attempt: int
    worker_id: str | None
    seconds: float
    wish: str | None
    failure: str | None
    exit_code: int | None
    estimate_hash: str | None
    fan_out: str | None
    run_ids: list[str]
    created_at: str
    started_at: str | None
    ended_at: str | None


class JobEventOut(BaseModel, from_attributes=True):
    id: int
    kind: str
    detail: dict[str, Any]
    at: str


class JobDetail(JobOut):
    resources: dict[str, Any]
    timeout_s: float
    needs: list[str]
    events: list[JobEventOut]


class WorkerOut(BaseModel, from_attributes=True):
    id: str
    host: str
    state: str
    resources: dict[str, Any]
    seen: float
    started_at: str


@router.get("/jobs")
def every(
    hub: HubDep, state: MaybeText = None, fan_out: MaybeText = None, limit: Limit = 100, cursor: Cursor = None
) -> Page[JobOut]:
    """Newest first."""
    query = select(*(getattr(Job, name) for name in JobOut.model_fields))
    query = query.where(*(column == value for column, value in ((Job.state, state), (Job.fan_out, fan_out)) if value))
    order = Order((Key(Job.number, int), Key(Job.id, str)), descending=True, label="jobs")
    with reading(hub.store.engine) as session:
        rows, following = one_page(session, query, order, cursor, limit)
    return Page(items=[JobOut.model_validate(row) for row in rows], next_cursor=following)


@router.get("/jobs/{job_id}", responses=documented(404))
def one(hub: HubDep, job_id: Id) -> JobDetail:
    """By id, or by the beginning of one."""
    return job_detail(hub, job_id)


def job_detail(hub: Hub, job_id: str) -> JobDetail:
    engine = hub.store.engine
    job = queue.find(engine, job_id)
    own = {name: getattr(job, name) for name in (*JobOut.model_fields, "resources", "timeout_s")}
    events = [JobEventOut.model_validate(each) for each in queue.events(engine, job.id)]
    return JobDetail(**own, needs=queue.needs(engine, job.id), events=events)


@router.post("/jobs", status_code=201, responses=documented(404, 409))
def submit(hub: HubDep, _: Operator, body: JobRequest) -> JobDetail:
    """Queue a command; one that costs money waits for a person where the rules say so."""
    made = submit_jobs(hub.store.engine, hub.home, [body])
    return job_detail(hub, made[0])


@router.post("/jobs/{job_id}/{wish}", responses=documented(404, 409))
def ask(hub: HubDep, caller: Operator, job_id: Id, wish: Wish) -> JobDetail:
    """Cancel, pause, resume or retry; a paid job at work is stopped only after a person agreed to lose what it did."""
    engine, home = hub.store.engine, hub.home
    job = queue.find(engine, job_id)
    if wish in STOPS and (objection := desk.may_stop(engine, home, job.id)):
        raise WaitsForPersonError(objection)
    WISHES[wish](engine, job.id, by=caller.name)
    admission.reconsider(engine, home)
    return job_detail(hub, job.id)


@router.get("/workers")
def workers(hub: HubDep) -> list[WorkerOut]:
    """All that ever registered, oldest first."""
    return [WorkerOut.model_validate(each) for each in queue.workers(hub.store.engine)]
