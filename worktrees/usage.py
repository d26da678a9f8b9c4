"""How much of the disk a folder takes, and how old it is; links are counted, and never followed."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
STEP = 1024


@dataclass(frozen=True, kw_only=True)
class Usage:
    path: Path
    bytes: int
    """On the disk; what cannot be read counts as nothing."""
    age_s: float
    """Since the thing itself was changed last; for a folder, since an entry was added to it or removed."""


def usage_of(path: Path) -> Usage:
    try:
        status = path.lstat()
    except OSError:
        return Usage(path=path, bytes=0, age_s=0.0)
    held = status.st_blocks * 512 + (_below(path) if stat.S_ISDIR(status.st_mode) else 0)
    return Usage(path=path, bytes=held, age_s=max(0.0, time.time() - status.st_mtime))


def _below(folder: Path) -> int:
    total, todo = 0, [os.fspath(folder)]
    while todo:
        try:
            rows = list(os.scandir(todo.pop()))
        except OSError:
            continue
        for row in rows:
            status = _status(row)
            total += status.st_blocks * 512 if status else 0
            if row.is_dir(follow_symlinks=False):
                todo.append(row.path)
    return total


def _status(row: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return row.stat(follow_symlinks=False)
    except OSError:
        return None


def shown(size: float) -> str:
    """Write a size as a person reads it."""
    for unit in UNITS[:-1]:
        if size < STEP:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= STEP
    return f"{size:.1f} {UNITS[-1]}"
