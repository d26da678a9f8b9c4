"""What people and programs read: results on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from experiment_hub.errors import HubError


def progress(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def emit(document: Any, lines: Iterable[str], *, as_json: bool) -> None:
    """The document with `--json`, otherwise the lines."""
    text = json.dumps(document, allow_nan=False) if as_json else "\n".join(lines)
    sys.stdout.write(f"{text}\n")


def report(error: HubError, *, as_json: bool) -> None:
    message = " ".join(str(error).split())
    progress(f"error: {message}")
    if as_json:
        sys.stdout.write(f"{json.dumps({'error': message, 'kind': type(error).__name__})}\n")


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    cells = [list(header), *([shown(cell) for cell in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
