"""What a challenger objects to in a plan."""

from __future__ import annotations

from typing import Literal

from tickets.documents import Document, Strict, validate
from tickets.errors import FileError
from tickets.model import FilledLine, Line
from tickets.plans.answer import read_answer

MOST = 30


class Objection(Strict):
    severity: Literal["blocker", "major", "minor"]
    claim: FilledLine
    suggestion: Line = ""
    ticket: Line = ""
    """Key of the ticket that it is about."""
    requirement: Line = ""

    @property
    def weighs(self) -> bool:
        """Whether the plan goes back because of it."""
        return self.severity != "minor"

    def __str__(self) -> str:
        about = " ".join(filter(None, (self.ticket, self.requirement))) or "the plan"
        return f"{self.severity}, {about}: {self.claim}" + (f" -> {self.suggestion}" if self.suggestion else "")


class _Objections(Strict):
    findings: tuple[Objection, ...] = ()


def read_objections(text: str, name: str) -> tuple[Objection, ...]:
    """Read a challenger's answer: a list, or a mapping with `findings:`; raise FileError for anything else."""
    document = read_answer(text, name)
    if isinstance(document.data, list):
        lines = {("findings", *key): line for key, line in document.lines.items()}
        document = Document(name=name, data={"findings": document.data}, lines=lines)
    if not isinstance(document.data, dict) or "findings" not in document.data:
        raise FileError(document.problem((), "expected a list of findings (`[]` where there is nothing to object)"))
    return validate(_Objections, document).findings[:MOST]
