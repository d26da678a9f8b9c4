"""The conversation with a running Claude Code: the gate is armed first, then it is told its task, then it is answered until it ends."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents.causes import Cause
from agents.clients.claude import program, usage, wire
from agents.clients.claude.stream import MOST_CALLS
from agents.clients.claude.wire import BrokenError
from agents.endings import End, EndedError
from agents.prices import same_model
from agents.protocol import Permit
from agents.values import table
from worktrees.conversation import SilenceError

if TYPE_CHECKING:
    from agents.clients.claude.stream import Stream
    from agents.clients.claude.wire import Event
    from agents.protocol import Bench
    from agents.usage import Usage
    from worktrees.conversation import Conversation

MODE = "dontAsk"
"""What the gate did not allow is refused: whatever becomes of the gate's answer, nothing gets through without one."""
FAREWELL_S = 15.0
"""Time between the result and the end of the client."""
STOP_S = 6.0
"""Time that a client that is asked to stop has, to say what it used."""
_UNCLEAR = Permit(allowed=False, reason="the question was not understood: it names no single call of one tool")
_OVER = Permit(allowed=False, reason="this run is being stopped; make no more calls")


@dataclass(kw_only=True)
class Dialogue:
    talk: Conversation
    bench: Bench
    stream: Stream
    task: str
    asked_model: str
    silence_s: float
    before: Usage
    """What the session had used before."""
    version: str = ""
    _stopping: bool = False
    _limit: float | None = field(default=None)

    def hold(self) -> End | None:
        """Talk until the client ends; give why we ended it ourselves, where we did."""
        try:
            self.talk.send(wire.hello())
            self._listen()
        except EndedError as halt:
            self._wind_up()
            return halt.end
        except BrokenError as error:
            return End(cause=Cause.PROTOCOL, reason=f"Claude Code's output cannot be relied on: {error}")
        except SilenceError:
            end = self._silent()
            self._wind_up()
            return end
        return None

    def _listen(self) -> None:
        while (line := self.talk.line(self._patience())) is not None:
            event = wire.event(line, cut=self.talk.cut)
            if event is not None:
                self._heard(event)
            elif line.strip():
                self.stream.skipped()

    def _patience(self) -> float:
        """Give how long the next line may take; none is waited for beyond the limit."""
        if self._limit is None:
            return self.silence_s
        if (left := self._limit - time.monotonic()) <= 0:
            raise SilenceError
        return min(left, self.silence_s)

    def _heard(self, event: Event) -> None:
        kind = event["type"]
        if kind == "control_request":
            self._asked(event)
        elif kind == "control_response":
            self._answered(event)
        elif kind in {"assistant", "user"} and not self.version:
            raise BrokenError("it began before the gate was armed")
        else:
            self.stream.take(event)
            self._follow(event)

    def _follow(self, event: Event) -> None:
        """Look at what an event means for the run as a whole."""
        kind = event["type"]
        if kind == "result":
            self.bench.may_go_on(usage.of_run(event, before=self.before))
            self.talk.close_input()
            self._limit = time.monotonic() + (STOP_S if self._stopping else FAREWELL_S)
        elif self._stopping:
            return
        elif kind == "assistant" or event.get("subtype") == "init":
            self._check_model()
            if sentence := self.bench.may_go_on(self.stream.live):
                raise EndedError(Cause.BUDGET, sentence)

    def _check_model(self) -> None:
        if not same_model(self.asked_model, self.stream.model):
            reason = f"the model {self.stream.model!r} answers, though {self.asked_model!r} was asked for"
            raise EndedError(Cause.MODEL, reason)

    def _answered(self, event: Event) -> None:
        """Tell the client its task once it says that the gate is armed."""
        answer = table(event.get("response"))
        if answer.get("request_id") != wire.HELLO or self.version:
            return
        facts = answer.get("response") if answer.get("subtype") == "success" else None
        self.version = self._armed(table(facts))
        self.bench.transcript.told(self.task)
        self.talk.send(wire.told(self.task))

    @staticmethod
    def _armed(facts: dict[str, Any]) -> str:
        try:
            version = program.fit(str(facts.get("claude_code_version", "")))
        except program.UnfitError as error:
            raise EndedError(Cause.MISSING, str(error)) from error
        if facts.get("hooks_applied") is not True or facts.get("current_permission_mode") != MODE:
            raise BrokenError("it does not confirm that every call is put to the gate")
        return version

    def _asked(self, event: Event) -> None:
        request, identity = table(event.get("request")), str(event.get("request_id"))
        subtype = request.get("subtype")
        if subtype == "hook_callback":
            self.talk.send(wire.verdict(identity, self._permit(wire.question(request))))
        elif subtype == "can_use_tool":
            self.talk.send(wire.prompt_refused(identity))
        else:
            self.talk.send(wire.unsupported(identity))

    def _permit(self, question: dict[str, Any] | None) -> Permit:
        if question is None:
            self.bench.transcript.note("the client asked the gate something that is no call of a tool; it was refused")
            return _UNCLEAR
        if self._stopping:
            return _OVER
        call = question["tool_use_id"]
        if len(self.stream.asked) > MOST_CALLS:
            raise BrokenError(f"it asks about more than {MOST_CALLS} tool calls")
        self.stream.asked.add(call)
        permit = self.bench.gate(question)
        if permit.allowed is not True:
            self.stream.denied.add(call)
        return permit

    def _wind_up(self) -> None:
        """Ask the client to stop, and hear what it used; nothing more is allowed."""
        self._stopping, self._limit = True, time.monotonic() + STOP_S
        if not self.stream.session or self.stream.result is not None:
            return
        self.talk.send(wire.interrupt())
        try:
            self._listen()
        except (SilenceError, BrokenError, EndedError) as error:
            self.bench.transcript.note(f"it did not stop in an orderly way: {error or 'no answer in time'}")

    def _silent(self) -> End:
        if self.stream.result is not None:
            return End(
                cause=Cause.CRASH, reason=f"Claude Code gave its result, but did not end within {FAREWELL_S:g} s"
            )
        return End(cause=Cause.SILENT, reason=f"Claude Code said nothing for {self.silence_s:g} seconds")
