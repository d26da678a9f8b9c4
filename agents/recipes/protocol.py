"""What a recipe is: a request of known shape that is planned and carried out without any model."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agents.protocol import Facts

Parameters = dict[str, str]
_LINE = re.compile(r"^recipe: (?P<recipe>[a-z-]+)/(?P<step>[a-z-]+) (?P<parameters>\{.*\})$", re.MULTILINE)


@dataclass(kw_only=True)
class Workplace:
    """The tree of one attempt; knows what was written."""

    root: Path
    written: list[str] = field(default_factory=list)

    def read(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8")

    def exists(self, path: str) -> bool:
        return (self.root / path).is_file()

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        self.written.append(path)


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What a recipe makes of a request."""

    tickets: list[dict[str, Any]]
    """In the form of a plan file."""
    assumptions: list[str] = field(default_factory=list)
    """What was taken for granted where the request left a choice."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    name: str
    pattern: re.Pattern[str]
    """Matches the whole request, case-insensitively; its named groups are the parameters."""
    usage: str
    example: str
    plan: Callable[[Parameters, Facts], Planned]
    """Give the tickets; raise InputError where the parameters make no sense here."""
    steps: Mapping[str, Callable[[Workplace, Parameters], str]]
    """Carry out one ticket each, and say in one sentence what was done."""


def instruction(recipe: str, step: str, parameters: Parameters) -> str:
    """Write the line of a ticket's context that tells the driver what to do."""
    return f"recipe: {recipe}/{step} {json.dumps(parameters, sort_keys=True)}"


def read_instruction(context: str) -> tuple[str, str, Parameters] | None:
    found = _LINE.search(context)
    return (found["recipe"], found["step"], json.loads(found["parameters"])) if found else None
