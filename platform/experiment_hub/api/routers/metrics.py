"""Definitions of metrics, every version that ever counted."""

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import select

from experiment_hub.api.context import HubDep
from experiment_hub.api.paging import Cursor, Key, Limit, Order, Page, one_page
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.tables import MetricVersion

router = APIRouter(tags=["metrics"])


class MetricOut(BaseModel, from_attributes=True):
    name: str
    version: int
    unit: str
    direction: str
    formula: str
    aggregation: str
    source: str
    definition_hash: str
    code_hash: str | None
    added_at: str


@router.get("/metrics")
def definitions(hub: HubDep, limit: Limit = 100, cursor: Cursor = None) -> Page[MetricOut]:
    """By name and version."""
    columns = [getattr(MetricVersion, name) for name in MetricOut.model_fields]
    order = Order((Key(MetricVersion.name, str), Key(MetricVersion.version, int)), label="definitions")
    with reading(hub.store.engine) as session:
        rows, following = one_page(session, select(*columns), order, cursor, limit)
    return Page(items=[MetricOut.model_validate(row) for row in rows], next_cursor=following)
