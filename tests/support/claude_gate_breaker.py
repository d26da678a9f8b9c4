"""Stands between the harness and the real Claude Code and breaks the gate's answers: `claude_gate_breaker.py HOW CLIENT FLAGS...`.

HOW says what the client gets to hear instead of an answer, or that it never hears of the gate; all other lines pass unchanged.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import Any

HOOK = "hookSpecificOutput"


def broken(how: str, message: dict[str, Any]) -> str:
    response = message["response"]
    identity = response["request_id"]
    if how == "error":
        return _success_not(identity)
    answers: dict[str, Any] = {
        "nothing": {},
        "null": None,
        "text": "allow",
        "list": ["allow"],
        "maybe": {HOOK: {"hookEventName": "PreToolUse", "permissionDecision": "perhaps"}},
        "ask": {HOOK: {"hookEventName": "PreToolUse", "permissionDecision": "ask"}},
        "other event": {HOOK: {"hookEventName": "PostToolUse", "permissionDecision": "allow"}},
        "no event": {HOOK: {"permissionDecision": "allow"}},
        "nonsense": {"nonsense": 1, HOOK: 7},
    }
    if how == "other request":
        identity = "another"
        answers[how] = response["response"]
    if how == "no JSON":
        return "{{{ allow"
    return json.dumps(
        {
            "type": "control_response",
            "response": {"subtype": "success", "request_id": identity, "response": answers[how]},
        }
    )


def _success_not(identity: str) -> str:
    response = {"subtype": "error", "request_id": identity, "error": "the gate crashed"}
    return json.dumps({"type": "control_response", "response": response})


def passed_on(how: str, line: str) -> str | None:
    """Give what the client hears instead of a line; None: nothing at all."""
    message = json.loads(line)
    if message.get("type") == "control_request" and message["request"]["subtype"] == "initialize":
        if how == "missing":
            del message["request"]["hooks"]
            return json.dumps(message)
        for hook in message["request"]["hooks"]["PreToolUse"]:
            hook["timeout"] = 2  # the harness is patient for a minute; a test is not
        return json.dumps(message)
    if message.get("type") == "control_response" and how != "missing":
        return None if how == "silence" else broken(how, message)
    return line


def main() -> None:
    how, *command = sys.argv[1:]
    if "--version" in command:
        os.execv(command[0], command)  # noqa: S606 - the client itself, in our place
    client = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
    assert client.stdin is not None

    def relay() -> None:
        assert client.stdin is not None
        for line in sys.stdin:
            if (other := passed_on(how, line)) is not None:
                client.stdin.write(other.rstrip("\n") + "\n")
                client.stdin.flush()
        client.stdin.close()

    threading.Thread(target=relay, daemon=True).start()
    raise SystemExit(client.wait())


if __name__ == "__main__":
    main()
