"""Why an agent's run ended, and what follows from it: named, so that trouble with a client never passes for a ticket that cannot be done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Cause(StrEnum):
    DONE = "done"
    """Exit code, result event, error flag and report agree that it ended well."""
    TURNS = "turns"
    """It used up its answers."""
    BUDGET = "budget"
    """Its money or tokens were used up, and it was stopped."""
    TIMEOUT = "timeout"
    SILENT = "silent"
    """The client said nothing for too long."""
    EMPTY = "empty"
    """The model answered nothing, or nothing but questions."""
    CONTEXT = "context"
    """The conversation no longer fits into the model."""
    QUOTA = "quota"
    """The account's allowance is used up, until a time that the client may name."""
    RATE = "rate"
    """Too many requests, or the model is overloaded: it passes."""
    NETWORK = "network"
    """The model cannot be reached, or breaks off again and again."""
    SIGN_IN = "sign-in"
    """No key, a wrong one, or an account that may not use the model."""
    REFUSED = "refused"
    """The model's service refuses the request itself: an unknown model, a request that it does not take."""
    MODEL = "model"
    """Another model answered than was asked for."""
    CRASH = "crash"
    """The client ended by a signal, or with an exit code that it has no result for."""
    PROTOCOL = "protocol"
    """What the client says is no such stream as its version speaks: broken, cut off, contradictory."""
    UNGATED = "ungated"
    """A tool ran that the live gate had not been asked about."""
    MISSING = "missing"
    """The client cannot be started here: it is not there, too old, or lacks a library."""
    CHANGED = "changed"
    """The client was replaced while it ran."""
    MACHINE = "machine"
    """A limit of ours on disk, memory or processes ended it."""
    INTERRUPTED = "interrupted"
    """A person or a crash of the machine."""
    FAILED = "failed"
    """It said itself that it failed."""


Step = Literal["judge", "again", "wait", "other", "give-up"]


@dataclass(frozen=True, kw_only=True)
class Handling:
    step: Step
    """`judge`: what it left is judged. `again`: the next attempt, which goes on from what is there. `wait`: the same attempt is taken
    up again later. `other`: the agent's `fallback` takes over, or else nobody. `give-up`: the ticket ends as failed."""
    counts: bool
    """Whether it uses up one of the ticket's attempts."""
    tries: int = 1
    """How often `again` or `wait` are tried before the fallback takes over."""
    pause_s: float = 0.0
    """Before the first of them, where the client names no time; doubled before each further one."""


HANDLING: dict[Cause, Handling] = {
    Cause.DONE: Handling(step="judge", counts=True),
    Cause.TURNS: Handling(step="again", counts=True),
    Cause.BUDGET: Handling(step="give-up", counts=True),
    Cause.TIMEOUT: Handling(step="again", counts=True),
    Cause.SILENT: Handling(step="again", counts=True),
    Cause.EMPTY: Handling(step="again", counts=True),
    Cause.CONTEXT: Handling(step="again", counts=True),
    Cause.QUOTA: Handling(step="wait", counts=False, tries=6, pause_s=300.0),
    Cause.RATE: Handling(step="wait", counts=False, tries=6, pause_s=10.0),
    Cause.NETWORK: Handling(step="wait", counts=False, tries=4, pause_s=5.0),
    Cause.SIGN_IN: Handling(step="other", counts=False),
    Cause.REFUSED: Handling(step="other", counts=False),
    Cause.MODEL: Handling(step="other", counts=False),
    Cause.CRASH: Handling(step="again", counts=False, tries=2),
    Cause.PROTOCOL: Handling(step="again", counts=False, tries=2),
    Cause.UNGATED: Handling(step="give-up", counts=True),
    Cause.MISSING: Handling(step="other", counts=False),
    Cause.CHANGED: Handling(step="again", counts=False, tries=2),
    Cause.MACHINE: Handling(step="again", counts=True),
    Cause.INTERRUPTED: Handling(step="again", counts=False, tries=20),
    Cause.FAILED: Handling(step="again", counts=True),
}
