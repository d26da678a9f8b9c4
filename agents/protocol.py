"""What a driver is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from agents.causes import Cause
from agents.usage import NOTHING, Usage

if TYPE_CHECKING:
    from pathlib import Path

    from agents.transcript import Transcript
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
    interfaces: tuple[str, ...] = ()
    """What other tickets rely on: the lead's alone to change."""
    max_tickets: int = 10
    map: str = ""
    """Files with sizes, symbols, tests and interfaces, as far as they fit."""
    lessons: str = ""
    """What the project learned before and touches the request."""
    answered: int = 0
    """How often this lead has answered the request already: its plan came back."""


@dataclass(frozen=True, kw_only=True)
class Permit:
    """The answer to a live question. Anything but a plain `allowed` is a refusal."""

    allowed: bool
    reason: str
    """One sentence that an agent can act on."""


Gate = Callable[[Mapping[str, Any]], Permit]
"""Asks about one tool call before it is made; any number of threads may ask.

The question is the event of a coding client's hook: `tool_name`, `tool_input`, `tool_use_id`, `cwd`; what a tool of another client
is called is known, too. It never raises: what goes wrong in it is a refusal. Each question is kept under its `tool_use_id`.
"""


class Stop(Protocol):
    """What stands between an agent and its next step: its budget, and the end of the whole run."""

    def __call__(self, used: Usage) -> str:
        """Count what this run has used so far, in all; give "" while it may go on, or else the sentence why it must end."""
        ...


def nobody_answers(event: Mapping[str, Any]) -> Permit:  # noqa: ARG001 - a gate
    """Refuse everything: the gate of a bench that nobody has set up for asking."""
    return Permit(allowed=False, reason="nobody can be asked here")


def without_a_budget(used: Usage) -> str:  # noqa: ARG001 - a stop
    """Let an agent go on for as long as its bounds do: there is nothing to pay."""
    return ""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where an agent works: a tree, its own HOME, a place for what it says, and its bounds."""

    tree: Path
    home: Path
    """Of this attempt alone; gone afterwards."""
    session: Path
    """Of this ticket and agent: what a client needs to take its conversation up again lies here from attempt to attempt."""
    desk: Path
    """Folder with the ticket, the brief and the report; not part of the tree."""
    log: Path
    variables: Mapping[str, str]
    confinement: Confinement
    bounds: Bounds
    transcript: Transcript
    gate: Gate = nobody_answers
    hook: tuple[str, ...] = ()
    """Command that asks the same gate from inside the sandbox; for clients that start one before each call."""
    may_go_on: Stop = without_a_budget


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One attempt of one ticket."""

    ticket: Ticket
    attempt: int
    brief: str
    """Everything that the agent has to know."""
    bench: Bench
    feedback: str = ""
    """What was wrong with the attempt before; it is part of the brief, too. All that a session that is taken up again is told."""
    session: str = ""
    """Name of the client's session to take up again; empty: a new one."""
    before: Usage = NOTHING
    """What that session had used up to now, as its client counted."""


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
class ToolCall:
    """A call that the client's own stream shows as made."""

    id: str
    tool: str
    refused: bool | None = None
    """Whether the stream shows that it was not carried out; None where it does not tell."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an agent's run ended. What it says is its claim; what it did is the harness's to find out."""

    ending: Ending
    reason: str
    """One sentence; empty where the run ended well."""
    report: str | None
    transcript: str
    """Path of what it printed."""
    cause: Cause
    """Why it ended; what follows from it is written in `agents.causes`."""
    again_at: float | None = None
    """Unix time from which on it is of use to go on, where the client named one."""
    seconds: float = 0.0
    used: Usage = NOTHING
    """Of this run alone."""
    counted: Usage = NOTHING
    """What the client counted for the whole session; the same as `used` where it starts anew each time."""
    session: str = ""
    """Name under which the client can take this up again; empty where it cannot."""
    client: str = ""
    """Program and version."""
    calls: tuple[ToolCall, ...] = ()
    sandbox: str = "none"
    survivors: int = 0
    """Processes that it left behind and that were ended."""

    def failed(self, cause: Cause, reason: str) -> Outcome:
        """Give the same run with another end."""
        return replace(self, ending="failed", cause=cause, reason=reason)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Outcome:
        """Take what is an outcome's; the harness keeps more beside it."""
        known = {field.name for field in fields(cls)}
        nested = {
            "cause": Cause(data["cause"]),
            "used": Usage(**data["used"]),
            "counted": Usage(**data["counted"]),
            "calls": tuple(ToolCall(**call) for call in data["calls"]),
        }
        return cls(**{**{name: value for name, value in data.items() if name in known}, **nested})


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a driver can do, as the table of `agents probe` prints it."""

    gate: Literal["every-call", "asks-some", "none"] = "none"
    """Which tool calls reach the live gate before they are made."""
    gate_failure: Literal["closed", "open", "-"] = "-"
    """What happens to a call where the gate crashes, hangs, answers nonsense, or is not there."""
    shell: Literal["gated", "read-only", "sandbox"] = "sandbox"
    """What holds a shell command: the gate and the sandbox, a file system of the client's that cannot be written, or the sandbox alone."""
    usage: Literal["tokens+usd", "tokens", "none"] = "none"
    usage_scope: Literal["run", "session", "-"] = "-"
    """Whether its counts begin anew with each run."""
    budget: Literal["live", "after", "none"] = "none"
    """Whether it can be stopped while it spends, or is only measured afterwards."""
    resumes: bool = False
    report: Literal["schema", "tool", "text"] = "text"
    """How it hands in its report: bound to a schema, by a tool, or as what it says last."""
    guide: str = ""
    """File that the client reads by itself."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Whether an agent can start here."""

    ready: bool
    detail: str
    """Program and version, or one sentence that says what is missing and how to get it."""
    version: str = ""
    signed_in: bool | None = None
    """None where that does not apply, or cannot be known without a request."""


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

    @property
    def capabilities(self) -> Capabilities: ...

    def probe(self) -> Probe:
        """Say whether it can start here, without asking a model; quick."""
        ...

    def aimed_at(self, url: str) -> Driver | None:
        """Give the same driver with its model at `url` (scheme, host and port), and no account; None where it has no model."""
        ...

    def trial(self, path: str) -> tuple[dict[str, Any], ...]:
        """Give what a scripted model says so that this client tries to write `path` and then ends: `agents.scripted_model` plays it."""
        ...

    def plan(self, task: PlanningTask) -> str:
        """Answer a request with a plan as YAML or JSON; raise InputError where the request cannot be planned."""
        ...

    def answer(self, question: Question) -> str:
        """Answer in words; raise InputError where this agent cannot, SignalboxError where it gave no answer."""
        ...

    def work(self, assignment: Assignment) -> Outcome:
        """Carry out one attempt in the tree; never raise for what the agent does."""
        ...
