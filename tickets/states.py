"""The states of a ticket and the moves between them that are allowed."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    DRAFT = "draft"
    READY = "ready"
    RUNNING = "running"
    VERIFYING = "verifying"
    QUEUED = "queued"
    LANDING = "landing"
    LANDED = "landed"
    REJECTED = "rejected"
    """Attempts used up: a gate says no."""
    BLOCKED = "blocked"
    """Waits for a grant or a lead's decision."""
    FAILED = "failed"
    """The agent or the environment could not run."""
    ABANDONED = "abandoned"
    """By a person."""


ENDS = frozenset({State.LANDED, State.REJECTED, State.BLOCKED, State.FAILED, State.ABANDONED})
"""States in which nothing happens by itself; a dependency is met by LANDED alone."""

_UNFINISHED = {State.REJECTED, State.BLOCKED, State.FAILED, State.ABANDONED}

MOVES: dict[State, frozenset[State]] = {
    State.DRAFT: frozenset({State.READY, State.ABANDONED}),
    # straight to verifying where the last attempt was captured already: a person had only to make room for it
    State.READY: frozenset({State.RUNNING, State.VERIFYING} | _UNFINISHED),
    State.RUNNING: frozenset({State.VERIFYING, State.READY} | _UNFINISHED),
    State.VERIFYING: frozenset({State.QUEUED, State.READY} | _UNFINISHED),
    State.QUEUED: frozenset({State.LANDING, State.READY} | _UNFINISHED),
    State.LANDING: frozenset({State.LANDED, State.QUEUED, State.READY} | _UNFINISHED),
    State.LANDED: frozenset(),
    State.REJECTED: frozenset({State.READY, State.ABANDONED}),
    State.BLOCKED: frozenset({State.READY, State.ABANDONED}),
    State.FAILED: frozenset({State.READY, State.ABANDONED}),
    State.ABANDONED: frozenset({State.READY}),
}


def may_move(old: State, new: State) -> bool:
    """Say whether the move is in the table; staying is always allowed, so that a repeated step does no harm."""
    return old == new or new in MOVES[old]
