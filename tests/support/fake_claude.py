"""Speaks Claude Code's wire from recorded lines: `fake_claude.py SCENARIO FLAGS...`, where SCENARIO is a JSON file.

Keys of a scenario: `version` (what `--version` prints), `hello` (facts that it answers the first request with; null: no answer),
`acts` (in order), `exit`, `resumed` (acts for a start with `--resume`), `heard` (file that gets what it was told, as JSON lines). Acts:

    {"say": EVENT}            prints the event
    {"raw": TEXT}             prints the text as it is
    {"call": {"id", "tool", "input"}}   shows a call, asks the gate, does as it is told (a `Write` writes), shows the result
    {"call": ..., "gate": "skip"}       the same without asking
    {"ask": REQUEST}          sends a control request, and waits for the answer
    {"wait": SUBTYPE}         waits until such a control request comes
    {"flood": EVENT, "times": N}        prints the event so often, each time under another id
    {"huge": BYTES, "start": TEXT}      prints one line of that length
    {"sleep": SECONDS}, {"kill": SIGNAL}, {"touch": PATH}
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

VERSION = "2.1.329"
SESSION = "efd6be85-c308-4144-a5f1-1dc5dc6e0b79"
MODEL = "claude-opus-5-5"
HELLO: dict[str, Any] = {"claude_code_version": VERSION, "current_permission_mode": "dontAsk", "hooks_applied": True}
# recorded from 2.1.329, without what nobody reads
INIT: dict[str, Any] = {
    "type": "system",
    "subtype": "init",
    "session_id": SESSION,
    "tools": ["Bash", "Edit", "Read", "StructuredOutput", "Write"],
    "model": MODEL,
    "permissionMode": "dontAsk",
    "claude_code_version": VERSION,
}
RESULT: dict[str, Any] = {
    "stop_reason": "end_turn",
    "session_id": SESSION,
    "total_cost_usd": 0.015,
    "usage": {
        "input_tokens": 1000,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 50,
    },
    "modelUsage": {MODEL: {"inputTokens": 3000, "outputTokens": 150, "cacheReadInputTokens": 40, "costUSD": 0.015}},
    "model_usage_since_last_result": {
        MODEL: {"inputTokens": 1000, "outputTokens": 50, "cacheReadInputTokens": 40, "costUSD": 0.005}
    },
    "terminal_reason": "completed",
    "is_error": False,
    "num_turns": 2,
    "subtype": "success",
    "api_error_status": None,
    "result": "done",
    "type": "result",
}


def said(text: str, *, identity: str = "msg_1", model: str = MODEL, **more: Any) -> dict[str, Any]:
    return message([{"type": "text", "text": text}], identity=identity, model=model, **more)


def message(content: list[dict[str, Any]], *, identity: str, model: str = MODEL, **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 1000, "output_tokens": 1, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 40}
    body = {"id": identity, "type": "message", "role": "assistant", "model": model, "content": content, "usage": usage}
    return {"type": "assistant", "message": body, "parent_tool_use_id": None, "session_id": SESSION, **more}


def called(identity: str, tool: str, **given: Any) -> dict[str, Any]:
    block = {"type": "tool_use", "id": identity, "name": tool, "input": given}
    return message([block], identity=f"msg_{identity}")


def ended(identity: str, text: str, *, decision: str = "", error: bool = False) -> dict[str, Any]:
    block = {"tool_use_id": identity, "type": "tool_result", "content": text, "is_error": error}
    event = {"type": "user", "message": {"role": "user", "content": [block]}, "session_id": SESSION}
    meta = [{"id": identity, "permission_decision": {"decision": decision, "source": "hook"}}]
    return event | ({"tool_result_meta": meta} if decision else {})


def asks(identity: str, tool: str, given: dict[str, Any]) -> dict[str, Any]:
    asked = {
        "session_id": SESSION,
        "cwd": str(Path.cwd()),
        "hook_event_name": "PreToolUse",
        "tool_name": tool,
        "tool_input": given,
        "tool_use_id": identity,
    }
    return {"subtype": "hook_callback", "callback_id": "gate", "input": asked, "tool_use_id": identity}


class Fake:
    def __init__(self, scenario: dict[str, Any]) -> None:
        self.scenario = scenario
        self.count = 0

    def say(self, event: dict[str, Any]) -> None:
        self.write(json.dumps(event) + "\n")

    def write(self, text: str) -> None:
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
        sys.stdout.buffer.flush()

    def hear(self) -> dict[str, Any]:
        line = sys.stdin.readline()
        if not line:
            raise SystemExit(self.scenario.get("exit", 0))
        with Path(self.scenario["heard"]).open("a", encoding="utf-8") as heard:
            heard.write(line)
        found: dict[str, Any] = json.loads(line)
        return found

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self.count += 1
        identity = f"request-{self.count}"
        self.say({"type": "control_request", "request_id": identity, "request": request})
        while True:
            answer = self.hear()
            if answer.get("type") == "control_response" and answer["response"]["request_id"] == identity:
                return dict(answer["response"])

    def call(self, act: dict[str, Any]) -> None:
        identity, tool, given = (act["call"][key] for key in ("id", "tool", "input"))
        self.say(called(identity, tool, **given))
        decision = "accept"
        if act.get("gate") != "skip":
            output = self.ask(asks(identity, tool, given))["response"]["hookSpecificOutput"]
            decision = "accept" if output["permissionDecision"] == "allow" else "reject"
        if decision == "reject":
            self.say(
                ended(identity, f"hook error: {output['permissionDecisionReason']}", decision="reject", error=True)
            )
            return
        if tool == "Write":
            Path(given["file_path"]).write_text(given["content"], encoding="utf-8")
        self.say(ended(identity, "made", decision=decision))

    def play(self, act: dict[str, Any]) -> None:
        if "call" in act:
            self.call(act)
        elif "flood" in act:
            self.flood(json.dumps(act["flood"]), act["times"])
        elif "huge" in act:
            self.huge(act["start"].encode(), act["huge"])
        else:
            ((name, value),) = act.items()
            getattr(self, f"act_{name}")(value)

    def act_say(self, event: dict[str, Any]) -> None:
        self.say(event)

    def act_raw(self, text: str) -> None:
        self.write(text)

    def act_ask(self, request: dict[str, Any]) -> None:
        self.ask(request)

    def act_wait(self, subtype: str) -> None:
        while self.hear().get("request", {}).get("subtype") != subtype:
            pass

    @staticmethod
    def act_sleep(seconds: float) -> None:
        time.sleep(seconds)

    @staticmethod
    def act_touch(path: str) -> None:
        Path(path).write_bytes(Path(path).read_bytes() + b"\n")

    @staticmethod
    def act_kill(number: int) -> None:
        os.kill(os.getpid(), number)

    @staticmethod
    def flood(line: str, times: int) -> None:
        for begin in range(0, times, 1000):
            lines = (line.replace("NUMBER", str(number)) for number in range(begin, min(begin + 1000, times)))
            sys.stdout.buffer.write(("\n".join(lines) + "\n").encode())
        sys.stdout.buffer.flush()

    @staticmethod
    def huge(start: bytes, length: int) -> None:
        sys.stdout.buffer.write(start)
        for _ in range(length >> 20):
            sys.stdout.buffer.write(b"[" * (1 << 20))
        sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()

    def run(self) -> None:
        self.hear()
        facts = self.scenario.get("hello", HELLO)
        if facts is not None:
            response = {"subtype": "success", "request_id": "hello", "response": facts}
            self.say({"type": "control_response", "response": response})
            self.hear()
        acts = self.scenario.get("resumed", []) if "--resume" in sys.argv else self.scenario["acts"]
        for act in acts:
            self.play(act)
        while not self.scenario.get("hasty") and sys.stdin.readline():
            pass
        raise SystemExit(self.scenario.get("exit", 0))


def main() -> None:
    scenario = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if "--version" in sys.argv:
        sys.stdout.write(scenario.get("version", f"{VERSION} (Claude Code)") + "\n")
        raise SystemExit(scenario.get("version exit", 0))
    with Path(scenario["heard"]).open("a", encoding="utf-8") as heard:
        heard.write(json.dumps({"type": "start", "argv": sys.argv[2:], "env": dict(os.environ)}) + "\n")
    Fake(scenario).run()


if __name__ == "__main__":
    main()
