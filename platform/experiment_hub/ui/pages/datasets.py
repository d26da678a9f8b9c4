"""Registered datasets."""

from collections import defaultdict
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response

from experiment_hub.api.context import HubDep
from experiment_hub.api.texts import Id
from experiment_hub.datasets import versions
from experiment_hub.ui.rendering import page

if TYPE_CHECKING:
    from experiment_hub.metadata.tables import DatasetVersion

router = APIRouter(prefix="/datasets")


@router.get("")
def every(request: Request, hub: HubDep) -> Response:
    named: dict[str, list[DatasetVersion]] = defaultdict(list)
    for each in versions.versions(hub.store.engine):
        named[each.name].insert(0, each)
    return page(request, "datasets.html", named=named)


@router.get("/{reference}")
def one(request: Request, hub: HubDep, reference: Id) -> Response:
    found = versions.version(hub.store.engine, reference)
    older = versions.versions(hub.store.engine, found.name)
    return page(request, "dataset.html", found=found, older=list(reversed(older)))
