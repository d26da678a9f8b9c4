"""How commands speak: a result on standard output, as text or as exactly one JSON document."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def say(data: Any, text: Callable[[], str], *, as_json: bool) -> None:
    """Write the result; `text` is only asked for when a person reads."""
    shown = json.dumps(data, indent=2, default=str) if as_json else text()
    sys.stdout.write(shown.rstrip("\n") + "\n")
    sys.stdout.flush()


def table(rows: list[tuple[str, ...]]) -> str:
    """Align columns with two spaces between them."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
