"""What changes, as it changes: server-sent events."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import StreamingResponse

from experiment_hub.api.context import HubDep
from experiment_hub.api.watcher import Watcher

router = APIRouter(tags=["events"])
LOOK_SECONDS = 0.25
BEAT_SECONDS = 15.0  # a line now and then, so that nobody in between takes the connection for dead
STREAM_SECONDS = 600.0  # then the client comes again, and is asked for its token again
RETRY_MILLISECONDS = 1000
STREAM = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Until 10 minutes."}}


@router.get("/events", response_class=StreamingResponse, responses=STREAM)  # type: ignore[arg-type] # FastAPI's own type
async def events(
    request: Request,
    hub: HubDep,
    after: Annotated[str | None, Query(max_length=100, description="An id to begin after; default: now.")] = None,
    last_event_id: Annotated[str | None, Header(max_length=100)] = None,
) -> StreamingResponse:
    """Kinds: `run`, `progress`, `job`, `model`, and `reset` when some may have been missed: then look at everything.

    With `Last-Event-ID` the stream goes on where it broke off.
    """
    lines = _lines(request, hub.watcher, last_event_id or after)
    return StreamingResponse(lines, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _lines(request: Request, watcher: Watcher, last: str | None) -> AsyncIterator[str]:
    last = last or watcher.newest
    began = spoken = time.monotonic()
    yield f"retry: {RETRY_MILLISECONDS}\nid: {last}\n\n"
    while time.monotonic() - began < STREAM_SECONDS and not watcher.stopped:
        for event in watcher.since(last):
            last, spoken = watcher.id_of(event.number), time.monotonic()
            yield f"id: {last}\nevent: {event.kind}\ndata: {json.dumps(event.data)}\n\n"
        if time.monotonic() - spoken > BEAT_SECONDS:
            spoken = time.monotonic()
            yield ": still here\n\n"
        await asyncio.sleep(LOOK_SECONDS)
        if await request.is_disconnected():
            return
