"""Conversations on disk, so that the next attempt can go on with one. What lies there is not believed blindly."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Message = dict[str, Any]
LARGEST = 128 << 20
_NAME = re.compile(r"[0-9a-f]{32}")
_ROLES = frozenset({"system", "user", "assistant", "tool"})
NOT_MADE = "[this call was not made: the work was stopped before it]"


def new_name() -> str:
    return uuid.uuid4().hex


def saved(folder: Path, name: str, messages: Sequence[Message]) -> None:
    """Store a conversation in one step: a link at its place is replaced, never followed."""
    fresh = folder / f".chat-{uuid.uuid4().hex}"
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(list(messages), stream)
    fresh.replace(_file(folder, name))


def stored(folder: Path, name: str) -> list[Message] | None:
    """Give a conversation that can be taken up again; None where there is none."""
    if not _NAME.fullmatch(name):
        return None
    with contextlib.suppress(OSError, ValueError, RecursionError):
        messages = json.loads(_read(_file(folder, name)))
        if isinstance(messages, list) and messages and all(_is_message(one) for one in messages):
            return list(_mended(messages))
    return None


def _file(folder: Path, name: str) -> Path:
    return folder / f"chat-{name}.json"


def _read(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError
        return stream.read(LARGEST)


def _is_message(one: Any) -> bool:
    if not isinstance(one, dict) or one.get("role") not in _ROLES or not isinstance(one.get("content"), str):
        return False
    calls = one.get("tool_calls", [])
    return isinstance(calls, list) and all(isinstance(call, dict) for call in calls)


def _mended(messages: list[Message]) -> Iterator[Message]:
    """Answer the calls that were left open: services refuse a conversation with a call that has no result."""
    answered = {message.get("tool_call_id") for message in messages}
    for place, message in enumerate(messages):
        yield message
        following = messages[place + 1 : place + 2]
        if following and following[0]["role"] == "tool":
            continue
        group = _group(messages, place)
        for call in group.get("tool_calls", []):
            if call.get("id") not in answered:
                yield {"role": "tool", "tool_call_id": call.get("id"), "content": NOT_MADE}


def _group(messages: list[Message], place: int) -> Message:
    """Give the message of the model that these results belong to."""
    while place > 0 and messages[place]["role"] == "tool":
        place -= 1
    return messages[place]
