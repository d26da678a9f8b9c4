"""The one declarative base; `migrations/` creates the tables, these classes only use them."""

from typing import Any, ClassVar

from sqlalchemy import JSON, Double
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """Columns named `_at` are UTC, ISO 8601 with milliseconds, so that they sort as text; money is in US dollars."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {dict[str, Any]: JSON, list[Any]: JSON, float: Double}
