"""One run."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import yaml
from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from experiment_hub.api.artifact_views import names_of
from experiment_hub.api.context import Editor, HubDep
from experiment_hub.api.paging import Cursor
from experiment_hub.api.run_comparison import comparison
from experiment_hub.api.run_details import RunDetail, curve_names, run_detail
from experiment_hub.api.run_lineage import lineage
from experiment_hub.api.run_logs import log_part, near_end
from experiment_hub.api.run_views import nearby
from experiment_hub.api.texts import Id, MaybeText, Name, Sentence
from experiment_hub.tracking import annotations
from experiment_hub.ui.forms import back_to
from experiment_hub.ui.rendering import page

router = APIRouter(prefix="/runs/{run_id}")
CHARTS = 24
COLOURS = 10
LOG_BYTES = 200_000
FILES = 100


def chart_run(run: Any, colour: int = 0, label: str | None = None) -> dict[str, Any]:
    """What a chart has to know of a run."""
    return {"id": run.id, "label": label or run.id, "colour": colour % COLOURS, "began": _epoch(run.created_at)}


def _epoch(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


@router.get("")
def curves(request: Request, hub: HubDep, run_id: Id, names: MaybeText = None, after: MaybeText = None) -> Response:
    return _charts(request, hub, run_detail(hub.store, run_id), names=names, after=after, system=False)


@router.get("/system")
def system(request: Request, hub: HubDep, run_id: Id, names: MaybeText = None, after: MaybeText = None) -> Response:
    return _charts(request, hub, run_detail(hub.store, run_id), names=names, after=after, system=True)


def _charts(
    request: Request, hub: HubDep, run: RunDetail, *, names: str | None, after: str | None, system: bool
) -> Response:
    engine = hub.store.engine
    found, following = curve_names(engine, run.id, part=names, after=after, limit=CHARTS, system=system)
    values: dict[str, Any] = {"run": run, "tab": "system" if system else "curves", "names": names, "metrics": found}
    return page(request, "run_curves.html", following=following, runs=[chart_run(run)], **values)


@router.get("/log")
def log(request: Request, hub: HubDep, run_id: Id) -> Response:
    folder = hub.home / hub.store.run(run_id).folder
    start = near_end(folder, LOG_BYTES)
    part = log_part(folder, start)
    whole = start.number == 0 and start.offset == 0
    run = run_detail(hub.store, run_id)
    return page(request, "run_log.html", run=run, tab="log", part=part, whole=whole, here_folder=folder.is_dir())


@router.get("/artifacts")
def artifacts(request: Request, hub: HubDep, run_id: Id, cursor: Cursor = None) -> Response:
    found = names_of(hub.store.engine, ("run", run_id), cursor, FILES)
    return page(request, "run_artifacts.html", run=run_detail(hub.store, run_id), tab="artifacts", found=found)


@router.get("/configuration")
def configuration(request: Request, hub: HubDep, run_id: Id) -> Response:
    run = run_detail(hub.store, run_id)
    return page(request, "run_configuration.html", run=run, tab="configuration", text=_yaml(run.config))


def _yaml(config: dict[str, Any]) -> str:
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True) if config else ""


@router.get("/difference")
def difference(request: Request, hub: HubDep, run_id: Id, other: MaybeText = None) -> Response:
    run = run_detail(hub.store, run_id)
    other = other.strip() if other else None
    found = comparison(hub.store, [run_id, other]) if other and other != run_id else None
    values: dict[str, Any] = {"run": run, "tab": "difference", "other": other, "found": found}
    return page(request, "run_difference.html", near=nearby(hub.store.engine, run.name, run.id), **values)


@router.get("/lineage")
def where_from(request: Request, hub: HubDep, run_id: Id) -> Response:
    found = lineage(hub.store, run_id)
    return page(request, "run_lineage.html", run=run_detail(hub.store, run_id), tab="lineage", found=found)


@router.post("/tags")
def tag(
    hub: HubDep, _: Editor, run_id: Id, tag: Annotated[Name, Form()], *, remove: Annotated[bool, Form()] = False
) -> Response:
    annotations.tag(hub.store, run_id, {tag: not remove})
    return back_to(f"/runs/{quote(run_id, safe='')}")


@router.post("/notes")
def note(hub: HubDep, _: Editor, run_id: Id, text: Annotated[Sentence, Form()]) -> Response:
    annotations.note(hub.store, run_id, text)
    return back_to(f"/runs/{quote(run_id, safe='')}")
