"""The way to the hands: orders go into the sandbox, and what comes out of it is only text."""

from __future__ import annotations

import json
import secrets
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.values import parsed
from worktrees.conversation import SilenceError
from worktrees.process import Launch

if TYPE_CHECKING:
    from agents.protocol import Bench
    from worktrees.conversation import Conversation

HANDS = Path(__file__).parent.parent / "hands.py"
USUAL_S, SLACK_S = 60.0, 30.0
SECRET = 16
"""Characters that a key has at least."""
MOST_STRAY = 1000
"""Lines that are no answer: a program in the tree can find the pipe and write to it."""


class GoneError(Exception):
    """The hands do nothing any more."""


@dataclass(frozen=True, kw_only=True)
class Hands:
    talking: Conversation

    def do(self, what: str, given: dict[str, Any]) -> tuple[bool, str]:
        """Have an order carried out; say whether it was, and what came of it."""
        name = secrets.token_hex(8)
        order = json.dumps({**given, "id": name, "do": what}).encode() + b"\n"
        if not self.talking.send(order):
            raise GoneError("the process that works in the tree takes no more orders")
        return self._heard(name, time.monotonic() + given.get("timeout_s", USUAL_S) + SLACK_S)

    def _heard(self, name: str, limit: float) -> tuple[bool, str]:
        for _ in range(MOST_STRAY):
            try:
                line = self.talking.line(max(0.1, limit - time.monotonic()))
            except SilenceError as error:
                raise GoneError("the process that works in the tree gave no answer in time") from error
            if line is None:
                raise GoneError("the process that works in the tree ended")
            if (answer := _answer(line, name)) is not None:
                return answer
        raise GoneError("the process that works in the tree says what nobody asked for")


def _answer(line: bytes, name: str) -> tuple[bool, str] | None:
    answer = parsed(line)
    if answer is None or answer.get("id") != name or not isinstance(answer.get("text"), str):
        return None
    text = answer["text"].encode(errors="backslashreplace").decode()  # names of files need not be UTF-8
    return answer.get("done") is True, text


def report_file(bench: Bench) -> Path:
    """Where a report may be written, instead of handing it in."""
    return bench.desk / "report.md"


def _holds(value: str, key: str) -> bool:
    """Say whether a variable brings the key; a short one (`none`, `ollama`) is no secret, and may stand in any path."""
    return bool(key) and (value == key or (len(key) >= SECRET and key in value))


def launch(bench: Bench, *, key: str) -> Launch:
    """Say how the hands are started: with nothing of the model's account, and without the stored conversation."""
    script = bench.desk / HANDS.name  # the sandbox shows the desk, not this package
    script.write_bytes(HANDS.read_bytes())
    env = {name: value for name, value in bench.variables.items() if not _holds(value, key)}
    env["ORCHESTRATE_REPORT"] = str(report_file(bench))
    confinement = bench.confinement
    closed = replace(confinement, write=tuple(path for path in confinement.write if path != bench.session))
    command = (sys.executable, "-I", "-S", str(script))
    return Launch(command=command, cwd=bench.tree, env=env, confinement=closed)
