"""What Claude Code says while it works, kept: transcript, tool calls, usage, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from agents.clients.claude import usage
from agents.clients.claude.wire import BrokenError
from agents.protocol import ToolCall
from agents.usage import NOTHING, Usage
from agents.values import amount, table, tables, text, whole

if TYPE_CHECKING:
    from agents.clients.claude.wire import Event
    from agents.transcript import Transcript

MOST_CALLS = 20_000
"""Tool calls of one run; a client that shows more does not show what happens."""
FAR = 10**11
"""No Unix time is as great."""
_NO_MODEL = "<synthetic>"
"""Under this name the client speaks itself."""
# a call that the client refused by itself, before any question: unknown tool, wrong arguments, file not there
_NOT_MADE = "<tool_use_error>"


@dataclass(kw_only=True)
class Stream:
    """One run's events, taken in one by one."""

    transcript: Transcript
    session: str = ""
    model: str = ""
    """The one that answered last, or is about to."""
    words: str = ""
    """What the model said last."""
    error: str = ""
    """What the client said itself: trouble with the model's service."""
    error_status: int | None = None
    quota_until: float | None = None
    quota_used_up: bool = False
    result: Event | None = None
    live: Usage = NOTHING
    """A lower bound, for as long as there is no result."""
    denied: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    """Calls that the gate was asked about."""
    made: dict[str, ToolCall] = field(default_factory=dict)
    _open: dict[str, str] = field(default_factory=dict)
    _message: tuple[str, Usage, int] = ("", NOTHING, 0)
    """Of the answer under way: its id, what was counted before it, and characters until now."""

    def take(self, event: Event) -> None:
        """Take in one event; raise BrokenError where it contradicts what came before. Kinds that nobody knows are left out."""
        kind = event["type"]
        if kind == "system":
            self._system(event)
        elif kind == "assistant":
            self._assistant(event)
        elif kind == "user":
            self._results(event)
        elif kind == "result":
            self._ended(event)
        elif kind == "rate_limit_event":
            self._allowance(event)

    def skipped(self) -> None:
        """Note that the result of some tool was too long to be read: which one it was is not known."""
        self.transcript.note("the result of a tool was too long to be read, and was left out")
        for identity in list(self._open):
            self._close(identity, refused=None)

    def _system(self, event: Event) -> None:
        subtype = event.get("subtype")
        if subtype == "init":
            self._begun(event)
        elif subtype == "api_retry":
            self.error_status = whole(event.get("error_status"))
            self.transcript.note(
                f"the model's service refused ({self.error_status or event.get('error')}); the client tries again"
            )
        elif subtype == "compact_boundary":
            self.transcript.note("the client shortened the conversation, to fit into the model")

    def _begun(self, event: Event) -> None:
        session = text(event.get("session_id"))
        if self.session and session != self.session:
            raise BrokenError("it changed its session in the middle of the run")
        self.session, self.model = session, text(event.get("model")) or self.model

    def _assistant(self, event: Event) -> None:
        message = table(event.get("message"))
        blocks = tables(message.get("content"))
        if message.get("model") == _NO_MODEL or event.get("error"):
            self.error = " ".join(text(block.get("text")) for block in blocks) or text(event.get("error"))
            self.error_status = whole(event.get("api_error_status"))
            self.transcript.note(f"the client says: {self.error}")
            return
        if not event.get("parent_tool_use_id"):
            self.model = text(message.get("model")) or self.model
        for block in blocks:
            self._said(block)
        self._count(message, sum(len(str(block.get(key, ""))) for block in blocks for key in _WRITTEN))

    def _said(self, block: Event) -> None:
        kind = block.get("type")
        if kind == "text" and (said := text(block.get("text"))):
            self.words = said
            self.transcript.said(said)
        elif kind == "thinking" and (thought := text(block.get("thinking"))):
            self.transcript.thought(thought)
        elif kind == "tool_use":
            self._called(block)

    def _called(self, block: Event) -> None:
        identity, tool = text(block.get("id")), text(block.get("name"))
        if not identity or self._open.get(identity, tool) != tool or identity in self.made:
            raise BrokenError(f"it shows two calls under the id {identity[:80]!r}")
        if len(self._open) + len(self.made) >= MOST_CALLS:
            raise BrokenError(f"it shows more than {MOST_CALLS} tool calls")
        self._open[identity] = tool
        self.transcript.call(identity, tool, table(block.get("input")))

    def _count(self, message: Event, characters: int) -> None:
        """Count an answer once, though each of its parts is an event of its own."""
        identity, before, written = self._message
        if (current := text(message.get("id"))) != identity:
            before, written = self.live, 0
        written += characters
        self._message = (current, before, written)
        self.live = before + usage.of_message(message.get("usage"), written=written)

    def _results(self, event: Event) -> None:
        metas = tables(event.get("tool_result_meta"))
        decisions = {
            text(meta.get("id")): text(table(meta.get("permission_decision")).get("decision")) for meta in metas
        }
        for block in tables(table(event.get("message")).get("content")):
            if block.get("type") == "tool_result":
                self._result(block, decisions.get(text(block.get("tool_use_id"))))

    def _result(self, block: Event, decision: str | None) -> None:
        identity, said = text(block.get("tool_use_id")), _plain(block.get("content"))
        failed = bool(block.get("is_error"))
        if identity not in self._open:
            raise BrokenError(f"it shows the result of a call that it did not show ({identity[:80]!r})")
        state: Literal["done", "failed", "refused"] = "failed" if failed else "done"
        self.transcript.result(identity, said, state="refused" if identity in self.denied else state)
        if failed and decision is None and identity not in self.asked and said.startswith(_NOT_MADE):
            del self._open[identity]
        elif failed and decision != "accept":
            self._close(identity, refused=True if decision == "reject" else None)
        else:
            self._close(identity, refused=False)

    def _close(self, identity: str, *, refused: bool | None) -> None:
        self.made[identity] = ToolCall(id=identity, tool=self._open.pop(identity), refused=refused)

    def _ended(self, event: Event) -> None:
        if self.result is not None:
            raise BrokenError("it gave two results")
        if self.session and text(event.get("session_id")) != self.session:
            raise BrokenError("its result is of another session")
        self.result = event
        self.error_status = whole(event.get("api_error_status")) or self.error_status

    def _allowance(self, event: Event) -> None:
        """Keep until when the account's allowance is used up."""
        given = table(event.get("rate_limit_info"))
        self.quota_used_up = given.get("status") == "rejected"
        until = amount(given.get("resetsAt")) if self.quota_used_up else None
        self.quota_until = until if until is not None and until < FAR else None


_WRITTEN = ("text", "thinking", "input")


def _plain(content: Any) -> str:
    """Give a tool's result as text; of pictures and the like only their kind."""
    if isinstance(content, str):
        return content
    return "\n".join(text(part.get("text")) or f"[{text(part.get('type'))}]" for part in tables(content))
