"""Cases of the gate `acceptance`."""

from __future__ import annotations

from typing import Any

from gates.example import Example

CHANGE = {"a.txt": "one\n"}


def asks(*commands: Any, timeout_s: float = 20) -> dict[str, Any]:
    return {"acceptance": [{"run": command, "timeout_s": timeout_s} for command in commands]}


CASES = (
    Example(
        name="a command that ends with 1",
        change=CHANGE,
        ticket=asks(["false"]),
        expects=("acceptance.failed",),
        runs=True,
    ),
    Example(
        name="one of two that fails",
        change=CHANGE,
        ticket=asks("test -s a.txt", "grep -q two a.txt"),
        expects=("acceptance.failed",),
        runs=True,
    ),
    Example(
        name="both that fail",
        change=CHANGE,
        ticket=asks("exit 3", "exit 4"),
        expects=("acceptance.failed", "acceptance.failed"),
        runs=True,
    ),
    Example(
        name="a program that is ended by a signal",
        change=CHANGE,
        ticket=asks("kill -SEGV $$"),
        expects=("acceptance.failed",),
        runs=True,
    ),
    Example(
        name="a program that is not there",
        change=CHANGE,
        ticket=asks(["no-such-program"]),
        undecided="was not found",
        runs=True,
    ),
    Example(
        name="a command without an end",
        change=CHANGE,
        ticket=asks("sleep 60", timeout_s=0.3),
        undecided="its limit",
        runs=True,
    ),
    Example(
        name="what only the command before it made",
        change=CHANGE,
        ticket=asks("touch made", "test -e made"),
        expects=("acceptance.failed",),
        runs=True,
    ),
    Example(name="a command that ends with 0", change=CHANGE, ticket=asks(["test", "-s", "a.txt"]), runs=True),
    Example(name="a shell line", change=CHANGE, ticket=asks("grep -q one a.txt && test ! -e b.txt"), runs=True),
    Example(name="no command at all", change=CHANGE),
)
