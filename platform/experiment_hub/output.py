"""What people and programs read: results on stdout, everything else on stderr."""

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from experiment_hub.errors import HubError

KIB = 1024


def progress(line: str) -> None:
    sys.stderr.write(f"{visible(line)}\n")
    sys.stderr.flush()


def emit(document: Any, lines: Iterable[str], *, as_json: bool) -> None:
    """The document with `--json`, otherwise the lines."""
    text = json.dumps(document, allow_nan=False) if as_json else "\n".join(map(visible, lines))
    sys.stdout.write(f"{text}\n")


def report(error: HubError, *, as_json: bool) -> None:
    message = " ".join(str(error).split())
    progress(f"error: {message}")
    if as_json:
        sys.stdout.write(f"{json.dumps({'error': message, 'kind': type(error).__name__})}\n")


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    cells = [list(header), *([visible(shown(cell), kept="") for cell in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def size(count: float) -> str:
    """Of so many bytes."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < KIB:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= KIB
    return f"{count:.1f} TiB"


def shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def visible(text: str, *, kept: str = "\n\t") -> str:
    """Names come from anywhere: what would steer a terminal, turn text around or break a table is shown as its escape."""
    return text if text.isprintable() else "".join(map(partial(_escaped, kept=kept), text))


def _escaped(each: str, *, kept: str) -> str:
    harmless = each.isprintable() or each in kept or unicodedata.category(each) == "Zs"
    return each if harmless else each.encode("unicode_escape").decode()
