"""An ACP agent that plays a script: asks, does not ask, hangs, lies, dies, floods. Standard library alone.

    python fake_acp.py '[["say", "hello"], ["ask", {...}], ["end", "end_turn"]]'

Each step is a list: its name and what belongs to it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

OPTIONS = [
    {"optionId": "always", "name": "Always", "kind": "allow_always"},
    {"optionId": "once", "name": "Once", "kind": "allow_once"},
    {"optionId": "no", "name": "No", "kind": "reject_once"},
]
GREETING = {
    "protocolVersion": 1,
    "agentCapabilities": {"loadSession": True},
    "agentInfo": {"name": "fake", "version": "3.2.1"},
    "authMethods": [{"id": "browser", "name": "B"}, {"id": "fake-api-key", "name": "K"}],
}


class Fake:
    def __init__(self, script: dict[str, Any]) -> None:
        self.script = script
        self.log = Path(os.environ["HOME"]) / "fake.log"
        self.asked = 0
        self.signed_in = not script.get("auth")
        self.answers: list[Any] = []

    def main(self) -> None:
        while message := self.read():
            self.note(message)
            method = message.get("method")
            if method == "session/cancel":
                continue
            if "id" in message and method:
                self.request(message["id"], str(method), message.get("params") or {})

    def request(self, identity: Any, method: str, params: dict[str, Any]) -> None:
        canned = self.script.get("answers", {}).get(method)
        if canned is not None:
            self.write({"jsonrpc": "2.0", "id": identity, **canned})
        elif method == "initialize":
            self.reply(identity, {**GREETING, **self.script.get("greeting", {})})
        elif method == "authenticate":
            self.signed_in = True
            self.reply(identity, {})
        elif method == "session/new" and not self.signed_in:
            self.fail(identity, -32000, "Authentication required")
        elif method == "session/new":
            self.reply(identity, {"sessionId": "s-1", **self.script.get("session", {})})
        elif method == "session/load":
            self.play([["say", "said before"], ["call", {"toolCallId": "old", "kind": "edit", "status": "completed"}]])
            known = params["sessionId"] == "s-1"
            self.reply(identity, {}) if known else self.fail(identity, -32002, "no such session")
        elif method == "session/prompt":
            self.play(self.script.get("steps", []), identity)
        else:
            self.reply(identity, {})

    def play(self, steps: list[list[Any]], prompt: Any = None) -> None:
        for name, *given in steps:
            getattr(self, f"do_{name}")(*given, **({"prompt": prompt} if name in {"end", "error"} else {}))

    # steps

    def do_say(self, text: str) -> None:
        self.update({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}})

    def do_think(self, text: str) -> None:
        self.update({"sessionUpdate": "agent_thought_chunk", "content": {"type": "text", "text": text}})

    def do_call(self, call: dict[str, Any]) -> None:
        self.update({"sessionUpdate": "tool_call", "title": "t", **call})

    def do_update(self, update: dict[str, Any]) -> None:
        self.update(update)

    def do_ask(self, call: dict[str, Any], options: list[dict[str, Any]] | None = None) -> None:
        """Ask, wait for the answer, and do what `writes` names where it is a yes."""
        writes = call.pop("writes", None)
        self.asked += 1
        offered = OPTIONS if options is None else options
        params = {"sessionId": "s-1", "toolCall": call, "options": offered}
        self.write(
            {"jsonrpc": "2.0", "id": 1000 + self.asked, "method": "session/request_permission", "params": params}
        )
        while message := self.read():
            self.note(message)
            if message.get("id") == 1000 + self.asked:
                chosen = message.get("result", {}).get("outcome", {}).get("optionId")
                if writes and chosen == "once":
                    Path(writes).write_text("written\n", encoding="utf-8")
                return

    def do_request(self, method: str, params: dict[str, Any]) -> None:
        self.write({"jsonrpc": "2.0", "id": f"r-{method}", "method": method, "params": params})
        self.note(self.read() or {})

    def do_write(self, path: str) -> None:
        """Write without asking."""
        Path(path).write_text("written\n", encoding="utf-8")

    def do_raw(self, text: str, times: int = 1) -> None:
        for _ in range(times):
            sys.stdout.write(text)
        sys.stdout.flush()

    def do_blob(self, mebibytes: int) -> None:
        """Send one message of so many MiB."""
        sys.stdout.write('{"jsonrpc": "2.0", "method": "session/update", "params": {"update": {"x": "')
        for _ in range(mebibytes):
            sys.stdout.write("x" * (1 << 20))
        sys.stdout.write('"}}}\n')
        sys.stdout.flush()

    def do_sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def do_deaf(self) -> None:
        """Heed no polite signal."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

    def do_leave(self, code: int) -> None:
        sys.stdout.flush()
        os._exit(code)

    def do_await_cancel(self) -> None:
        while message := self.read():
            self.note(message)
            if message.get("method") == "session/cancel":
                return

    def do_end(self, reason: str, more: dict[str, Any] | None = None, *, prompt: Any) -> None:
        self.reply(prompt, {"stopReason": reason, **(more or {})})

    def do_error(self, code: int, message: str, *, prompt: Any) -> None:
        self.fail(prompt, code, message)

    # the wire

    def update(self, update: dict[str, Any]) -> None:
        self.write({"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": "s-1", "update": update}})

    def reply(self, identity: Any, result: dict[str, Any]) -> None:
        self.write({"jsonrpc": "2.0", "id": identity, "result": result})

    def fail(self, identity: Any, code: int, message: str) -> None:
        self.write({"jsonrpc": "2.0", "id": identity, "error": {"code": code, "message": message}})

    def write(self, message: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()

    def read(self) -> dict[str, Any] | None:
        line = sys.stdin.readline()
        return dict(json.loads(line)) if line else None

    def note(self, message: dict[str, Any]) -> None:
        with self.log.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(message) + "\n")


if __name__ == "__main__":
    Fake(json.loads(sys.argv[1])).main()
