"""One turn in the strict form: every command and every edit is put to the live gate before it is made, and held against it after."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from agents.causes import Cause
from agents.clients.codex import questions
from agents.clients.codex.errors import error_of
from agents.clients.codex.questions import COMMAND, EDIT, OddError
from agents.clients.codex.server import answered
from agents.endings import EndedError
from agents.protocol import Permit, ToolCall
from agents.usage import NOTHING, Usage
from agents.values import count, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.clients.codex.server import Message, Server
    from agents.protocol import Bench, Gate

STOPS_WITHIN_S = 10.0
LONGEST_REPORT = 1 << 20
MOST_CALLS = 5_000
"""In one turn; whoever makes more is in a loop, and would fill our memory."""
_TALK = frozenset(
    {"userMessage", "agentMessage", "reasoning", "plan", "hookPrompt", "contextCompaction", "sleep"}
    | {"enteredReviewMode", "exitedReviewMode"}
)
"""Items that touch nothing. All others are calls, those included that nobody knows."""
State = Literal["done", "failed", "refused"]
_STATES: dict[str, State] = {"completed": "done", "declined": "refused"}
_GIVEN = ("command", "cwd", "changes", "tool", "arguments", "query")
_TOOLS = {"commandExecution": "Bash", "fileChange": "apply_patch"}


@dataclass(kw_only=True)
class Heard:
    """What a run of Codex said and did, in either form."""

    session: str = ""
    report: str = ""
    counted: Usage = NOTHING
    """Of the whole thread."""
    calls: dict[str, ToolCall] = field(default_factory=dict)
    """In the order in which they ended."""
    shown: int = 0
    """How many of them the stream of the plain form shows, which has no names for them."""

    def say(self, text: Any) -> str:
        self.report = str(text)[:LONGEST_REPORT].strip() if text else self.report
        return self.report

    def made(self, call: ToolCall) -> None:
        self.calls[call.id] = call
        if len(self.calls) > MOST_CALLS:
            raise EndedError(Cause.TURNS, f"Codex made more than {MOST_CALLS} calls in one turn and was ended")


@dataclass(kw_only=True)
class Turn:
    """Carries out one turn and keeps what was heard."""

    server: Server
    bench: Bench
    gate: Gate
    heard: Heard
    before: Usage
    """What the thread had used when the turn began."""
    max_answers: int
    model: str = ""
    _id: str = ""
    _permits: dict[str, Permit] = field(default_factory=dict)
    _changes: dict[str, Any] = field(default_factory=dict)
    _answers: int = 0
    _stop: EndedError | None = None
    _over: Message | None = None
    _begun: int = 0
    """Number of the request that began the turn."""
    _error: EndedError | None = None

    def run(self, text: str) -> None:
        """Say `text` and listen until the turn is over; raise EndedError where it did not end well."""
        self.bench.transcript.told(text)
        thread = {"threadId": self.heard.session}
        self._begun = self.server.ask("turn/start", {**thread, "input": [{"type": "text", "text": text}]})
        for message in self.server.messages():
            self._hear(message)
            if self._stop or self._over:
                break
        if self._stop:
            self._interrupt()
            raise self._stop
        self._judge()

    def _interrupt(self) -> None:
        """Stop it politely: what it counted until then is still said."""
        with contextlib.suppress(EndedError):  # why it was stopped is what counts, however it takes that
            self.server.ask("turn/interrupt", {"threadId": self.heard.session, "turnId": self._id})
            for message in self.server.messages(time.monotonic() + STOPS_WITHIN_S):
                self._hear(message)
                if self._over:
                    return

    def _judge(self) -> None:
        turn = self._over or {}
        status = turn.get("status")
        if status == "failed" or turn.get("error"):
            raise error_of(turn.get("error"))
        if status != "completed":
            raise EndedError(
                Cause.PROTOCOL, f"Codex ended its turn as {str(status)[:40]!r}, though nobody had stopped it"
            )
        if self._error:
            raise self._error

    def _hear(self, message: Message) -> None:
        method, given = message.get("method"), table(message.get("params"))
        if method is None:
            if message.get("id") == self._begun:
                self._named(answered(message).get("turn"))
        elif "id" in message:
            self._asked(str(method), message["id"], given)
        elif handler := _HANDLERS.get(str(method)):
            handler(self, given)

    def _named(self, turn: Any) -> None:
        self._id = str(table(turn).get("id") or "")

    # what it asks

    def _asked(self, method: str, identity: Any, params: Message) -> None:
        if method not in {COMMAND, EDIT}:
            self.bench.transcript.note(f"Codex asked for {method[:80]}, which is not granted")
            self.server.refuse(identity, "this is not granted here")
            return
        item, permit = str(params.get("itemId")), self._permit(method, params)
        self._permits[item] = permit
        if not permit.allowed:
            self._explain(permit.reason)
        self.server.answer(identity, {"decision": "accept" if permit.allowed else "decline"})

    def _permit(self, method: str, params: Message) -> Permit:
        if self._stop:
            return Permit(allowed=False, reason="the run is being ended")
        try:
            if not isinstance(params.get("itemId"), str):
                raise OddError("Codex names no item")  # noqa: TRY301 - one place for all that is odd
            if method == COMMAND:
                return self.gate(questions.command_event(params))
            return self.gate(questions.edit_event(params, self._changes.get(params["itemId"])))
        except OddError as odd:
            return Permit(allowed=False, reason=str(odd))

    def _explain(self, reason: str) -> None:
        """Tell the model why: a refusal itself carries no words."""
        text = f"The harness refused the last call: {reason}. Go on without it."
        words = [{"type": "text", "text": text}]
        self.server.ask("turn/steer", {"threadId": self.heard.session, "expectedTurnId": self._id, "input": words})
        self.bench.transcript.told(text)

    # what it tells

    def _started(self, params: Message) -> None:
        item = _item(params)
        kind, identity = str(item.get("type")), str(item.get("id"))
        if kind in _TALK:
            return
        if kind == "fileChange":
            self._changes[identity] = item.get("changes")
        given: Message = {key: item[key] for key in _GIVEN if key in item}
        self.bench.transcript.call(identity, _TOOLS.get(kind, kind), given)

    def _patched(self, params: Message) -> None:
        self._changes[str(params.get("itemId"))] = params.get("changes")

    def _completed(self, params: Message) -> None:
        item = _item(params)
        kind, identity = str(item.get("type")), str(item.get("id"))
        if kind == "agentMessage":
            self.bench.transcript.said(self.heard.say(item.get("text")))
        elif kind == "reasoning":
            self.bench.transcript.thought("\n".join(map(str, item.get("summary") or ())))
        elif kind not in _TALK:
            state: State = _STATES.get(str(item.get("status")), "failed")
            self.bench.transcript.result(identity, str(item.get("aggregatedOutput") or ""), state=state)
            self._made(ToolCall(id=identity, tool=_TOOLS.get(kind, kind), refused=state == "refused"))

    def _made(self, call: ToolCall) -> None:
        self._changes.pop(call.id, None)
        self.heard.made(call)
        if call.refused:
            return
        permit = self._permits.get(call.id)
        if not (permit and permit.allowed):
            what = "was not asked about" if permit is None else "ran although it was refused"
            self._halt(EndedError(Cause.UNGATED, f"{call.tool} ({call.id[:80]}) {what}, so the run was ended"))

    def _typed(self, params: Message) -> None:
        """Stop where it types into a program that runs already: that is asked about nowhere."""
        if params.get("stdin"):
            self.heard.made(ToolCall(id=f"{params.get('itemId')}:stdin", tool="write_stdin", refused=False))
            self._halt(
                EndedError(Cause.UNGATED, "Codex typed into a running program without asking, so the run was ended")
            )

    def _counted(self, params: Message) -> None:
        self._answers += 1
        self.heard.counted = usage_of(table(params.get("tokenUsage")).get("total"), self.model)
        used = self.heard.counted.since(self.before)
        self.bench.transcript.usage(used)
        if why := self.bench.may_go_on(used):
            self._halt(EndedError(Cause.BUDGET, why))
        elif self._answers > self.max_answers:
            self._halt(EndedError(Cause.TURNS, f"the model gave its {self.max_answers} answers and was not done"))

    def _failed(self, params: Message) -> None:
        error = error_of(params.get("error"))
        self.bench.transcript.note(error.reason)
        if not params.get("willRetry"):
            self._error = error

    def _rerouted(self, params: Message) -> None:
        asked, got = str(params.get("fromModel"))[:80], str(params.get("toModel"))[:80]
        self._halt(EndedError(Cause.MODEL, f"the model {got} answers instead of {asked}, so the run was ended"))

    def _began(self, params: Message) -> None:
        if params.get("threadId") == self.heard.session:
            self._named(params.get("turn"))

    def _ended(self, params: Message) -> None:
        turn = table(params.get("turn"))
        if params.get("threadId") == self.heard.session and turn and turn.get("id") == self._id:
            self._over = turn

    def _halt(self, why: EndedError) -> None:
        self._stop = self._stop or why


_HANDLERS: dict[str, Callable[[Turn, Message], None]] = {
    "turn/started": Turn._began,  # noqa: SLF001 - the table belongs to the class
    "item/started": Turn._started,  # noqa: SLF001 - as above
    "item/fileChange/patchUpdated": Turn._patched,  # noqa: SLF001 - as above
    "item/completed": Turn._completed,  # noqa: SLF001 - as above
    "item/commandExecution/terminalInteraction": Turn._typed,  # noqa: SLF001 - as above
    "thread/tokenUsage/updated": Turn._counted,  # noqa: SLF001 - as above
    "model/rerouted": Turn._rerouted,  # noqa: SLF001 - as above
    "error": Turn._failed,  # noqa: SLF001 - as above
    "turn/completed": Turn._ended,  # noqa: SLF001 - as above
}


def usage_of(counts: Any, model: str) -> Usage:
    """Read a count of tokens: the strict form writes its names in camel case, the plain one in snake case."""
    given = table(counts)

    def number(camel: str, snake: str) -> int:
        return count(given.get(camel, given.get(snake)))

    return Usage(
        input=number("inputTokens", "input_tokens"),
        cached=number("cachedInputTokens", "cached_input_tokens"),
        output=number("outputTokens", "output_tokens"),
        model=model,
    )


def _item(params: Message) -> Message:
    return table(params.get("item"))
