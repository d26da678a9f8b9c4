"""The file of the workflow engine, as safe from a power cut as the records themselves.

Each machine has its own, also where the records are on a server: a workflow is only the thread that drives a feature, and who drives what
is decided by claims. What a feature has come to is in the records, so a damaged file is set aside and its features are begun again there.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from memory.embedded import settle

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

FILE = "workflows.sqlite"


def engine(folder: Path) -> Engine:
    """Open the engine's file in the state folder; raise EnvironmentFailure where it could not survive a power cut."""
    import sqlalchemy

    file = folder / FILE
    _set_aside_if_damaged(file)
    found = sqlalchemy.create_engine(f"sqlite:///{file}")

    @sqlalchemy.event.listens_for(found, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        settle(connection, str(file))

    return found


def _set_aside_if_damaged(file: Path) -> None:
    if not file.exists() or _sound(file):
        return
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    for ending in ("-journal", "-wal", "-shm", ""):
        found = file.with_name(f"{file.name}{ending}")
        if found.exists():
            found.rename(found.with_name(f"{found.name}.damaged-{stamp}"))


def _sound(file: Path) -> bool:
    try:
        with closing(sqlite3.connect(file, timeout=60)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.OperationalError:
        return True  # busy, or not to be read: no sign of damage
    except sqlite3.DatabaseError:
        return False
