"""The queue: jobs and workers."""

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from experiment_hub.api.context import HubDep, Operator
from experiment_hub.api.paging import Cursor
from experiment_hub.api.routers import jobs as rules
from experiment_hub.api.texts import Id, MaybeText
from experiment_hub.scheduler import reading as queue
from experiment_hub.ui.forms import back_to
from experiment_hub.ui.rendering import page

router = APIRouter(prefix="/queue")
PAGE = 50


@router.get("")
def every(
    request: Request, hub: HubDep, state: MaybeText = None, fan_out: MaybeText = None, cursor: Cursor = None
) -> Response:
    found = rules.every(hub, state=state, fan_out=fan_out, limit=PAGE, cursor=cursor)
    workers = [each for each in queue.workers(hub.store.engine) if each.state != "gone"]
    values: dict[str, Any] = {"found": found, "counts": queue.counts(hub.store.engine), "workers": workers}
    return page(request, "queue.html", state=state, fan_out=fan_out, **values)


@router.get("/{job_id}")
def one(request: Request, hub: HubDep, job_id: Id) -> Response:
    return page(request, "job.html", job=rules.job_detail(hub, job_id))


@router.post("/{job_id}/{wish}")
def ask(hub: HubDep, caller: Operator, job_id: Id, wish: rules.Wish) -> Response:
    job = rules.ask(hub, caller, job_id, wish)
    return back_to(f"/queue/{quote(job.id, safe='')}")
