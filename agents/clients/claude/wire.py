"""The lines that are exchanged with Claude Code on its standard input and output: the control protocol of its SDKs.

It is no published contract: what is used of it here is checked with the real client in tests/clients.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agents.values import Object, parsed, shown

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

_GREP = (
    "pattern",
    "path",
    "glob",
    "type",
    "output_mode",
    "-A",
    "-B",
    "-C",
    "-i",
    "-n",
    "context",
    "head_limit",
    "multiline",
)
_TAKES: dict[str, tuple[str, ...]] = {
    "Bash": ("command", "description", "timeout", "run_in_background"),
    "Edit": ("file_path", "old_string", "new_string", "replace_all"),
    "Glob": ("pattern", "path"),
    "Grep": _GREP,
    "NotebookEdit": ("notebook_path", "new_source", "cell_id", "cell_type", "edit_mode"),
    "Read": ("file_path", "offset", "limit", "pages"),
    "Write": ("file_path", "content"),
}
"""The arguments that a tool goes by. A model may write others beside them: the gate must not go by what the tool does not."""

Event = Object


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
    found = parsed(line)
    if found is None or not isinstance(found.get("type"), str):
        raise BrokenError(f"a line is no JSON object with a `type`: {shown(line)}")
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
    keys = ("hook_event_name", "tool_name", "tool_use_id", "cwd")
    tool, arguments = given["tool_name"], given["tool_input"]
    names = _TAKES.get(tool, tuple(arguments))
    taken = {key: value for key, value in arguments.items() if key in names}
    return {**{key: given[key] for key in keys if key in given}, "tool_input": taken}


def _request(identity: str, request: dict[str, Any]) -> bytes:
    return _line({"type": "control_request", "request_id": identity, "request": request})


def _answer(response: dict[str, Any]) -> bytes:
    return _line({"type": "control_response", "response": response})


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"
