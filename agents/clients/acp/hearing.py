"""What an ACP agent says while it works: kept as a transcript, counted, and measured against its bounds."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from agents.causes import Cause
from agents.clients.acp.questions import joined
from agents.endings import End
from agents.protocol import ToolCall
from agents.usage import NOTHING, Usage
from agents.values import amount, count, table, tables, text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agents.protocol import Stop
    from agents.transcript import Transcript

SAID_BYTES = 1 << 20
"""Of one message; what follows is left out."""
CALLS = 10_000
"""Tool calls of one run; a client that announces more is not at work."""
HELD_BYTES = 64 << 20
"""Arguments of tool calls that have not ended."""
_ENDED = frozenset({"completed", "failed"})


@dataclass(kw_only=True)
class Call:
    """A tool call, with all that was said about it so far."""

    said: dict[str, Any]
    asked: bool = False
    refused: bool = False
    made: bool = False
    """Whether the client's stream shows it, and not its question alone."""
    kept: bool = False
    ended: bool = False
    size: int = 0
    """Of its arguments, as JSON."""

    @property
    def kind(self) -> str:
        return text(self.said.get("kind")) or "other"

    @property
    def given(self) -> dict[str, Any]:
        title = {"title": self.said["title"]} if self.said.get("title") else {}
        return table(self.said.get("rawInput")) or title


@dataclass(kw_only=True)
class Speech:
    """What is said in pieces, up to a bearable length."""

    pieces: list[str] = field(default_factory=list)
    size: int = 0

    def add(self, piece: str) -> None:
        if self.size < SAID_BYTES:
            self.pieces.append(piece)
            self.size += len(piece)

    def take(self) -> str:
        """Give all of it, and begin anew."""
        whole = "".join(self.pieces)
        self.pieces, self.size = [], 0
        return whole


@dataclass(kw_only=True)
class Hearing:
    """Listens to one run. Only the thread that reads may call it."""

    transcript: Transcript
    may_go_on: Stop
    before: Usage
    """What the session had used before."""
    max_turns: int
    replaying: bool = False
    """While a session is loaded its agent says all again that was said before."""
    calls: dict[str, Call] = field(default_factory=dict)
    used: Usage = NOTHING
    cost: float | None = None
    """Of the whole session, in dollars, as the client counts it."""
    answers: int = 0
    stop: End | None = None
    """Why it must end now."""
    rebuff: str = ""
    """Why the last call of this turn that was refused was."""
    _said: Speech = field(default_factory=Speech)
    _thought: Speech = field(default_factory=Speech)
    _last: str = ""
    """What it said last, where it did nothing afterwards."""
    _held: int = 0
    _waiting: bool = True
    """Whether what comes next is a new answer of the model."""

    def update(self, said: Mapping[str, Any]) -> None:
        """Take one `session/update` in; whatever it holds, this does not fail."""
        listener = _LISTENERS.get(text(said.get("sessionUpdate")))
        if listener and not self.replaying:
            listener(self, said)

    def call(self, said: Mapping[str, Any]) -> Call:
        """Give the call that is spoken of, with what is added to it."""
        identity = str(said.get("toolCallId", ""))
        size = len(json.dumps(said.get("rawInput")))
        if self._held + size > HELD_BYTES or (identity not in self.calls and len(self.calls) >= CALLS):
            what = f"more than {CALLS} tool calls, or more than {HELD_BYTES >> 20} MiB of arguments at once"
            self.stop = End(cause=Cause.PROTOCOL, reason=f"the agent announced {what}")
            return Call(said=dict(said))
        known = self.calls.setdefault(identity, Call(said={}))
        if not known.ended:
            known.said = joined(known.said, said)
            self._held += size - known.size
            known.size = size
        return known

    def asked(self, said: Mapping[str, Any]) -> Call:
        """Take in that the agent asks for permission."""
        self._answered()
        call = self.call(said)
        call.asked = True
        self._keep(call)
        self._acted()
        return call

    def judged(self, call: Call, reason: str) -> None:
        """Take in the answer: empty for a yes."""
        if reason:
            call.refused = self._waiting = True
            self.rebuff = reason
            self.transcript.result(str(call.said.get("toolCallId", "")), reason, state="refused")

    def count(self, used: Usage, cost: float | None = None) -> None:
        """Take in what this run has used up to now, and what the whole session has cost."""
        self.cost = cost if cost is not None else self.cost
        spent = None if self.cost is None else max(0.0, self.cost - (self.before.usd or 0.0))
        # a count that goes down is one of another thing: opencode names its last answer alone
        read, wrote = max(used.input, self.used.input), max(used.output, self.used.output)
        self.used = replace(used, input=read, output=wrote, usd=spent)
        self.transcript.usage(self.used)
        if why := self.may_go_on(self.used):
            self.stop = End(cause=Cause.BUDGET, reason=why)

    @property
    def report(self) -> str:
        """What it said last, after its last tool call."""
        self.flush()
        return self._last.strip()

    @property
    def made(self) -> tuple[ToolCall, ...]:
        made = ((name, call) for name, call in self.calls.items() if call.made)
        return tuple(ToolCall(id=name, tool=call.kind, refused=call.refused or None) for name, call in made)

    @property
    def refused(self) -> int:
        return sum(call.refused for call in self.calls.values())

    def coverage(self) -> str:
        """Say in one sentence for how many of its tool calls the agent asked, by kind."""
        kinds: dict[str, Counter[str]] = {}
        for call in self.calls.values():
            kinds.setdefault(call.kind, Counter()).update(all=1, asked=int(call.asked))
        asked = sum(call.asked for call in self.calls.values())
        parts = ", ".join(f"{kind} {count['asked']} of {count['all']}" for kind, count in sorted(kinds.items()))
        return (
            f"the agent asked for permission for {asked} of {len(self.calls)} tool calls{f' ({parts})' if parts else ''};"
            f" {self.refused} refused"
        )

    def flush(self) -> None:
        """Close what is being said or thought."""
        if thought := self._thought.take():
            self.transcript.thought(thought)
        if said := self._said.take():
            self._last = said
            self.transcript.said(said)

    # what it says

    def speech(self, said: Mapping[str, Any]) -> None:
        self._answered()
        self._said.add(_text_of(said.get("content")))

    def thinking(self, said: Mapping[str, Any]) -> None:
        self._answered()
        self._thought.add(_text_of(said.get("content")))

    def progress(self, said: Mapping[str, Any]) -> None:
        self._answered()
        new = str(said.get("toolCallId", "")) not in self.calls
        call = self.call(said)
        call.made = True
        if new:
            self._acted()
        status = said.get("status")
        if status not in _ENDED or call.ended:
            return
        self._keep(call)
        self._held -= call.size
        call.ended, call.size, call.said = True, 0, {"kind": call.kind}
        state: Literal["done", "failed"] = "done" if status == "completed" else "failed"
        self.transcript.result(str(said.get("toolCallId", "")), _result(said), state=state)
        self._waiting = True

    def usage(self, said: Mapping[str, Any]) -> None:
        """`used` is what its context holds now: the least that was read."""
        cost = table(said.get("cost"))
        dollars = cost.get("amount") if cost.get("currency") == "USD" else None
        self.count(replace(self.used, input=max(self.used.input, count(said.get("used")))), amount(dollars))

    def mode(self, said: Mapping[str, Any]) -> None:
        self.transcript.note(f"the agent changed its mode to {said.get('currentModeId')}")

    def _answered(self) -> None:
        if self._waiting:
            self.flush()
            self._waiting = False
            self.answers += 1
            if self.answers > self.max_turns:
                self.stop = self.stop or End(cause=Cause.TURNS, reason=f"its {self.max_turns} answers are used up")

    def _acted(self) -> None:
        """What was said before a tool call is no report."""
        self.flush()
        self._last = ""

    def _keep(self, call: Call) -> None:
        if not call.kept:
            self._acted()
            call.kept = True
            self.transcript.call(str(call.said.get("toolCallId", "")), call.kind, call.given)


_LISTENERS: dict[str, Callable[[Hearing, Mapping[str, Any]], None]] = {
    "agent_message_chunk": Hearing.speech,
    "agent_thought_chunk": Hearing.thinking,
    "tool_call": Hearing.progress,
    "tool_call_update": Hearing.progress,
    "usage_update": Hearing.usage,
    "current_mode_update": Hearing.mode,
}


def _text_of(content: object) -> str:
    return text(table(content).get("text"))


def _result(said: Mapping[str, Any]) -> str:
    parts = [_text_of(one.get("content")) for one in tables(said.get("content"))]
    raw = said.get("rawOutput")
    return "\n".join(part for part in parts if part) or text(raw) or (json.dumps(raw) if raw else "")


def tokens(answer: Mapping[str, Any]) -> Usage:
    """Read what a turn used from the answer to its prompt: as the protocol has it, or as Gemini CLI puts it."""
    usage = answer.get("usage")
    if isinstance(usage, dict):
        cached = count(usage.get("cachedReadTokens"))
        read = count(usage.get("inputTokens")) + cached + count(usage.get("cachedWriteTokens"))
        return Usage(
            input=read, cached=cached, output=count(usage.get("outputTokens")) + count(usage.get("thoughtTokens"))
        )
    quota = table(table(answer.get("_meta")).get("quota"))
    used, models = table(quota.get("token_count")), tables(quota.get("model_usage"))
    return Usage(
        input=count(used.get("input_tokens")),
        output=count(used.get("output_tokens")),
        model=text(models[-1].get("model")) if models else "",
    )
