"""How far each hook has been told: a small file for each in the state folder, replaced as a whole."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from worktrees.durable import write_durably

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "telling"


@dataclass(frozen=True, kw_only=True)
class Cursor:
    seq: int
    """The last event that the hook was told, or that did not concern it."""
    hook: str
    """Its name for people."""
    trouble: dict[str, Any] | None = None
    """What is wrong since when; None from the next success on."""


def read(state: Path, identity: str) -> Cursor | None:
    """Give the cursor; None for a hook that is new here."""
    file = _file(state, identity)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return Cursor(seq=int(found["seq"]), hook=str(found["hook"]), trouble=found.get("trouble"))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):  # damaged from outside: telling twice is better than not at all
        return Cursor(seq=0, hook=identity)


def keep(state: Path, identity: str, cursor: Cursor) -> None:
    write_durably(_file(state, identity), json.dumps(asdict(cursor)).encode())


def _file(state: Path, identity: str) -> Path:
    return state / FOLDER / f"{identity}.json"


def troubles(state: Path) -> list[dict[str, Any]]:
    """List the hooks that could not be told something, and why."""
    cursors = (read(state, file.stem) for file in sorted((state / FOLDER).glob("*.json")))
    return [{"hook": cursor.hook, **cursor.trouble} for cursor in cursors if cursor and cursor.trouble]
