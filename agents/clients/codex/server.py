"""The wire of `codex app-server`: one JSON object a line, requests in both directions, everything bounded."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.causes import Cause
from agents.clients.codex.config import OLDEST, hook_command, too_old
from agents.clients.codex.errors import AnswerError, error_of
from agents.endings import EndedError
from agents.programs import dotted, number
from agents.values import Object, parsed, shown, tables
from worktrees.conversation import SilenceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from worktrees.conversation import Conversation

Message = Object
NOT_SUPPORTED = -32601
MOST_FEATURES = 1000
SHUT = frozenset({"unified_exec_tty", "view_image"})
"""Features of the client through which a call can be made that neither it nor its hook asks about."""
STARTS_WITHIN_S = 60.0
"""For the answer to anything but a turn."""


def message_of(talk: Conversation, patience_s: float) -> Message | None:
    """Read the next object of a client's stream; None at its end; raise EndedError where it is none."""
    try:
        line = talk.line(patience_s)
    except SilenceError as silence:
        raise EndedError(Cause.SILENT, f"Codex said nothing for {patience_s:g} seconds and was ended") from silence
    if line is None:
        return None
    if talk.cut:
        raise EndedError(Cause.PROTOCOL, f"Codex sent a line of more than {len(line) >> 20} MiB: no event is so long")
    if (message := parsed(line)) is None:
        raise EndedError(Cause.PROTOCOL, f"Codex sent a line that is no JSON object: {shown(line)}")
    return message


@dataclass(kw_only=True)
class Server:
    """Speaks with one application server; one thread only."""

    talk: Conversation
    patience_s: float
    version: str = ""
    _last: int = 0

    def begin(self) -> None:
        """Shake hands; raise EndedError where the client is too old for this driver."""
        client = {"name": "signalbox", "title": "Signalbox", "version": "1"}
        agent = str(self.call("initialize", {"clientInfo": client}).get("userAgent"))
        found = number(agent.partition("/")[2].partition(" ")[0])
        if found is None:
            raise EndedError(Cause.PROTOCOL, f"Codex named no version when it began: {agent[:80]!r}")
        if trouble := too_old(found):
            raise EndedError(Cause.MISSING, trouble)
        self.version = dotted(found)
        self._send({"method": "initialized"})

    def ask(self, method: str, params: Message) -> int:
        """Send a request; its answer is one of the messages that come."""
        self._last += 1
        self._send({"id": self._last, "method": method, "params": params})
        return self._last

    def answer(self, identity: Any, result: Message) -> None:
        self._send({"id": identity, "result": result})

    def refuse(self, identity: Any, why: str) -> None:
        self._send({"id": identity, "error": {"code": NOT_SUPPORTED, "message": why}})

    def call(self, method: str, params: Message) -> Message:
        """Send a request and wait for its answer; nothing else that comes meanwhile is of interest, and nothing is granted."""
        identity = self.ask(method, params)
        for message in self.messages(time.monotonic() + min(STARTS_WITHIN_S, self.patience_s)):
            if "method" in message:
                if "id" in message:
                    self.refuse(message["id"], "nothing is granted before the turn has begun")
            elif message.get("id") == identity:
                return answered(message)
        raise EndedError(Cause.SILENT, f"Codex gave no answer to {method}")

    def messages(self, limit: float | None = None) -> Iterator[Message]:
        """Yield what comes, until the moment `limit`; raise EndedError at the end of the stream."""
        while limit is None or time.monotonic() < limit:
            left = self.patience_s if limit is None else max(0.01, limit - time.monotonic())
            message = message_of(self.talk, min(left, self.patience_s))
            if message is None:
                raise EndedError(Cause.CRASH, "Codex ended before it was done")
            yield message

    def _send(self, message: Message) -> None:
        if not self.talk.send(json.dumps(message).encode() + b"\n"):
            raise EndedError(Cause.CRASH, "Codex stopped reading before it was done")


def answered(message: Message) -> Message:
    """Give the result of an answer; raise EndedError where it is an error."""
    if "error" in message:
        error = error_of(message["error"], default=Cause.PROTOCOL)
        raise AnswerError(error.cause, error.reason, again_at=error.again_at)
    result = message.get("result")
    if not isinstance(result, dict):
        raise EndedError(Cause.PROTOCOL, "Codex answered with neither a result nor an error")
    return result


def prove_closed(server: Server) -> None:
    """Raise EndedError unless the client says that the ways around the gate are shut: a setting that it does not know is ignored."""
    features = tables(server.call("experimentalFeature/list", {"limit": MOST_FEATURES}).get("data"))
    off = {each.get("name") for each in features if each.get("enabled") is False}
    if missing := sorted(SHUT - off):
        raise EndedError(
            Cause.MISSING,
            f"Codex {server.version} does not say that {' and '.join(missing)} can be switched off, through which calls get past the "
            "live gate, so it was not started: take another version of it",
        )


def prove_hook(server: Server, *, tree: Path, hook: tuple[str, ...]) -> None:
    """Have the client trust our hook, and raise EndedError unless it then says itself that just this one will run.

    A hook that it does not trust is skipped in silence: the exit code stays 0 and nothing is in its stream.
    """
    known = _hooks(server, tree)
    for key, each in ((one.get("key"), one.get("currentHash")) for one in known):
        path = f"hooks.state.{json.dumps(key, ensure_ascii=False)}.trusted_hash"
        server.call("config/value/write", {"keyPath": path, "value": each, "mergeStrategy": "replace"})
    if not _armed(_hooks(server, tree), hook):
        raise EndedError(
            Cause.MISSING,
            "Codex does not say that it will ask the live gate before each call (`hooks/list` shows no such hook as trusted and "
            f'enabled), so it was not started: use form = "strict", or a version from {dotted(OLDEST)} on',
        )


def _hooks(server: Server, tree: Path) -> list[Message]:
    entries = tables(server.call("hooks/list", {"cwds": [str(tree)]}).get("data"))
    return [hook for entry in entries for hook in tables(entry.get("hooks"))]


def _armed(hooks: list[Message], hook: tuple[str, ...]) -> bool:
    wanted = {"eventName": "preToolUse", "handlerType": "command", "matcher": "*", "command": hook_command(hook)}
    state = {"trustStatus": "trusted", "enabled": True, "async": False}
    return len(hooks) == 1 and all(hooks[0].get(key) == value for key, value in (wanted | state).items())
