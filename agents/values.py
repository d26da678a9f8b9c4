"""Values out of what a client or a model's service sent, believed in nothing: what is of another type counts as nothing."""

from __future__ import annotations

import json
import math
from typing import Any

Object = dict[str, Any]
MOST = 10**12
"""No count and no sum of money is as great."""


def parsed(line: bytes | str) -> Object | None:
    """Read one JSON object; None where it is anything else."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def shown(line: bytes) -> str:
    """Give the beginning of what could not be read."""
    return repr(line[:80].decode(errors="replace"))


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def table(value: Any) -> Object:
    return value if isinstance(value, dict) else {}


def tables(value: Any) -> list[Object]:
    """Give those items of a list that are objects."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def count(value: Any) -> int:
    number = whole(value)
    return number if number is not None and 0 <= number <= MOST else 0


def amount(value: Any) -> float | None:
    """Give a sum of money, or a moment in time."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known and 0 <= value <= MOST else None
