"""The lines that are exchanged with Claude Code on its standard input and output: the control protocol of its SDKs.

It is no published contract: what is used of it here is checked with the real client in tests/clients.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents.protocol import Permit

GATE = "gate"
HELLO = "hello"
ANSWER_S = 60
"""How long the client waits for the gate; then it refuses the call."""
LONGEST_EVENT = 8 << 20
"""Bytes of a line that is still read: in memory a list of empty lists takes twenty times as much."""
_RESULT_OF_A_TOOL = b'{"type":"user"'

Event = dict[str, Any]


class BrokenError(Exception):
    """The client's output is no such stream; the message says what was wrong with it."""


def event(line: bytes, *, cut: bool) -> Event | None:
    """Read one line; None where it is empty or the huge result of a tool, which nothing depends on."""
    if cut or len(line) > LONGEST_EVENT:
        if line.startswith(_RESULT_OF_A_TOOL):
            return None
        raise BrokenError(f"an event is longer than {LONGEST_EVENT >> 20} MiB")
    if not line.strip():
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BrokenError(f"a line is no JSON: {_shown(line)}") from error
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise BrokenError(f"a line is no event with a `type`: {_shown(line)}")
    return found


def hello() -> bytes:
    """Register the gate for every tool; `block` refuses where no answer can be had, as the mode `dontAsk` does, too."""
    hook = {"matcher": None, "hookCallbackIds": [GATE], "timeout": ANSWER_S, "onFailure": "block"}
    return _request(HELLO, {"subtype": "initialize", "hooks": {"PreToolUse": [hook]}})


def told(text: str) -> bytes:
    return _line({"type": "user", "message": {"role": "user", "content": text}, "parent_tool_use_id": None})


def interrupt() -> bytes:
    return _request("stop", {"subtype": "interrupt"})


def verdict(request: str, permit: Permit) -> bytes:
    """Answer the gate's question. Only a plain yes lets the call through; no answer of another form does."""
    output = {
        "hookEventName": "PreToolUse",
        "permissionDecision": "allow" if permit.allowed is True else "deny",
        "permissionDecisionReason": permit.reason or "it was not allowed",
    }
    return _answer({"subtype": "success", "request_id": request, "response": {"hookSpecificOutput": output}})


def prompt_refused(request: str) -> bytes:
    """Answer the question that a person would be asked where the gate has not decided: nobody is there."""
    message = "nobody can be asked in this run; what the gate did not allow stays refused"
    return _answer({"subtype": "success", "request_id": request, "response": {"behavior": "deny", "message": message}})


def unsupported(request: str) -> bytes:
    return _answer({"subtype": "error", "request_id": request, "error": "this is not offered in this run"})


def question(asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give the gate's question as the gate understands it; None where the client does not ask for one call of one tool."""
    given = asked.get("input")
    if asked.get("callback_id") != GATE or not isinstance(given, dict):
        return None
    named = [given.get(key) for key in ("tool_name", "tool_use_id")]
    whole = all(isinstance(value, str) and value for value in named) and isinstance(given.get("tool_input"), dict)
    if not whole or given.get("hook_event_name") != "PreToolUse" or asked.get("tool_use_id", named[1]) != named[1]:
        return None
    keys = ("hook_event_name", "tool_name", "tool_input", "tool_use_id", "cwd")
    return {key: given[key] for key in keys if key in given}


def _request(identity: str, request: dict[str, Any]) -> bytes:
    return _line({"type": "control_request", "request_id": identity, "request": request})


def _answer(response: dict[str, Any]) -> bytes:
    return _line({"type": "control_response", "response": response})


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _shown(line: bytes) -> str:
    return repr(line[:80].decode(errors="replace"))
