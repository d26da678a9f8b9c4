"""What a driver is given and what it gives back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tickets.model import Ticket
    from worktrees.confinement import Confinement
    from worktrees.process import Bounds

Ending = Literal["done", "failed", "timeout", "disk", "limits", "not-started", "interrupted"]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a lead may know of the repository: its files at the target's head, and how they are tested."""

    project: str
    target: str
    paths: tuple[str, ...]
    read: Callable[[str], str | None] = field(repr=False)
    test_command: str = ""
    limits: Mapping[str, Any] = field(default_factory=dict)
    deny: tuple[str, ...] = ()
    max_tickets: int = 10


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where an agent works: a tree, its own HOME, a place for what it says, and its bounds."""

    tree: Path
    home: Path
    desk: Path
    """Folder with the ticket, the brief and the report; not part of the tree."""
    log: Path
    variables: Mapping[str, str]
    confinement: Confinement
    bounds: Bounds


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One attempt of one ticket."""

    ticket: Ticket
    attempt: int
    brief: str
    bench: Bench


@dataclass(frozen=True, kw_only=True)
class PlanningTask:
    """A request that wants a plan."""

    request: str
    brief: str
    facts: Facts
    bench: Bench


@dataclass(frozen=True, kw_only=True)
class Question:
    """A brief that wants an answer in words. What is written to its tree goes nowhere."""

    ticket: Ticket
    attempt: int
    """Of the ticket: the one that is asked about."""
    phase: int
    """An answer may take several: each is asked of a new process on a new bench."""
    brief: str
    bench: Bench


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an agent's run ended. What it says is its claim; what it did is the harness's to find out."""

    ending: Ending
    reason: str
    """One sentence; empty where the run ended well."""
    report: str | None
    transcript: str
    """Path of what it printed."""
    seconds: float = 0.0
    spend_usd: float = 0.0
    tokens: int = 0
    """As its client reported them; 0 where it does not."""
    sandbox: str = "none"
    survivors: int = 0
    """Processes that it left behind and that were ended."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Outcome:
        return cls(**data)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Whether an agent can start here."""

    ready: bool
    detail: str


class Driver(Protocol):
    @property
    def kind(self) -> str: ...

    @property
    def runs_foreign_code(self) -> bool:
        """Say whether a program that is not ours runs in the tree, so that a sandbox is called for."""
        ...

    @property
    def repeats_itself(self) -> bool:
        """Say whether the same ticket on the same base always gives the same change: a second try is then no use."""
        ...

    def probe(self) -> Probe: ...

    def plan(self, task: PlanningTask) -> str:
        """Answer a request with a plan as YAML or JSON; raise InputError where the request cannot be planned."""
        ...

    def answer(self, question: Question) -> str:
        """Answer in words; raise InputError where this agent cannot, SignalboxError where it gave no answer."""
        ...

    def work(self, assignment: Assignment) -> Outcome:
        """Carry out one attempt in the tree; never raise for what the agent does."""
        ...
