"""The runs table."""

import json
import re
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from experiment_hub.api.context import HubDep
from experiment_hub.api.paging import Cursor
from experiment_hub.api.run_groups import Group, group_runs, known_names
from experiment_hub.api.run_query import PARAMETER, RunFilter
from experiment_hub.api.run_views import RunTable, choices, run_table
from experiment_hub.api.texts import MaybeText, Text
from experiment_hub.ui.rendering import page, wants_part

router = APIRouter()
PAGE = 50
GROUPED_BY = ["name", "project", "state", "seed"]
AND = re.compile(r"\s+and\s+", re.IGNORECASE)
NEWEST_FIRST = "-created_at"


@router.get("/")
def runs(  # noqa: PLR0913, PLR0917 -- each parameter is one of the query string
    request: Request,
    hub: HubDep,
    q: MaybeText = None,
    project: MaybeText = None,
    state: MaybeText = None,
    tag: MaybeText = None,
    where: MaybeText = None,
    group: MaybeText = None,
    sort: Text = NEWEST_FIRST,
    column: Annotated[list[Text] | None, Query(max_length=50)] = None,
    cursor: Cursor = None,
) -> Response:
    """The whole page, or only the table, or only its next rows."""
    engine = hub.store.engine
    wanted = RunFilter(project, state, None, tag, q, tuple(AND.split(where)) if where else ())
    asked = {"q": q, "project": project, "state": state, "tag": tag, "where": where}
    limit = 1 if group else PAGE  # groups show no runs
    table = run_table(engine, wanted, sort=sort or NEWEST_FIRST, cursor=cursor, limit=limit, columns=column)
    values: dict[str, Any] = {"table": table, "asked": asked, "sort": sort, "column": column, "group": group}
    values["filtered"] = any(asked.values())
    values["next_query"] = _query({**asked, "sort": sort, "cursor": table.next_cursor}, table.columns)
    if cursor:
        return page(request, "runs_rows.html", **values)
    values |= _heads(table, asked, sort, column)
    values["groups"] = _groups(group_runs(engine, wanted, group).items, group, asked) if group else None
    if wants_part(request):
        return page(request, "runs_table.html", **values)
    parameters = [name.removeprefix(PARAMETER) for name in table.columns if name.startswith(PARAMETER)]
    groupings = list(dict.fromkeys([*GROUPED_BY, *parameters, *([group] if group else [])]))
    return page(request, "runs.html", choices=choices(engine), groupings=groupings, **values)


@router.get("/columns")
def columns(
    request: Request, hub: HubDep, column: Annotated[list[Text] | None, Query(max_length=50)] = None
) -> Response:
    return page(request, "columns.html", known=known_names(hub.store.engine), chosen=column or [], asked={})


def _heads(table: RunTable, asked: dict[str, Any], sort: str, column: list[str] | None) -> dict[str, Any]:
    chosen = [(name, _title(name), "number") for name in table.columns]
    headers = [
        ("name", "Name", "text"),
        ("state", "State", "text"),
        *chosen,
        ("seed", "Seed", "number"),
        ("seconds", "Took", "number"),
        ("created_at", "Began", "text"),
    ]
    queries = {key: _query({**asked, "sort": _turned(key, sort)}, column or []) for key, _, _ in headers}
    return {"headers": headers, "sorted_by": queries, "column_query": _query({}, column or [])}


def _title(name: str) -> str:
    """Of a parameter its last part: `training.learning_rate` would be wider than its figures."""
    plain = name.partition(":")[2]
    parts = plain.split(".")
    if not name.startswith(PARAMETER) or not all(parts):
        return plain
    return ".".join(parts[-2:]) if parts[-1].isdecimal() else parts[-1]


def _turned(key: str, sort: str) -> str:
    """The first click sorts names upwards and figures downwards; the next one turns it round."""
    upwards = key in {"name", "state"}
    if sort.removeprefix("-") != key:
        return key if upwards else f"-{key}"
    return key if sort.startswith("-") else f"-{key}"


def _groups(found: list[Group], by: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**group.model_dump(), "query": _inside(group, by, asked)} for group in found]


def _inside(group: Group, by: str, asked: dict[str, Any]) -> str:
    """The table of one group's runs."""
    if by in asked:
        return _query({**asked, by: group.value}, [])
    value = group.value if isinstance(group.value, str) else json.dumps(group.value)
    conditions = [asked["where"], f"{by} = {value}"]
    return _query({**asked, "where": " and ".join(each for each in conditions if each)}, [])


def _query(values: dict[str, Any], column: list[str]) -> str:
    given = [(name, value) for name, value in values.items() if value not in {None, ""}]
    return urlencode([*given, *(("column", name) for name in column)])
