"""The model registry: looking, promoting, taking back; the rules are the registry's."""

from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from experiment_hub.api.context import HubDep, Operator
from experiment_hub.api.routers.models import Number
from experiment_hub.api.texts import Id, Name, PlainText
from experiment_hub.artifacts.catalog import catalog
from experiment_hub.registry import models, moves
from experiment_hub.registry.gate import Grounds
from experiment_hub.ui.forms import back_to
from experiment_hub.ui.rendering import page

router = APIRouter(prefix="/models")


@router.get("")
def every(request: Request, hub: HubDep) -> Response:
    found = catalog(hub.home)
    versions = models.versions(found)
    rows = [(model, [each for each in versions if each.model == model.name]) for model in models.models(found)]
    return page(request, "models.html", rows=rows)


@router.get("/{name}")
def one(request: Request, hub: HubDep, name: Id) -> Response:
    found = models.history(catalog(hub.home), name)
    aliases: dict[int, list[str]] = {}
    for each in found.aliases:
        aliases.setdefault(each.version, []).append(each.alias)
    undoable = {each.subject for each in found.events if each.kind in moves.TAKEN_BACK and each.undone_by is None}
    values: dict[str, Any] = {"found": found, "aliases": aliases, "undoable": sorted(undoable)}
    return page(request, "model.html", versions=list(reversed(found.versions)), **values)


@router.post("/{name}/promotion")
def promote(  # noqa: PLR0913 -- each parameter is a field of the form
    hub: HubDep,
    caller: Operator,
    name: Id,
    version: Annotated[int, Form(ge=1, le=2**31 - 1)],
    stage: Annotated[Literal["none", "staging", "production"], Form()],
    reason: Annotated[PlainText, Form()] = "",
    *,
    without_evaluation: Annotated[bool, Form()] = False,
) -> Response:
    grounds = Grounds(without_evaluation=without_evaluation, reason=reason.strip() or None)
    moves.promote(catalog(hub.home), name, version, stage=stage, grounds=grounds, actor=caller.name)
    return back_to(f"/models/{quote(name, safe='')}")


@router.post("/{name}/rollback")
def rollback(
    hub: HubDep, caller: Operator, name: Id, subject: Annotated[Name, Form()], reason: Annotated[PlainText, Form()] = ""
) -> Response:
    moves.rollback(catalog(hub.home), name, subject=subject, reason=reason.strip() or None, actor=caller.name)
    return back_to(f"/models/{quote(name, safe='')}")


@router.post("/{name}/versions/{version}/archive")
def archive(hub: HubDep, caller: Operator, name: Id, version: Number) -> Response:
    moves.archive(catalog(hub.home), name, version, reason=None, actor=caller.name)
    return back_to(f"/models/{quote(name, safe='')}")
