"""Artifacts: who names them, what is in them, their bytes."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Header
from starlette.responses import Response, StreamingResponse

from experiment_hub.api.artifact_views import (
    ArtifactDetail,
    ArtifactName,
    FileOfFolder,
    Span,
    blocks,
    file_in,
    names_of,
    span_of,
)
from experiment_hub.api.context import HubDep
from experiment_hub.api.paging import Cursor, Limit, Page
from experiment_hub.api.problems import documented
from experiment_hub.api.texts import Id, MaybeText
from experiment_hub.artifacts.catalog import catalog

router = APIRouter(tags=["artifacts"])
SHOWN_FILES = 1000
BINARY: dict[str, Any] = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
BYTES: dict[int | str, dict[str, Any]] = {
    200: {**BINARY, "description": "The whole file."},
    206: {**BINARY, "description": "The range."},
}
UNKNOWN = documented(404, 500)


@router.get("/artifacts")
def every(hub: HubDep, limit: Limit = 100, cursor: Cursor = None) -> Page[ArtifactName]:
    """All names, by owner."""
    return names_of(hub.store.engine, None, cursor, limit)


@router.get("/artifacts/{digest}", responses=UNKNOWN)
def one(hub: HubDep, digest: Id) -> ArtifactDetail:
    """By digest, or the start of one."""
    found = catalog(hub.home)
    record = found.record(digest)
    files = [FileOfFolder(path=each.path, size=each.size, digest=each.digest) for each in found.entries(record.digest)]
    return ArtifactDetail(digest=record.digest, size=record.size, kind=record.kind, files=files[:SHOWN_FILES])


@router.get(
    "/artifacts/{digest}/content", responses=UNKNOWN | documented(416) | BYTES, response_class=StreamingResponse
)
def content(
    hub: HubDep, digest: Id, path: MaybeText = None, range_: Annotated[str | None, Header(alias="Range")] = None
) -> Response:
    """The bytes of a file, or of one file of a folder; one range may be asked for. Damaged content breaks off."""
    found = catalog(hub.home)
    record, name = file_in(found, digest, path)
    span = span_of(range_, record.size)
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Length": str(span.length if span else record.size),
        "ETag": f'"{record.digest}"',
    }
    if span is not None:
        headers["Content-Range"] = f"bytes {span.first}-{span.last}/{record.size}"
    body = blocks(found.open(record.digest), span or Span(0, record.size - 1))
    return StreamingResponse(
        body, status_code=206 if span else 200, headers=headers, media_type="application/octet-stream"
    )
