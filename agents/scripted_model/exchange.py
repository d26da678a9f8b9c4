"""What all wires have in common: a request as the script sees it, an answer, and the frames of a stream."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.scripted_model.script import Step, Tokens, ToolUse

Body = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request, whatever its wire."""

    model: str
    opening: str
    """Instructions, and everything that was said before the model's first answer."""
    answers: int
    """That the request carries already."""
    told: str = ""
    """What the user said last."""
    tools: Mapping[str, str] = field(default_factory=dict)
    """Name and kind of each that is offered."""
    results: tuple[str, ...] = ()
    """Of tools, since the last answer."""
    stream: bool = False
    wants_usage: bool = True
    """Whether a stream is to end with its usage."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer. `key` is made from the request: a retry is answered with the same identities."""

    step: Step
    model: str
    usage: Tokens
    key: str

    @property
    def uses(self) -> Iterator[tuple[str, ToolUse]]:
        return ((f"{self.key}{number}", use) for number, use in enumerate(self.step.tools))


@dataclass(frozen=True, kw_only=True)
class Wire:
    """One vendor's form of requests and answers."""

    name: str
    read: Callable[[Body], Asked]
    plain: Callable[[Asked, Reply], dict[str, Any]]
    frames: Callable[[Asked, Reply], Iterator[bytes]]
    error: Callable[[int, str], dict[str, Any]]


def frame(data: Mapping[str, Any] | str, *, event: str = "") -> bytes:
    """One server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {event}\n" if event else "").encode() + f"data: {text}\n\n".encode()


def arguments(use: ToolUse) -> str:
    return use.input if isinstance(use.input, str) else json.dumps(use.input)


def turns(made: Iterable[bool]) -> int:
    """Count the groups of consecutive messages that the model made."""
    return sum(by_model for by_model, _ in itertools.groupby(made))


def text_of(content: Any) -> str:
    """Give all text of a content, whatever its nesting."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(filter(None, map(text_of, content)))
    if isinstance(content, dict):
        return next((text_of(content[key]) for key in ("text", "content", "parts", "output") if key in content), "")
    return ""


def objects(value: Any) -> list[dict[str, Any]]:
    """Give the JSON objects of a list; anything else is no message and no tool."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""
