"""The plain form: `codex exec`, whose events show neither who was asked nor what was refused."""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.causes import Cause
from agents.clients.codex.errors import error_of
from agents.clients.codex.server import message_of
from agents.clients.codex.turn import usage_of
from agents.endings import EndedError
from agents.protocol import ToolCall

if TYPE_CHECKING:
    from pathlib import Path

    from agents.clients.codex.server import Message
    from agents.clients.codex.turn import Heard, State
    from agents.protocol import Bench
    from worktrees.conversation import Conversation

_TALK = frozenset({"agent_message", "reasoning", "todo_list", "error"})
_RECORDED = {"CommandExecution": "Bash", "FileChange": "apply_patch", "McpToolCall": "mcp"}
LONGEST_RECORD = 4 << 20


@dataclass(kw_only=True)
class Exec:
    """Listens to one run."""

    talk: Conversation
    bench: Bench
    heard: Heard
    patience_s: float
    model: str = ""
    _completed: bool = False
    _error: EndedError | None = None

    def run(self, text: str) -> None:
        """Say `text` and listen until the stream ends; raise EndedError where it did not end well."""
        self.bench.transcript.told(text)
        self.talk.send(text.encode(errors="backslashreplace"))
        self.talk.close_input()
        while (message := message_of(self.talk, self.patience_s)) is not None:
            self._hear(message)
        if self._error:
            raise self._error
        if not self._completed:
            raise EndedError(Cause.CRASH, "Codex ended before it was done")

    def _hear(self, event: Message) -> None:
        kind, item = event.get("type"), event.get("item")
        if kind == "thread.started":
            self.heard.session = str(event.get("thread_id") or "")[:200]
        elif kind in {"item.started", "item.completed"} and isinstance(item, dict):
            self._item(item, over=kind == "item.completed")
        elif kind == "turn.completed":
            self._completed = True
            self.heard.counted = usage_of(event.get("usage"), self.model)
        elif kind == "turn.failed":
            self._error = error_of(event.get("error"))
        elif kind == "error":
            self._error = error_of(event)

    def _item(self, item: dict[str, Any], *, over: bool) -> None:
        kind, identity = str(item.get("type")), str(item.get("id"))
        if kind == "agent_message":
            self.bench.transcript.said(self.heard.say(item.get("text")))
        elif kind == "reasoning":
            self.bench.transcript.thought(str(item.get("text") or ""))
        elif kind == "error":
            self.bench.transcript.note(str(item.get("message")))
        elif kind not in _TALK and not over:
            given: Message = {key: item[key] for key in ("command", "changes", "tool", "query") if key in item}
            self.bench.transcript.call(identity, kind, given)
        elif kind not in _TALK:
            self.heard.shown += 1
            state: State = "done" if item.get("status") == "completed" else "failed"
            self.bench.transcript.result(identity, str(item.get("aggregated_output") or ""), state=state)


def record_of(home: Path, session: str) -> Path | None:
    """Find the client's own record of a session; None where it has none."""
    if not session or not session.replace("-", "").isalnum():
        return None
    found = sorted((home / "sessions").glob(f"*/*/*/rollout-*-{session}.jsonl"))
    return next((path for path in found if stat.S_ISREG(path.lstat().st_mode)), None)


def reconcile(heard: Heard, record: Path | None, *, since: int) -> None:
    """Take the calls from the record: it has the names under which the gate was asked, which the stream has not.

    A call that the stream shows and the record does not keeps a name that nobody was asked about.
    """
    for call in _recorded(record, since) if record else ():
        heard.made(call)
    for number in range(len(heard.calls), heard.shown):
        heard.made(ToolCall(id=f"unrecorded-{number + 1}", tool="Bash", refused=False))


def _recorded(record: Path, since: int) -> list[ToolCall]:
    found = []
    with record.open("rb") as stream:
        stream.seek(since)
        while line := stream.readline(LONGEST_RECORD):
            if b'"item_completed"' in line and (call := _call(line)):
                found.append(call)
    return found


def _call(line: bytes) -> ToolCall | None:
    try:
        item = json.loads(line)["payload"]["item"]
        kind, identity, status = item["type"], item["id"], item.get("status")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    tool = _RECORDED.get(str(kind))
    return ToolCall(id=str(identity), tool=tool, refused=False) if tool and status != "declined" else None
