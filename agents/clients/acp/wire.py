"""The wire of the official ACP library, laid over a program that we started ourselves: lines in, lines out, nothing believed."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents.values import parsed, table
from worktrees.conversation import SilenceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from worktrees.conversation import Conversation

POLL_S = 0.2
LONGEST = 8 << 20
"""Bytes of one message: read as JSON it may take thirty times as much."""
NOISE = 200
"""Lines that are no messages: clients print a warning now and then."""
QUESTIONS = 32
"""Questions that may be open at once; a client with more has to wait."""
PERMISSION = "session/request_permission"
_NOT_OFFERED = -32601


@dataclass(kw_only=True)
class Wire:
    """A `Transport` of the library. It hands the library answers and permission requests; updates go to `hear`."""

    conversation: Conversation
    hear: Callable[[Mapping[str, Any]], None]
    note: Callable[[str], None]
    trouble: str = ""
    """Why nothing more can be made of what the program says."""
    heard_at: float = field(default_factory=time.monotonic)
    _noise: int = 0
    _open: int = 0
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(QUESTIONS))

    async def send(self, message: dict[str, Any]) -> None:
        if "method" not in message:
            self._open -= 1
            self._room.release()
            self.heard_at = time.monotonic()  # from here on it is its turn again
        await self._write(message)

    async def receive(self) -> dict[str, Any] | None:
        """Give the next message that the library has to know of; None at the end, or where there is trouble."""
        while not self.trouble:
            try:
                line = await asyncio.to_thread(self.conversation.line, POLL_S)
            except SilenceError:
                continue
            if line is None:
                return None
            self.heard_at = time.monotonic()
            message = self._message(line)
            if message is not None and await self._is_for_the_library(message):
                return message
        return None

    async def close(self) -> None:
        """Do nothing: who started the conversation ends it."""

    @property
    def silent_s(self) -> float:
        """How long nothing was heard; while it waits for an answer of ours, its silence does not count."""
        return 0.0 if self._open else time.monotonic() - self.heard_at

    async def _is_for_the_library(self, message: dict[str, Any]) -> bool:
        method = message.get("method")
        if method is None:
            return True
        if "id" not in message:  # nothing is answered here
            if method == "session/update":
                self._update(message.get("params"))
            return False
        if method != PERMISSION:  # files and terminals are not offered; some agents try all the same
            error = {"code": _NOT_OFFERED, "message": f"{method} is not offered"}
            await self._write({"jsonrpc": "2.0", "id": message["id"], "error": error})
            return False
        await self._room.acquire()
        self._open += 1
        return True

    def _update(self, params: object) -> None:
        if update := table(table(params).get("update")):
            self.hear(update)

    async def _write(self, message: dict[str, Any]) -> None:
        data = json.dumps(message, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"
        # where it reads no more it has ended, or will be found silent
        await asyncio.to_thread(self.conversation.send, data)

    def _message(self, line: bytes) -> dict[str, Any] | None:
        if self.conversation.cut or len(line) > LONGEST:
            self.trouble = f"the agent sent a message of more than {LONGEST >> 20} MiB"
            return None
        if not line.strip():
            return None
        message = parsed(line)
        if message is not None and _well_formed(message):
            return message
        self._noted(line)
        return None

    def _noted(self, line: bytes) -> None:
        self._noise += 1
        if self._noise <= 3:  # noqa: PLR2004 - enough to see what it is
            self.note(f"the agent printed what is no message: {line[:200].decode(errors='replace')}")
        if self._noise > NOISE:
            self.trouble = f"the agent printed more than {NOISE} lines that are no messages of the protocol"


def _well_formed(message: dict[str, Any]) -> bool:
    """Say whether the library can take it: it is not made for programs that send something else."""
    identity, method, error = (message.get(key) for key in ("id", "method", "error"))
    if "id" in message and (isinstance(identity, bool) or not isinstance(identity, int | str)):
        return False
    if method is not None:
        return isinstance(method, str)
    if error is not None:
        return isinstance(error, dict) and isinstance(error.get("code", 0), int)
    return "id" in message
