"""A Codex that plays recorded lines over both of its wires: `fake_codex.py SCENE.json app-server | exec ... | --version`.

A scene is a JSON object; every key may be missing:

    version, approval, reviewer, sandbox, model    what it says of itself and of its threads
    trust         what `hooks/list` says once a hash was written: trusted, untrusted, missing (no hook at all), extra (one more)
    features      what it says of its features, by name
    refuses       names of methods that are answered with an error
    play          steps of a turn, or of `exec`
    exit, stderr  how it ends after its input was closed
    journal       file that gets every line it was sent, and in `exec` its arguments and what was on standard input

Steps: {"say": {...}} a message; {"ask": {...}} a request, whose answer is waited for; {"raw": "text"}; {"flood": bytes} without an end of the line;
{"times": n, "each": {...}}; {"write": path} only where the last answer was an `accept`; {"await": method}; {"hang": seconds}; {"exit": code};
{"die": signal}; {"replace": path}; {"record": [...]} lines for the client's own record of the session.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

THREAD = "01a1fddf-73ce-7021-bf21-248ed418279b"
TURN = "01a1fddf-73fe-7f02-9b1b-f30da96a5f56"
BLOCK = 1 << 20


class Fake:
    def __init__(self, scene: dict[str, Any]) -> None:
        self.scene = scene
        self.accepted = False
        self.trusted = False
        self.steps: dict[str, Callable[[Any], object]] = {
            "say": self.say,
            "ask": self.ask,
            "raw": self.raw,
            "flood": self.flood,
            "write": self.write,
            "await": self.until,
            "hang": time.sleep,
            "exit": self.end,
            "die": lambda number: os.kill(os.getpid(), number),
            "replace": lambda path: Path(path).write_bytes(Path(path).read_bytes() + b"\n"),
            "record": self.record,
        }

    # the wire

    def raw(self, text: str) -> None:
        os.write(1, text.encode() + b"\n")

    def say(self, message: dict[str, Any]) -> None:
        self.raw(json.dumps(message))

    def flood(self, size: int) -> None:
        for _ in range(size // BLOCK):
            left = memoryview(b"x" * BLOCK)
            while left:
                left = left[os.write(1, left) :]

    def hear(self) -> dict[str, Any]:
        line = sys.stdin.readline()
        if not line:
            self.end()
        self.note(line)
        return dict(json.loads(line))

    def note(self, text: str) -> None:
        if "journal" in self.scene:
            with Path(self.scene["journal"]).open("a", encoding="utf-8") as stream:
                stream.write(text.rstrip("\n") + "\n")

    def end(self, code: int | None = None) -> None:
        sys.stderr.write(self.scene.get("stderr", ""))
        sys.exit(self.scene.get("exit", 0) if code is None else code)

    # what is played

    def play(self) -> None:
        for step in self.scene.get("play", ()):
            for _ in range(step.get("times", 1)):
                for name, value in step.get("each", step).items():
                    self.steps.get(name, lambda _: None)(value)

    def ask(self, request: dict[str, Any]) -> None:
        self.say(request)
        while (heard := self.hear()).get("id") != request["id"] or "method" in heard:
            pass
        self.accepted = (heard.get("result") or {}).get("decision") == "accept"

    def until(self, method: str) -> None:
        while self.hear().get("method") != method:
            pass

    def write(self, path: str) -> None:
        if self.accepted:
            Path(path).write_text("written\n", encoding="utf-8")

    def record(self, lines: list[dict[str, Any]]) -> None:
        folder = Path(os.environ["CODEX_HOME"]) / "sessions" / "2026" / "11" / "21"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"rollout-2026-11-21T11-30-42-{THREAD}.jsonl").open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(line) + "\n" for line in lines)

    # the application server

    def serve(self) -> None:
        while True:
            request = self.hear()
            method, identity = request.get("method"), request.get("id")
            if identity is None or method is None:
                continue
            if method in self.scene.get("refuses", ()):
                self.say({"id": identity, "error": {"code": -32600, "message": f"{method}: no such thing"}})
                continue
            self.say({"id": identity, "result": self.result(str(method))})
            if method == "turn/start":
                self.play()

    def result(self, method: str) -> dict[str, Any]:
        version = self.scene.get("version", "0.169.0")
        if method == "initialize":
            return {"userAgent": f"signalbox/{version} (Debian 12.0.0; x86_64) unknown (signalbox; 1)"}
        if method == "hooks/list":
            return {"data": [{"cwd": str(Path.cwd()), "hooks": self.hooks(), "warnings": [], "errors": []}]}
        if method == "experimentalFeature/list":
            features = self.scene.get("features", {"unified_exec_tty": False, "view_image": False})
            return {"data": [{"name": name, "enabled": enabled} for name, enabled in features.items()]}
        if method == "config/value/write":
            self.trusted = True
            return {"status": "ok"}
        if method in {"thread/start", "thread/resume"}:
            return {
                "thread": {"id": THREAD},
                "model": self.scene.get("model", "gpt-5.5"),
                "approvalPolicy": self.scene.get("approval", "untrusted"),
                "approvalsReviewer": self.scene.get("reviewer", "user"),
                "sandbox": {"type": self.scene.get("sandbox", "dangerFullAccess")},
            }
        return {"turn": {"id": TURN, "status": "inProgress"}} if method == "turn/start" else {}

    def hooks(self) -> list[dict[str, Any]]:
        config = Path(os.environ["CODEX_HOME"]) / "config.toml"
        command = next(line for line in config.read_text("utf-8").splitlines() if line.startswith("command = "))
        trust = self.scene.get("trust", "trusted")
        hook = {
            "key": f"{config}:pre_tool_use:0:0",
            "eventName": "preToolUse",
            "handlerType": "command",
            "matcher": "*",
            "command": json.loads(command.removeprefix("command = ")),
            "async": False,
            "enabled": True,
            "currentHash": "sha256:5089",
            "trustStatus": trust if self.trusted and trust != "extra" else "trusted" if self.trusted else "untrusted",
        }
        return [] if trust == "missing" else [hook, hook] if trust == "extra" else [hook]


def main() -> None:
    scene = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    fake = Fake(scene)
    if sys.argv[2] == "app-server":
        fake.serve()
    elif sys.argv[2] == "exec":
        fake.note(json.dumps({"argv": sys.argv[2:], "stdin": sys.stdin.read()}))
        fake.play()
        fake.end()
    else:
        sys.stdout.write(f"codex-cli {scene.get('version', '0.169.0')}\n")


if __name__ == "__main__":
    main()
