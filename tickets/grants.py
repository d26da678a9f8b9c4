"""Grants: a person's recorded, single-use, expiring permission for exactly one thing that a rule forbids."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

Kind = Literal[
    "scope", "dependency", "interface", "size", "spend", "stop-job", "known-red", "tests", "tamper", "metric"
]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a person would have to permit: the kind, the thing, and the content that the permission is bound to."""

    kind: Kind
    subject: str
    """A path, a requirement, a limit, a job: what a person reads."""
    bound: str
    """Content that it holds for and for no other: a blob, a tree, an estimate, a figure. Hashed into the identity."""

    def identity(self, ticket_sha256: str) -> str:
        """Bind the need to the ticket as it is frozen; an edited ticket has to ask again."""
        parts = (ticket_sha256, self.kind, self.subject, self.bound)
        return hashlib.sha256("\0".join(parts).encode(errors="backslashreplace")).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Grant:
    """A permission that was given and is neither used nor expired."""

    id: str
    """`G-0001`."""
    identity: str
    """Of the need it answers."""
    kind: str
    subject: str
    person: str
    reason: str
    expires_at: str
    """ISO 8601, UTC."""

    def in_force(self, now: datetime | None = None) -> bool:
        return datetime.fromisoformat(self.expires_at) > (now or datetime.now(UTC))


BLANKETS: frozenset[str] = frozenset({"dependency", "interface", "size", "tests", "tamper", "metric"})
"""Kinds that a ticket may be granted as a whole before it starts; the others are decided thing by thing."""


def blanket(kind: Kind) -> Need:
    """Everything of one kind that one ticket does."""
    return Need(kind=kind, subject=f"any {kind} change of this ticket", bound="*")


def limit_need(name: str, value: int) -> Need:
    """A limit of the policy that a ticket widens."""
    return Need(kind="size", subject=f"limits.{name} = {value}", bound=str(value))
