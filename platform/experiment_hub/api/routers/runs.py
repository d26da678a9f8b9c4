"""Runs: the table, one run, its curves, log, artifacts, and what people say about it."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from experiment_hub.api.artifact_views import ArtifactName, names_of
from experiment_hub.api.context import Editor, HubDep
from experiment_hub.api.curves import CurveOut, Window, one_curve
from experiment_hub.api.paging import Cursor, Limit, Page
from experiment_hub.api.problems import documented
from experiment_hub.api.run_comparison import MOST_RUNS, Comparison, comparison
from experiment_hub.api.run_details import MetricSummary, RunDetail, metric_page, run_detail
from experiment_hub.api.run_groups import Groups, Names, group_runs, known_names
from experiment_hub.api.run_lineage import Lineage, lineage
from experiment_hub.api.run_logs import LogPart, log_part, whole_log
from experiment_hub.api.run_query import RunFilter
from experiment_hub.api.run_views import RunTable, run_table
from experiment_hub.api.texts import Id, MaybeText, Name, Sentence, Text
from experiment_hub.tracking import annotations
from experiment_hub.tracking.output import Position

router = APIRouter(tags=["runs"])
UNKNOWN = documented(404)
CHANGE = documented(404, 409)
TEXT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "All of it that is kept."}
}
Conditions = Annotated[list[Text] | None, Query(max_length=20, description="`NAME SIGN VALUE`, e.g. `val.loss<0.1`.")]
Columns = Annotated[list[Text] | None, Query(max_length=50, description="Metrics and parameters; default: a few.")]
Whole = Annotated[int, Query(ge=0, le=2**53)]


class Curves(BaseModel):
    run: str
    curves: list[CurveOut]


class TagIn(BaseModel, extra="forbid"):
    tag: Name


class NoteIn(BaseModel, extra="forbid"):
    note: Sentence


@router.get("/runs")
def list_runs(  # noqa: PLR0913, PLR0917 -- each parameter is one of the query string
    hub: HubDep,
    project: MaybeText = None,
    state: MaybeText = None,
    kind: MaybeText = None,
    tag: MaybeText = None,
    q: MaybeText = None,
    where: Conditions = None,
    column: Columns = None,
    sort: Text = "-created_at",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> RunTable:
    """The runs table: filtered, sorted, one page; newest first by default."""
    wanted = RunFilter(project, state, kind, tag, q, tuple(where or ()))
    return run_table(hub.store.engine, wanted, sort=sort, cursor=cursor, limit=limit, columns=column)


@router.get("/run-groups")
def group(  # noqa: PLR0913, PLR0917 -- each parameter is one of the query string
    hub: HubDep,
    by: Text,
    project: MaybeText = None,
    state: MaybeText = None,
    kind: MaybeText = None,
    tag: MaybeText = None,
    q: MaybeText = None,
    where: Conditions = None,
    metric: Annotated[list[Text] | None, Query(max_length=10)] = None,
) -> Groups:
    """Runs by the value of a column or a parameter, with mean and range of metrics."""
    return group_runs(hub.store.engine, RunFilter(project, state, kind, tag, q, tuple(where or ())), by, metric)


@router.get("/run-columns")
def columns(hub: HubDep) -> Names:
    """Names of metrics and parameters that the table can show."""
    return known_names(hub.store.engine)


@router.get("/comparison", responses=UNKNOWN)
def compare(hub: HubDep, run: Annotated[list[Text], Query(min_length=1, max_length=MOST_RUNS)]) -> Comparison:
    """Several runs side by side."""
    return comparison(hub.store, run)


@router.get("/runs/{run_id}", responses=UNKNOWN)
def one(hub: HubDep, run_id: Id) -> RunDetail:
    """Everything that is recorded about a run, but its figures."""
    return run_detail(hub.store, run_id)


@router.post("/runs/{run_id}/notes", responses=CHANGE)
def add_note(hub: HubDep, _: Editor, run_id: Id, body: NoteIn) -> RunDetail:
    """Add a paragraph to its notes."""
    annotations.note(hub.store, run_id, body.note)
    return run_detail(hub.store, run_id)


@router.post("/runs/{run_id}/tags", responses=CHANGE)
def add_tag(hub: HubDep, _: Editor, run_id: Id, body: TagIn) -> RunDetail:
    """Set a tag; setting it twice changes nothing."""
    annotations.tag(hub.store, run_id, {body.tag: True})
    return run_detail(hub.store, run_id)


@router.delete("/runs/{run_id}/tags", responses=CHANGE)
def remove_tag(hub: HubDep, _: Editor, run_id: Id, tag: Text) -> RunDetail:
    """Take a tag away; one that is not there is no error."""
    annotations.tag(hub.store, run_id, {tag: False})
    return run_detail(hub.store, run_id)


@router.get("/runs/{run_id}/metrics", responses=UNKNOWN)
def metrics(hub: HubDep, run_id: Id, limit: Limit = 100, cursor: Cursor = None) -> Page[MetricSummary]:
    """Summaries of its curves, by name."""
    return metric_page(hub.store, run_id, cursor, limit)


@router.get("/runs/{run_id}/curves", responses=UNKNOWN)
def curves_of_run(  # noqa: PLR0913, PLR0917 -- each parameter is one of the query string
    hub: HubDep,
    run_id: Id,
    name: Annotated[list[Text], Query(min_length=1, max_length=50)],
    points: Annotated[int, Query(ge=10, le=10_000)] = 1000,
    first: Annotated[float | None, Query(allow_inf_nan=False)] = None,
    last: Annotated[float | None, Query(allow_inf_nan=False)] = None,
    axis: Literal["step", "time"] = "step",
) -> Curves:
    """Thinned to what a screen can show: of each stretch its least and its greatest value."""
    run = hub.store.run(run_id)
    window = Window(points, first, last, axis)
    found = [one_curve(hub.home / run.folder, each, window, running=run.state == "running") for each in name]
    return Curves(run=run.id, curves=found)


@router.get("/runs/{run_id}/log", responses=UNKNOWN)
def log(hub: HubDep, run_id: Id, piece: Whole = 0, offset: Whole = 0) -> LogPart:
    """At most about a mebibyte of what it printed, from a position on."""
    return log_part(hub.home / hub.store.run(run_id).folder, Position(piece, offset))


@router.get("/runs/{run_id}/log.txt", responses=UNKNOWN | TEXT, response_class=Response)
def log_file(hub: HubDep, run_id: Id) -> StreamingResponse:
    """What it printed, as one file."""
    folder = hub.home / hub.store.run(run_id).folder
    return StreamingResponse(whole_log(folder), media_type="text/plain; charset=utf-8")


@router.get("/runs/{run_id}/artifacts", responses=UNKNOWN)
def artifacts(hub: HubDep, run_id: Id, limit: Limit = 100, cursor: Cursor = None) -> Page[ArtifactName]:
    """What it stored, by name."""
    hub.store.run(run_id)
    return names_of(hub.store.engine, ("run", run_id), cursor, limit)


@router.get("/runs/{run_id}/lineage", responses=UNKNOWN)
def where_from(hub: HubDep, run_id: Id) -> Lineage:
    """Where it comes from, and what came out of it."""
    return lineage(hub.store, run_id)
