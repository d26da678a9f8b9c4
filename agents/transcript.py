"""The transcript of a run: one line of JSON for each thing that was said, asked for, refused or done, in every client's case the same."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agents.causes import Cause
    from agents.usage import Usage

Kind = Literal["told", "said", "thought", "call", "result", "usage", "note", "ended"]
LONGEST = 20_000
"""Characters of one text that are kept: the beginning of a longer one."""
LONGEST_FILE = 64 << 20


@dataclass(kw_only=True)
class Transcript:
    """Writes as it happens, secrets masked; any number of threads may write."""

    file: Path
    mask: Callable[[str], str] = field(repr=False)
    _room: int = LONGEST_FILE
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def told(self, text: str) -> None:
        """Keep what the agent was told by us."""
        self._write("told", text=text)

    def said(self, text: str) -> None:
        self._write("said", text=text)

    def thought(self, text: str) -> None:
        self._write("thought", text=text)

    def call(self, identity: str, tool: str, given: Mapping[str, Any]) -> None:
        """Keep that the model asked for a tool; `identity` is the client's, and names the call in the log of the live gate, too."""
        self._write("call", id=identity, tool=tool, given=dict(given))

    def result(self, identity: str, text: str, *, state: Literal["done", "failed", "refused"] = "done") -> None:
        self._write("result", id=identity, text=text, state=state)

    def usage(self, used: Usage) -> None:
        self._write("usage", **used.to_json())

    def note(self, text: str) -> None:
        """Keep what the harness or the client has to say about the run itself."""
        self._write("note", text=text)

    def ended(self, cause: Cause, reason: str) -> None:
        self._write("ended", cause=cause.value, text=reason)

    def _write(self, kind: Kind, **values: Any) -> None:
        event = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "kind": kind, **values}
        line = f"{self._line(event)}\n".encode(errors="backslashreplace")
        with self._lock:
            if self._room <= 0:
                return
            self._room -= len(line)
            if self._room <= 0:
                line = b'{"kind": "note", "text": "the transcript is full: what follows is not kept"}\n'
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("ab") as stream:
                stream.write(line)

    def _line(self, event: Mapping[str, Any]) -> str:
        try:
            return json.dumps(self._kept(event), ensure_ascii=False)
        except RecursionError:
            return json.dumps(self._kept({**event, "given": "[nested too deeply to be kept]"}))

    def _kept(self, value: Any) -> Any:
        """Mask and shorten each text by itself: in this order, so that no half of a secret is left."""
        if isinstance(value, str):
            return _cut(self.mask(value[: 4 * LONGEST]), whole=len(value))
        if isinstance(value, dict):
            return {key: self._kept(each) for key, each in value.items()}
        return [self._kept(each) for each in value] if isinstance(value, list | tuple) else value


def _cut(text: str, *, whole: int) -> str:
    if whole <= LONGEST and len(text) <= 2 * LONGEST:  # a mask may be longer than what it hides
        return text
    return f"{text[:LONGEST]}\n[{whole - LONGEST} of {whole} characters left out]"
