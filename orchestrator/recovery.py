"""What follows from how an agent's run ended: the next attempt, a pause, another agent, or the end of the ticket."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from agents.causes import HANDLING, Cause

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.causes import Handling
    from memory.records import AttemptRow
    from tickets.policy import Policy

LONGEST_PAUSE_S = 6 * 3600.0
NEXT = "fallback"
MOST_TROUBLE = 24
"""Ends in a row that do not count, whatever their causes: an agent that gets no further does not go on for ever."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """Who makes the next attempt, and from when on."""

    agent: str
    not_before: float = 0.0
    """Unix time."""
    trouble: str = ""
    """Why nobody can go on; the ticket then ends as failed."""


def course(policy: Policy, role: str, attempts: Sequence[AttemptRow]) -> Course:
    """Say how a ticket goes on after these attempts; the last of them that no person has forgiven."""
    agent = policy.agent_for(role)
    for end, attempt in enumerate(attempts, 1):
        outcome = attempt.outcome or {}
        if outcome.get("agent") != agent or "cause" not in outcome:
            continue
        cause = Cause(outcome["cause"])
        handling = HANDLING[cause]
        if not _is_over(handling, attempts[:end], agent, cause):
            continue
        successor = policy.agent(agent).fallback if handling.step != "give-up" else ""
        if not successor:
            return Course(agent=agent, trouble=_nobody(agent, outcome, handling))
        agent = successor
    return Course(agent=agent, not_before=_not_before(agent, attempts))


def _is_over(handling: Handling, attempts: Sequence[AttemptRow], agent: str, cause: Cause) -> bool:
    if handling.step in {"other", "give-up"}:
        return True
    # what counts is bounded by the ticket's attempts
    if handling.counts:
        return False
    free = {one for one, then in HANDLING.items() if not then.counts}
    return _in_a_row(attempts, agent, {cause}) > handling.tries or _in_a_row(attempts, agent, free) > MOST_TROUBLE


def _in_a_row(attempts: Sequence[AttemptRow], agent: str, causes: set[Cause]) -> int:
    """Count how often, at the end, this agent ended for one of these causes."""
    outcomes = [attempt.outcome for attempt in reversed(attempts) if attempt.outcome]
    same = takewhile(lambda one: one.get("agent") == agent and one.get("cause") in causes, outcomes)
    return sum(1 for _ in same)


def _nobody(agent: str, outcome: dict[str, Any], handling: Handling) -> str:
    why = outcome.get("reason") or outcome["cause"]
    if handling.step == "give-up":
        return str(why)
    return f"{why} (no other agent takes over: [agents.{agent}] names no {NEXT})"


def _not_before(agent: str, attempts: Sequence[AttemptRow]) -> float:
    """Give the time until which the last attempt's trouble wants us to wait."""
    outcome = (attempts[-1].outcome or {}) if attempts else {}
    if outcome.get("agent") != agent or "cause" not in outcome:
        return 0.0
    cause = Cause(outcome["cause"])
    handling = HANDLING[cause]
    if handling.step != "wait":
        return 0.0
    ended = float(outcome.get("ended_at", 0.0))
    pause = handling.pause_s * 2 ** (_in_a_row(attempts, agent, {cause}) - 1)
    named = float(outcome.get("again_at") or 0.0)
    # a time that is over says nothing: the client's clock may be another one
    return min(named if named > ended else ended + pause, ended + LONGEST_PAUSE_S)
