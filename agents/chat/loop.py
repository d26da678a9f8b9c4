"""The loop: the model speaks, what it calls is asked about and carried out, and the result is told to it, until it ends or is ended."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from agents.causes import Cause
from agents.chat import words
from agents.chat.orders import GoneError, report_file
from agents.chat.tools import MOST_SECONDS, USUAL_SECONDS, BrokenCallError, CallError, offered
from agents.chat.trouble import TroubleError
from agents.endings import End
from agents.prices import same_model
from agents.protocol import ToolCall
from agents.reports import is_report, read
from agents.usage import NOTHING, Usage
from agents.values import parsed

if TYPE_CHECKING:
    from agents.chat.answers import Answer, Asking
    from agents.chat.endpoint import Endpoint
    from agents.chat.orders import Hands
    from agents.chat.tools import Report, Tool
    from agents.protocol import Bench

SAME_CALLS = 5
BROKEN_CALLS = 3
CHARACTERS_A_TOKEN = 4
LONGEST_TALK = 8 << 20
"""Characters of a whole conversation that we hold."""


@dataclass(frozen=True, kw_only=True)
class LoopEnd(End):
    report: str | None = None
    hands_gone: bool = False


@dataclass(frozen=True, kw_only=True)
class Task:
    """What the loop is to do, and with what."""

    bench: Bench
    endpoint: Endpoint
    hands: Hands
    tools: tuple[Tool, ...]
    report: Report
    max_turns: int
    talks: bool = False
    """Whether words without a report are what is wanted."""


@dataclass(kw_only=True)
class Loop:
    task: Task
    messages: list[dict[str, Any]]
    used: Usage = NOTHING
    calls: list[ToolCall] = field(default_factory=list)
    _turns: int = 0
    _nudges: int = 0
    _broken: int = 0
    _last: tuple[str, str] = ("", "")
    _same: int = 0
    _lightened: bool = False
    _estimated: bool = False
    _known: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        calls = (call for message in self.messages for call in message.get("tool_calls", ()))
        self._known.update(str(call.get("id")) for call in calls)

    def run(self) -> LoopEnd:
        try:
            while True:
                if (end := self._turn()) is not None:
                    return end
        except TroubleError as trouble:
            reason = self.task.endpoint.service.hidden(trouble.reason)
            return LoopEnd(cause=trouble.cause, reason=reason, again_at=trouble.again_at)
        except GoneError as error:
            return LoopEnd(cause=Cause.CRASH, reason=str(error), hands_gone=True)

    def _turn(self) -> LoopEnd | None:
        if self._turns >= self.task.max_turns:
            return LoopEnd(cause=Cause.TURNS, reason=f"the model used up its {self.task.max_turns} answers")
        answer = self._answered()
        self._turns += 1
        named = self._named(answer)
        self._keep(answer, named)
        self._count(answer)
        if (end := self._stopped(answer)) is not None:
            return end
        return self._acted(named) if named else self._talked(answer)

    # what is asked, and what it costs

    def _answered(self) -> Answer:
        tools = offered([*self.task.tools, self.task.report.tool])
        self._make_room()
        try:
            return self.task.endpoint.ask(self.messages, tools)
        except TroubleError as trouble:
            if trouble.cause is not Cause.CONTEXT or self._lightened or not self._lighten():
                raise
            self._lightened = True
            return self.task.endpoint.ask(self.messages, tools)

    def _make_room(self) -> None:
        """Keep the conversation bearable for ourselves, whatever the model can take."""
        while self._size() > LONGEST_TALK:
            if not self._lighten():
                raise TroubleError(Cause.CONTEXT, f"the conversation is longer than {LONGEST_TALK} characters")

    def _size(self) -> int:
        return sum(len(json.dumps(message)) for message in self.messages)

    def _lighten(self) -> bool:
        """Leave the oldest results out, half of all their text; say whether there was any."""
        told = [message for message in self.messages if message["role"] == "tool"]
        results = [message for message in told if len(message["content"]) > len(words.DROPPED)]
        half, left_out = sum(len(message["content"]) for message in results) / 2, 0
        for message in results:
            if half <= 0:
                break
            half -= len(message["content"])
            message["content"] = words.DROPPED
            left_out += 1
        if left_out:
            note = f"the conversation was too long: the {left_out} oldest results were left out"
            self.task.bench.transcript.note(note)
        return bool(left_out)

    def _count(self, answer: Answer) -> None:
        used = answer.used
        if used is None:
            used = Usage(input=self._size() // CHARACTERS_A_TOKEN, output=answer.size // CHARACTERS_A_TOKEN + 1)
            if not self._estimated:
                self._estimated = True
                self.task.bench.transcript.note("the service reports no tokens: they are estimated from the characters")
        model = answer.model or self.task.endpoint.service.model
        self.used = self.used + Usage(input=used.input, cached=used.cached, output=used.output, model=model)
        self.task.bench.transcript.usage(self.used)

    def _stopped(self, answer: Answer) -> LoopEnd | None:
        asked = self.task.endpoint.service.model
        if answer.model and not same_model(asked, answer.model):
            return LoopEnd(cause=Cause.MODEL, reason=f"the model {answer.model} answered, but {asked} was asked for")
        sentence = self.task.bench.may_go_on(self.used)
        return LoopEnd(cause=Cause.BUDGET, reason=sentence) if sentence else None

    def _named(self, answer: Answer) -> list[tuple[str, Asking]]:
        """Give each call an identity of its own: some services number them anew in each answer, or not at all."""
        named = []
        for number, asking in enumerate(answer.calls):
            plain = (
                asking.id
                if asking.id and asking.id not in self._known
                else f"call-{self._turns}-{number}-{len(self._known)}"
            )
            self._known.add(plain)
            named.append((plain, asking))
        return named

    def _keep(self, answer: Answer, named: list[tuple[str, Asking]]) -> None:
        transcript = self.task.bench.transcript
        if answer.thought:
            transcript.thought(answer.thought)
        if answer.text:
            transcript.said(answer.text)
        message: dict[str, Any] = {"role": "assistant", "content": answer.text}
        if named:
            message["tool_calls"] = [
                {"id": name, "type": "function", "function": {"name": asking.name, "arguments": _sound(asking)}}
                for name, asking in named
            ]
        self.messages.append(message)

    # what it does

    def _acted(self, named: list[tuple[str, Asking]]) -> LoopEnd | None:
        self._nudges = 0
        for name, asking in named:
            if (end := self._called(name, asking)) is not None:
                return end
        return None

    def _called(self, name: str, asking: Asking) -> LoopEnd | None:
        known = {tool.name: tool for tool in (*self.task.tools, self.task.report.tool)}
        try:
            if asking.name not in known:
                raise CallError(f"there is no tool {asking.name[:80]!r} here; there are {', '.join(known)}")  # noqa: TRY301 - told as any wrong call
            given = known[asking.name].given(asking)
        except CallError as error:
            self.task.bench.transcript.call(name, asking.name, {"arguments": asking.arguments})
            self._result(name, str(error), state="failed")
            return self._wrong(asking, broken=isinstance(error, BrokenCallError))
        self._broken = 0
        self.task.bench.transcript.call(name, asking.name, given)
        if (turning := self._turning(asking)) > SAME_CALLS:
            return LoopEnd(cause=Cause.EMPTY, reason=f"the model made the same call of {asking.name} again and again")
        if turning == SAME_CALLS:
            self._result(name, words.SAME, state="failed")
            return None
        return self._made(name, known[asking.name], given)

    def _wrong(self, asking: Asking, *, broken: bool) -> LoopEnd | None:
        self._broken = self._broken + 1 if broken else 0
        if self._broken >= BROKEN_CALLS:
            reason = f"the model wrote calls with arguments that are no JSON, {BROKEN_CALLS} times in a row"
            return LoopEnd(cause=Cause.PROTOCOL, reason=reason)
        if self._turning(asking) > SAME_CALLS:
            return LoopEnd(
                cause=Cause.EMPTY, reason=f"the model made the same wrong call of {asking.name[:80]} again and again"
            )
        return None

    def _turning(self, asking: Asking) -> int:
        """Count how often the very same call was made in a row."""
        this = (asking.name, asking.arguments)
        self._same = self._same + 1 if this == self._last else 1
        self._last = this
        return self._same

    def _made(self, name: str, tool: Tool, given: dict[str, Any]) -> LoopEnd | None:
        bench = self.task.bench
        event = {"hook_event_name": "PreToolUse", "tool_name": tool.asked_as, "tool_input": given}
        permit = bench.gate({**event, "tool_use_id": name, "cwd": str(bench.tree)})
        self.calls.append(ToolCall(id=name, tool=tool.name, refused=permit.allowed is not True))
        if permit.allowed is not True:
            self._result(name, f"refused: {permit.reason}", state="refused")
            return None
        if not tool.order:
            self._result(name, "handed in")
            return LoopEnd(cause=Cause.DONE, report=self.task.report.rendered(given))
        if tool.order == "run":
            given = {**given, "timeout_s": min(MOST_SECONDS, max(1, given.get("timeout_s", USUAL_SECONDS)))}
        done, text = self.task.hands.do(tool.order, given)
        self._result(name, text, state="done" if done else "failed")
        return None

    def _result(self, name: str, text: str, *, state: Literal["done", "failed", "refused"] = "done") -> None:
        self.task.bench.transcript.result(name, text, state=state)
        shown = f"error: {text}" if state == "failed" else text
        self.messages.append({"role": "tool", "tool_call_id": name, "content": shown})

    # what it says

    def _report(self, text: str) -> str:
        """Give the report that it wrote to a file, where it did; briefs tell every agent that it may."""
        if self.task.talks or is_report(text):
            return text
        return read(report_file(self.task.bench)) or text

    def _talked(self, answer: Answer) -> LoopEnd | None:
        text = answer.text.strip()
        report = self._report(text)
        if text and (self.task.talks or is_report(report)):
            return LoopEnd(cause=Cause.DONE, report=report)
        self._nudges += 1
        asks = text.endswith("?")
        if self._nudges == 1:
            nudge = words.nudge(text, asks=asks, cut=answer.finish == "length")
            self.task.bench.transcript.told(nudge)
            self.messages.append({"role": "user", "content": nudge})
            return None
        if text and not asks:
            return LoopEnd(cause=Cause.DONE, report=report)
        what = "asked questions only" if asks else "answered nothing"
        return LoopEnd(cause=Cause.EMPTY, reason=f"the model {what}, and did not go on when it was told to")


def _sound(asking: Asking) -> str:
    """Give arguments that every service takes back: several cannot read a conversation with broken ones."""
    return "{}" if parsed(asking.arguments) is None else asking.arguments
