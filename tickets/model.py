"""The ticket: what to do, where it may write, how it is judged, what it may spend."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from tickets.documents import Strict
from tickets.globs import normalise
from tickets.grants import Kind

ALLOWED_CONTROLS = "\n\t"


def _readable(text: str) -> str:
    """Refuse characters that no ticket needs and that files, terminals and YAML disagree about."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for character in text:
        if character not in ALLOWED_CONTROLS and unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}:
            raise ValueError(f"text without control characters (found U+{ord(character):04X})")
    return text


def _one_line(text: str) -> str:
    return " ".join(_readable(text).split())


def _block(text: str) -> str:
    return "\n".join(line.rstrip() for line in _readable(text).split("\n")).strip()


Line = Annotated[str, AfterValidator(_one_line)]
FilledLine = Annotated[str, AfterValidator(_one_line), StringConstraints(min_length=1)]
Block = Annotated[str, AfterValidator(_block)]
Glob = Annotated[str, AfterValidator(normalise)]
TicketId = Annotated[str, StringConstraints(pattern=r"^T-[0-9]{4,}$")]
FeatureId = Annotated[str, StringConstraints(pattern=r"^F-[0-9]{4,}$")]
Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Seconds = Annotated[float, Field(gt=0, le=7 * 24 * 3600)]
Argv = Annotated[tuple[FilledLine, ...], Field(min_length=1)]


class Scope(Strict):
    write: tuple[Glob, ...] = ()
    """Existing files that may change."""
    new: tuple[Glob, ...] = ()
    """What the ticket creates; what it names may be written too."""
    deny: tuple[Glob, ...] = ()
    """Wins over write and new."""

    @property
    def allowed(self) -> tuple[str, ...]:
        return (*self.write, *self.new)


class TicketLimits(Strict):
    """Limits of the policy that this ticket tightens (or, with a grant, widens)."""

    file_lines: int | None = Field(default=None, ge=1)
    function_lines: int | None = Field(default=None, ge=1)
    complexity: int | None = Field(default=None, ge=1)
    nesting: int | None = Field(default=None, ge=1)
    parameters: int | None = Field(default=None, ge=0)
    changed_files: int | None = Field(default=None, ge=0)
    changed_lines: int | None = Field(default=None, ge=0)


class TestSelection(Strict):
    __test__ = False  # not a test class, whatever pytest thinks of its name

    select: tuple[FilledLine, ...] = ()
    """Pytest ids or paths that must be among the tests that ran and passed."""
    floor: int = Field(default=0, ge=0)
    """How many of them must have passed at least."""


class Command(Strict):
    run: Argv | FilledLine
    """A program with its arguments, or one shell line."""
    timeout_s: Seconds = 300.0

    @property
    def argv(self) -> tuple[str, ...]:
        return ("sh", "-c", self.run) if isinstance(self.run, str) else self.run

    @property
    def shown(self) -> str:
        return self.run if isinstance(self.run, str) else " ".join(self.run)


class Smoke(Command):
    timeout_s: Seconds = 30.0
    produces: tuple[Glob, ...] = ()
    """Files that do not exist before and exist, not empty, afterwards."""


class Cost(Strict):
    gpu: FilledLine
    count: int = Field(default=1, ge=1)
    hours: float = Field(gt=0)
    retries: int = Field(default=0, ge=0)


class Budget(Strict):
    usd: float | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=0)
    seconds: Seconds | None = None


class Risk(Strict):
    cost: Line = "none"
    perf: Line = "none"
    security: Line = "none"


class TicketBody(Strict):
    """What a ticket says, whether it has an id yet (Ticket) or only a key in its plan (Draft)."""

    title: FilledLine
    role: Key = "executor"
    scope: Scope
    limits: TicketLimits = TicketLimits()
    tests: TestSelection = TestSelection()
    acceptance: tuple[Command, ...]
    smoke: Smoke | None = None
    cost: Cost | None = None
    budget: Budget | None = None
    requires: tuple[Kind, ...] = ()
    """Kinds of grant that this ticket needs from a person."""
    report_fields: tuple[FilledLine, ...] = ()
    objective: FilledLine
    non_goals: tuple[FilledLine, ...]
    risk: Risk = Risk()
    context: Block = ""


class Estimate(Strict):
    """What carrying out the ticket is expected to take."""

    tokens: int | None = Field(default=None, ge=0)
    usd: float | None = Field(default=None, ge=0)
    """Of the agent; paid compute is the ticket's `cost`."""
    minutes: float | None = Field(default=None, gt=0)


class Draft(TicketBody):
    """A ticket of a plan, before it has an id."""

    key: Key
    depends_on: tuple[Key, ...] = ()
    meets: tuple[Key, ...] = ()
    """Requirements of the plan that it fulfils."""
    interfaces: bool = False
    """Whether it changes what other tickets rely on: it comes before them, and is the lead's own."""
    estimate: Estimate = Estimate()


class Ticket(TicketBody):
    id: TicketId
    feature: FeatureId | Literal[""] = ""
    depends_on: tuple[TicketId, ...] = ()

    @property
    def sha256(self) -> str:
        """Identity of the frozen record: what the gates judge by."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def slug(self) -> str:
        """Id and title as one name that is safe in paths and branch names: `t-0001-add-model-wide-mlp`."""
        folded = unicodedata.normalize("NFKD", self.title).encode("ascii", "ignore").decode().lower()
        words = re.sub(r"[^a-z0-9]+", "-", folded).strip("-")[:40].strip("-")
        return f"{self.id.lower()}-{words}".rstrip("-")

    @classmethod
    def from_draft(cls, draft: Draft, *, feature: str, ids: dict[str, str]) -> Ticket:
        """Give the draft its id; `ids` maps the keys of the plan to ids."""
        values = draft.model_dump(include=set(TicketBody.model_fields))
        depends_on = tuple(ids[key] for key in draft.depends_on)
        return cls.model_validate({**values, "id": ids[draft.key], "feature": feature, "depends_on": depends_on})
