"""One turn with an ACP agent: handshake, session, prompt, permission. Every wait has a bound."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agents.causes import Cause
from agents.clients.acp.bounds import Bounded, TurnError, failure
from agents.clients.acp.hearing import tokens
from agents.clients.acp.permissions import Permissions
from agents.clients.acp.trouble import cause_of
from agents.clients.acp.wire import Wire
from agents.endings import DONE, End
from agents.feedback import GO_ON
from agents.prices import same_model
from agents.reports import lacking
from agents.usage import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acp.core import ClientSideConnection
    from acp.schema import InitializeResponse, LoadSessionResponse, NewSessionResponse

    from agents.clients.acp.hearing import Hearing
    from agents.clients.acp.questions import Where
    from agents.protocol import Gate
    from worktrees.conversation import Conversation

PROTOCOL = 1
ASKING = ("default", "read-only")
"""Modes in which agents ask for permission, the first that is offered; `yolo`, `auto` and the like do not."""
# claude-agent-acp would load hooks and permissions of the repository and the home
META: dict[str, Any] = {"claudeCode": {"options": {"settingSources": []}}}
REMINDERS = 5
"""How often an agent whose turn ends at a refusal, as opencode's does, is told to go on."""
REBUFFED = """Your turn ended because a call was refused: {why}

Do not try that again. Go on with the rest of your task, which is the same, and end with your report."""


@dataclass(frozen=True, kw_only=True)
class Errand:
    """What the agent is to be told, and where."""

    where: Where
    brief: str
    feedback: str = ""
    session: str = ""
    """To be taken up again, where the agent can."""
    model: str = ""
    silence_s: float


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a turn ended."""

    end: End
    session: str = ""
    client: str = ""
    gone: bool = False
    """The program ended, or its wire broke, before there was an answer."""


@dataclass(kw_only=True)
class Turn:
    """Talks with one agent until it has answered, must be stopped, or is gone."""

    conversation: Conversation
    errand: Errand
    hearing: Hearing
    gate: Gate
    _session: str = ""
    _client: str = ""
    _loads: bool = False

    async def run(self) -> Ended:
        from acp.core import ClientSideConnection

        wire = Wire(conversation=self.conversation, hear=self.hearing.update, note=self.hearing.transcript.note)
        asked: Any = Permissions(gate=self.gate, hearing=self.hearing, where=self.errand.where)
        connection = ClientSideConnection(asked, wire)
        try:
            return self._ended(await self._talk(connection, wire))
        except TurnError as error:
            return self._ended(error.end, gone=error.gone)
        finally:
            await connection.close()

    def _ended(self, end: End, *, gone: bool = False) -> Ended:
        return Ended(end=end, session=self._session if self._loads else "", client=self._client, gone=gone)

    async def _talk(self, connection: ClientSideConnection, wire: Wire) -> End:
        bounded = Bounded(wire=wire, hearing=self.hearing, silence_s=self.errand.silence_s)
        greeting = await bounded.step(self._greet(connection))
        words = await self._open(connection, bounded, greeting)
        ended = await self._tell(connection, bounded, words)
        for _ in range(REMINDERS):
            if ended.cause is not Cause.EMPTY or not self.hearing.rebuff:
                break
            ended = await self._tell(connection, bounded, REBUFFED.format(why=self.hearing.rebuff))
        return ended

    async def _tell(self, connection: ClientSideConnection, bounded: Bounded, words: str) -> End:
        """Have the agent take one turn."""
        from acp import text_block

        self.hearing.transcript.told(words)
        earlier, self.hearing.rebuff = self.hearing.used, ""
        prompt = connection.prompt(session_id=self._session, prompt=[text_block(words)])
        answer = await bounded.turn(prompt, lambda: connection.cancel(session_id=self._session))
        used = tokens(answer.model_dump(mode="json", by_alias=True, exclude_none=True))
        if used.tokens:
            self.hearing.count(replace(used, input=earlier.input + used.input, output=earlier.output + used.output))
        return self._verdict(answer.stop_reason)

    async def _greet(self, connection: ClientSideConnection) -> InitializeResponse:
        from acp.schema import ClientCapabilities, FileSystemCapabilities, Implementation

        offered = ClientCapabilities(
            fs=FileSystemCapabilities(read_text_file=False, write_text_file=False), terminal=False
        )
        who = Implementation(name="signalbox", version="1")
        greeting: InitializeResponse = await connection.initialize(
            PROTOCOL, client_capabilities=offered, client_info=who
        )
        if info := greeting.agent_info:
            self._client = f"{info.name} {info.version}"
        if greeting.protocol_version != PROTOCOL:
            spoken = greeting.protocol_version
            raise TurnError(
                Cause.MISSING,
                f"the agent speaks version {spoken} of the Agent Client Protocol, and this harness speaks {PROTOCOL}: use a "
                "version of the agent that does",
            )
        return greeting

    async def _open(self, connection: ClientSideConnection, bounded: Bounded, greeting: InitializeResponse) -> str:
        """Take the session up again where that can be; give what the agent is then told."""
        capabilities = greeting.agent_capabilities
        self._loads = bool(capabilities and capabilities.load_session)
        loaded = await self._load(connection, bounded) if self._loads and self.errand.session else None
        if loaded:
            self._session = self.errand.session
            await self._choose(connection, bounded, loaded)
            return self.errand.feedback or GO_ON
        self.hearing.before = NOTHING  # a new session counts from nought
        opened = await self._new(connection, bounded, greeting)
        self._session = opened.session_id
        await self._choose(connection, bounded, opened)
        return self.errand.brief

    async def _load(self, connection: ClientSideConnection, bounded: Bounded) -> LoadSessionResponse | None:
        from acp import RequestError

        self.hearing.replaying = True
        load = connection.load_session(
            cwd=self.errand.where.cwd, session_id=self.errand.session, mcp_servers=[], **META
        )
        loaded: LoadSessionResponse | None = None
        try:
            loaded = await bounded.step(load, refused=(RequestError,))
            await bounded.settle()
        except RequestError as error:
            self.hearing.transcript.note(f"a new session begins, the one before cannot be loaded: {failure(error)}")
        finally:
            self.hearing.replaying = False
        return loaded

    async def _new(
        self, connection: ClientSideConnection, bounded: Bounded, greeting: InitializeResponse
    ) -> NewSessionResponse:
        from acp import RequestError

        async def new() -> NewSessionResponse:
            opened: NewSessionResponse = await connection.new_session(cwd=self.errand.where.cwd, mcp_servers=[], **META)
            return opened

        try:
            return await bounded.step(new(), refused=(RequestError,))
        except RequestError as error:
            method = _key_method(greeting, self.conversation.launch.env)
            if cause_of(error) is not Cause.SIGN_IN or not method:
                raise failure(error) from error
        await bounded.step(connection.authenticate(method_id=method))
        return await bounded.step(new())

    async def _choose(
        self, connection: ClientSideConnection, bounded: Bounded, opened: NewSessionResponse | LoadSessionResponse
    ) -> None:
        """Set the mode in which the agent asks, and the model, where it lets us choose."""
        modes = opened.modes
        offered = [mode.id for mode in modes.available_modes] if modes else []
        asking = next((mode for mode in ASKING if mode in offered), "")
        if modes and asking and modes.current_mode_id != asking:
            await bounded.step(connection.set_session_mode(session_id=self._session, mode_id=asking))
        named = [option for option in opened.config_options or [] if option.id == "model"]
        if self.errand.model and named:
            choice = connection.set_config_option(config_id="model", session_id=self._session, value=self.errand.model)
            await bounded.step(choice)

    def _verdict(self, stop_reason: str) -> End:
        if self.hearing.stop:
            return self.hearing.stop
        answered = self.hearing.used.model
        if not same_model(self.errand.model, answered):
            return End(cause=Cause.MODEL, reason=f"{answered} answered, and {self.errand.model} was asked for")
        refused = f", after {self.hearing.refused} of its calls were refused" if self.hearing.refused else ""
        if stop_reason == "cancelled" and not refused:
            return End(
                cause=Cause.PROTOCOL, reason="the agent says that its turn was cancelled, and nobody cancelled it"
            )
        if stop_reason == "end_turn" and self.hearing.report:
            lacks = lacking(self.hearing.report, acted=bool(self.hearing.calls))
            return End(cause=Cause.EMPTY, reason=lacks) if lacks else DONE
        if stop_reason in {"end_turn", "cancelled"}:
            return End(cause=Cause.EMPTY, reason=f"the agent ended its turn without a report{refused}")
        return _STOPPED[stop_reason]


_STOPPED = {
    "max_tokens": End(cause=Cause.CONTEXT, reason="the model reached the length that it may read or write"),
    "max_turn_requests": End(cause=Cause.TURNS, reason="the agent used up the answers that it allows itself"),
    "refusal": End(cause=Cause.EMPTY, reason="the model refused to go on"),
}


def _key_method(greeting: InitializeResponse, variables: Mapping[str, str]) -> str:
    """Find the way to sign in with a key that is in the environment: no other can work without a person."""
    has_key = any(name.endswith(("_API_KEY", "_AUTH_TOKEN")) for name in variables)
    names = [method.id for method in greeting.auth_methods or []]
    return next((name for name in names if "api" in name and "key" in name), "") if has_key else ""


def take_turn(conversation: Conversation, errand: Errand, *, hearing: Hearing, gate: Gate) -> Ended:
    """Tell the agent its errand, and wait for what comes of it."""
    return asyncio.run(Turn(conversation=conversation, errand=errand, hearing=hearing, gate=gate).run())
