"""Pages by cursor: the place of the last row in the order, so that rows that are added meanwhile move nothing."""

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field
from sqlalchemy import Row, tuple_
from sqlalchemy.orm import Session

from experiment_hub.api.problems import RequestProblem
from experiment_hub.api.texts import is_plain

ItemT = TypeVar("ItemT")
LARGEST_PAGE = 500
LARGEST_INTEGER = 2**63 - 1
Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Rows of a page.")]
Cursor = Annotated[
    str | None, Query(max_length=4096, description="`next_cursor` of the page before; left out for the first page.")
]


class Page(BaseModel, Generic[ItemT]):
    items: list[ItemT]
    next_cursor: str | None = Field(description="Null on the last page.")


@dataclass(frozen=True)
class Key:
    """One column of an order; never NULL."""

    expression: Any
    kind: type[str] | type[int] | type[float]


@dataclass(frozen=True)
class Order:
    keys: tuple[Key, ...]
    """The last one is unique."""
    descending: bool = False
    label: str = ""
    """A cursor of one order means nothing in another."""

    @property
    def mark(self) -> str:
        return hashlib.sha256(f"{self.label}{self.descending}".encode("utf-8", "surrogatepass")).hexdigest()[:8]


def one_page(
    session: Session, query: Any, order: Order, cursor: str | None, limit: int
) -> tuple[list[Row[Any]], str | None]:
    """Rows of one page, whose last columns are the order's keys, and the cursor of the next page."""
    expressions = [key.expression for key in order.keys]
    if cursor is not None:
        place, here = tuple_(*expressions), tuple_(*_place(cursor, order))
        query = query.where(place < here if order.descending else place > here)
    ordered = query.order_by(*(each.desc() if order.descending else each.asc() for each in expressions))
    rows = list(session.execute(ordered.add_columns(*expressions).limit(limit + 1)))
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], _cursor(rows[limit - 1][-len(expressions) :], order)


def _cursor(values: Sequence[Any], order: Order) -> str:
    return base64.urlsafe_b64encode(json.dumps([order.mark, *values]).encode()).decode().rstrip("=")


def _place(cursor: str, order: Order) -> list[Any]:
    try:
        document = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise RequestProblem(422, "The cursor is none of this server's.") from error
    fits = isinstance(document, list) and len(document) == len(order.keys) + 1 and document[0] == order.mark
    if not fits or not all(_is(value, key.kind) for value, key in zip(document[1:], order.keys, strict=True)):
        raise RequestProblem(422, "The cursor belongs to another list or another order.")
    return list(document[1:])


def _is(value: Any, kind: type) -> bool:
    """Whether every database takes it for a column of this kind."""
    if kind is str:
        return isinstance(value, str) and is_plain(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if isinstance(value, int):
        return abs(value) <= LARGEST_INTEGER
    return kind is float and math.isfinite(value)
