"""Registered states of datasets; never samples."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import select

from experiment_hub.api.context import HubDep
from experiment_hub.api.paging import Cursor, Key, Limit, Order, Page, one_page
from experiment_hub.api.problems import documented
from experiment_hub.api.texts import Id, MaybeText
from experiment_hub.datasets import versions
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.tables import DatasetVersion

router = APIRouter(tags=["datasets"])


class DatasetOut(BaseModel, from_attributes=True):
    name: str
    version: int
    hash: str
    fingerprint: str
    samples: int
    parent_hash: str | None
    created_at: str


class DatasetDetail(DatasetOut):
    manifest: dict[str, Any]


@router.get("/datasets")
def every(hub: HubDep, name: MaybeText = None, limit: Limit = 100, cursor: Cursor = None) -> Page[DatasetOut]:
    """By name and version."""
    query = select(*(getattr(DatasetVersion, column) for column in DatasetOut.model_fields))
    if name:
        query = query.where(DatasetVersion.name == name)
    order = Order((Key(DatasetVersion.name, str), Key(DatasetVersion.version, int)), label="datasets")
    with reading(hub.store.engine) as session:
        rows, following = one_page(session, query, order, cursor, limit)
    return Page(items=[DatasetOut.model_validate(row) for row in rows], next_cursor=following)


@router.get("/datasets/{reference}", responses=documented(404))
def one(hub: HubDep, reference: Id) -> DatasetDetail:
    """By NAME, NAME@VERSION, or the start of a hash."""
    return DatasetDetail.model_validate(versions.version(hub.store.engine, reference))
