"""One artifact: its files and who needs it."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from experiment_hub.api.context import HubDep
from experiment_hub.api.texts import Id
from experiment_hub.artifacts import inspection
from experiment_hub.artifacts.catalog import catalog
from experiment_hub.ui.rendering import page

router = APIRouter()
SHOWN_FILES = 500


@router.get("/artifacts/{digest}")
def one(request: Request, hub: HubDep, digest: Id) -> Response:
    found = catalog(hub.home)
    record = found.record(digest)
    entries = found.entries(record.digest)
    values: dict[str, Any] = {"record": record, "entries": entries[:SHOWN_FILES], "count": len(entries)}
    return page(request, "artifact.html", users=inspection.users(found, record.digest), **values)
