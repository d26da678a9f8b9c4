"""Tokens: for admins only."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import select

from experiment_hub.api import tokens
from experiment_hub.api.context import Admin, HubDep
from experiment_hub.api.paging import Cursor, Key, Limit, Order, Page, one_page
from experiment_hub.api.problems import documented
from experiment_hub.api.texts import Id, Name
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.tables import Token

router = APIRouter(tags=["tokens"])


class TokenIn(BaseModel, extra="forbid"):
    name: Name
    role: Literal["viewer", "editor", "operator", "admin"] = "viewer"
    days: Annotated[int, Field(ge=1, le=tokens.LONGEST_DAYS)] | None = None


class TokenOut(BaseModel, from_attributes=True):
    id: str
    name: str
    role: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class NewTokenOut(TokenOut):
    secret: str | None = Field(description="Shown once: null where the request was answered before.")


@router.get("/tokens")
def every(hub: HubDep, _: Admin, limit: Limit = 100, cursor: Cursor = None) -> Page[TokenOut]:
    """All of them, without their secrets; oldest first."""
    query = select(*(getattr(Token, name) for name in TokenOut.model_fields))
    order = Order((Key(Token.created_at, str), Key(Token.id, str)), label="tokens")
    with reading(hub.store.engine) as session:
        rows, following = one_page(session, query, order, cursor, limit)
    return Page(items=[TokenOut.model_validate(row) for row in rows], next_cursor=following)


@router.post("/tokens", status_code=201, responses=documented(409))
def create(hub: HubDep, _: Admin, body: TokenIn) -> NewTokenOut:
    """Make one."""
    made = tokens.create(hub.store.engine, body.name, body.role, days=body.days)
    return NewTokenOut(**TokenOut.model_validate(made.record).model_dump(), secret=made.secret)


@router.delete("/tokens/{token_id}", responses=documented(404))
def revoke(hub: HubDep, _: Admin, token_id: Id) -> TokenOut:
    """Worth nothing from the next request on."""
    return TokenOut.model_validate(tokens.revoke(hub.store.engine, token_id))
