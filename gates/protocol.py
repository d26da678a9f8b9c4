"""What a gate is, and what it is given."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

from worktrees.deltas import Trees

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gates.verdict import Verdict
    from gates.workshop import Workshop
    from tickets.grants import Grant
    from tickets.model import Ticket
    from tickets.policy import Limits, Policy
    from worktrees.changes import ChangeSet
    from worktrees.git import Repository

Pass = Literal["worktree", "integrated"]


class Store(Protocol):
    """Where verdicts are kept by key: the same key is never judged twice."""

    def get(self, key: str) -> dict[str, Any] | None: ...

    def put(self, key: str, value: dict[str, Any]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Call:
    """What an agent is about to do, asked live."""

    kind: Literal["write", "read", "run"]
    path: str = ""
    """For write and read: relative to the tree's root."""
    command: str = ""
    """For run: the command line."""
    cwd: str = ""
    """Working folder of the agent, absolute or relative to the tree's root, which it is where nothing is said."""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Money and tokens that an agent has used up, as its client reported them."""

    usd: float = 0.0
    tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Answer of an auditor: what it said in each of its two phases, and which tree it was shown."""

    tree: str
    agent: str
    findings: str
    """First phase, as JSON text from the agent; not believed before it is checked."""
    review: str
    """Second phase: each finding re-checked for truth, and what was missed."""
    trouble: str = ""
    """Why there is no answer, where there is none."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One complete change, in one pass, with everything that a gate may look at."""

    ticket: Ticket | None
    """None when the repository's own limits are asked for without any ticket."""
    policy: Policy
    """Read from the base commit, never from the tree that is judged."""
    repository: Repository
    change: ChangeSet
    stage: Pass
    workshop: Workshop = field(repr=False)
    store: Store = field(repr=False)
    attempt: int = 0
    report: str | None = None
    """What the agent reported; None where no agent was at work."""
    known_receipts: tuple[tuple[str, int | None], ...] = ()
    """Commands and exit codes that the harness measured in gates before this one."""
    evidence: tuple[str, ...] = ()
    """What the harness noticed about the person's repository while the agent ran, one sentence each."""
    grants: tuple[Grant, ...] = ()
    """Permissions of persons that are in force for this ticket."""
    audit: Audit | None = None
    """What an independent role found in the change; None where none was asked."""
    transcript: Path | None = None
    """What the agent printed."""
    spent: Spent = Spent()
    """What the ticket's attempts have cost so far."""
    texts: dict[tuple[str, str], str | None] = field(default_factory=dict, repr=False, compare=False)
    """What gates have read so far, by commit and path; the cases of one series share it."""

    @cached_property
    def limits(self) -> Limits:
        """Limits in force: the policy's, tightened by the ticket."""
        return self.policy.limits.permitted(self.ticket, self.grants) if self.ticket else self.policy.limits

    def read_base(self, path: str) -> str | None:
        """Give a text file as it is at the base, or None."""
        return self._text(self.change.base, path)

    def read_changed(self, path: str) -> str | None:
        """Give a text file as the change leaves it, or None."""
        return self._text(self.change.commit, path)

    def _text(self, commit: str, path: str) -> str | None:
        """Read a file once for all gates."""
        if (commit, path) not in self.texts:
            data = Trees.of(self.repository).read(commit, [path]).get(path)
            self.texts[commit, path] = None if data is None else data.decode(errors="replace")
        return self.texts[commit, path]


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One question with its three faces. Text and enforcement come from the same values and cannot disagree."""

    name: str
    judges: Literal["change", "tree"]
    """A gate on the change is keyed by ticket, policy, base and tree; one on the tree by tree and environment."""
    rule: Callable[[Ticket, Policy], str]
    """The rule for the brief, rendered with the ticket's own values; empty where it has nothing to say."""
    verify: Callable[[Case], Verdict]
    permits: Callable[[Call, Ticket, Policy], str | None] = lambda _call, _ticket, _policy: None
    """Say why the call is refused, or None. Courtesy and evidence: nothing relies on it."""
    version: str = "1"
    """Part of the key of its verdicts: raise it when the gate judges differently."""
    asks_ticket: bool = True
    """Whether the ticket belongs to the question; where not, one verdict on a tree serves all tickets."""


def key(gate: Gate, case: Case) -> str:
    """Bind a verdict to the content that it judged."""
    ticket = case.ticket.sha256 if case.ticket and gate.asks_ticket else ""
    parts = [gate.name, gate.version, case.policy.sha256, ticket, case.change.tree, case.workshop.environment_sha256]
    # every tree gate of ours also compares with the base (test ids, broken checks), so the base's tree belongs to the key
    parts.append(case.repository.tree(case.change.base) if gate.judges == "tree" else case.change.base)
    if gate.judges == "change":
        # what the agent said, and what was measured before it, belong to the question as well
        parts += sorted(grant.identity for grant in case.grants if grant.in_force())
        parts += [repr(x) for x in (case.change.changes, case.report, case.evidence, case.attempt, case.known_receipts)]
        parts += [repr(case.spent), repr(case.audit), _digest(case.transcript)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _digest(file: Path | None) -> str:
    """Name the content of a file that a gate reads; an absent one has a name, too."""
    if file is None or not file.is_file():
        return ""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
