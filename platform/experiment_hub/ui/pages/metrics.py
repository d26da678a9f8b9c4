"""Definitions of metrics."""

from collections import defaultdict
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response

from experiment_hub.api.context import HubDep
from experiment_hub.metadata import metric_versions
from experiment_hub.ui.rendering import page

if TYPE_CHECKING:
    from experiment_hub.metadata.tables import MetricVersion

router = APIRouter()


@router.get("/metrics")
def metrics(request: Request, hub: HubDep) -> Response:
    named: dict[str, list[MetricVersion]] = defaultdict(list)
    for each in metric_versions.versions(hub.store.engine):
        named[each.name].insert(0, each)
    return page(request, "metrics.html", named=named)
