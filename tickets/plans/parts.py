"""What a plan says besides its tickets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, StringConstraints

from tickets.documents import Strict
from tickets.model import FilledLine, Line

RequirementId = Annotated[str, StringConstraints(pattern=r"^R[0-9]{1,3}$")]


class Requirement(Strict):
    """One thing that the request asks for."""

    id: RequirementId
    text: FilledLine


class Alternative(Strict):
    """Another way, and why it was not taken."""

    what: FilledLine
    why_not: FilledLine


class PlanRisk(Strict):
    what: FilledLine
    severity: Literal["high", "medium", "low"] = "medium"
    mitigation: Line = ""


def _worded(value: object) -> object:
    """Take `answer: 8000` for what a person means by it."""
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int | float) else value


Answer = Annotated[Line, BeforeValidator(_worded)]


class OpenQuestion(Strict):
    """What the request leaves open."""

    text: FilledLine
    default: Answer = ""
    """What is assumed where nobody answers."""
    answer: Answer = ""
    """A person's."""

    @property
    def decided(self) -> str:
        return self.answer or self.default
