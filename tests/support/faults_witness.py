"""What somebody outside saw the harness acknowledge: none of it may ever be gone again."""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faults_place import Place


@dataclass(kw_only=True)
class Witness:
    """Reads the event log as anybody may, and remembers it."""

    place: Place
    seen: dict[int, str] = field(default_factory=dict)
    """Hash of each event by its number."""
    landed: dict[str, str] = field(default_factory=dict)
    """Commit by ticket, as the events tell it and as `--json` does."""
    captured: set[tuple[str, int]] = field(default_factory=set)
    """Attempts whose work was acknowledged as kept."""
    kinds: list[str] = field(default_factory=list)

    def look(self) -> None:
        """Take down what is new; a database that is busy, or not there yet, acknowledges nothing."""
        with suppress(sqlite3.OperationalError):
            last = max(self.seen, default=0)
            for event in self.place.rows("SELECT * FROM events WHERE seq > ? ORDER BY seq", last):
                self._take(event)

    def _take(self, event: dict[str, Any]) -> None:
        self.seen[event["seq"]] = event["hash"]
        self.kinds.append(event["kind"])
        if event["kind"] == "landing.moved":
            self.landed[event["ticket"]] = json.loads(event["data"])["new"]
        if event["kind"] == "attempt.captured":
            self.captured.add((event["ticket"], event["attempt"]))

    def hear(self, outcome: dict[str, Any]) -> None:
        """Take down what `feature --json` or `resume --json` said."""
        for row in outcome.get("tickets", []):
            if row.get("landed"):
                self.landed[row["id"]] = row["landed"]
