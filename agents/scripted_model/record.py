"""What was asked of the scripted model: one row for each request.

Keys: `at` (Unix time), `method`, `path`, `status` (as answered; 0: none), `bytes` (of the body), `auth` (names of the headers that bring a key, never
their values); of requests to the model also `wire`, `model` (asked for), `stream`, `conversation` and `step` (numbers in the script; the script's
own steps are conversation -1; the step is null for requests without tools), `told` (what the user said last), `tools` (names that are offered),
`results` (of tools, since the last answer), `reply` (tools that the answer calls), `unknown` (those of them that were not offered), `fault`.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

LONGEST = 4000
"""Characters of each text that are kept."""
MOST = 100_000
"""Rows that are kept."""


@dataclass(kw_only=True)
class Record:
    log: Path | None = None
    _rows: list[dict[str, Any]] = field(default_factory=list)
    _met: Counter[Hashable] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def rows(self) -> list[dict[str, Any]]:
        with self._lock:
            return [dict(row) for row in self._rows]

    def add(self, row: dict[str, Any]) -> None:
        with self._lock:
            if len(self._rows) < MOST:
                self._rows.append(row)
            if self.log is not None:
                with self.log.open("a", encoding="utf-8") as stream:
                    stream.write(f"{json.dumps(row)}\n")

    def met(self, what: Hashable) -> int:
        """Count that a fault was asked for once more; give how often until now."""
        with self._lock:
            self._met[what] += 1
            return self._met[what]
