"""Rules that a plan is held to beyond its form: what comes first, whose it is, and what is left open."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agents import roles
from gates.catalogue import catalogue
from tickets.errors import InputError, Problem, WaitingError
from tickets.globs import is_literal, matches
from tickets.plans.questions import as_asked, recorded, unanswered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tickets.model import Draft
    from tickets.plan import Plan
    from tickets.policy import Policy

LEAD, GRANT = "lead", "interface"


class OpenQuestionsError(WaitingError):
    """A person has to answer something before anything starts."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        super().__init__(
            f"nothing was started, because the request leaves open:\n{as_asked(unanswered(plan))}\n"
            "write an `answer:` under each of these in the plan file, and start that one"
        )


def first_of(policy: Policy) -> Callable[[Draft], str]:
    """Give a function that says why a ticket comes before all others; "" where it does not."""

    def first(draft: Draft) -> str:
        if draft.interfaces:
            return "changes what other tickets rely on"
        if path := _touched(draft.scope.write, policy.scope.shared_interfaces):
            return f"changes the shared interface {path}"
        if path := _touched(draft.scope.allowed, policy.migrations.versions):
            return f"migrates the database ({path})"
        return ""

    return first


def _touched(patterns: Iterable[str], protected: Iterable[str]) -> str:
    """Give the first pattern that is about protected paths: a wide one that merely could reach them is not."""
    known = tuple(protected)
    return next((pattern for pattern in patterns if matches(_example(pattern), known)), "")


def _example(pattern: str) -> str:
    """Give a path that the pattern matches."""
    return pattern if is_literal(pattern) else re.sub(r"\[[^/\]]*\]|\?|\*+", "q", pattern)


def rule_problems(draft: Draft, policy: Policy, name: str) -> Iterator[Problem]:
    """Give what the repository's own rules have against the ticket."""
    if complaint := roles.complaint(draft.role, catalogue()):
        yield Problem(file=name, line=1, key="role", expected=complaint)
    why = first_of(policy)(draft)
    if why and draft.role != LEAD and GRANT not in draft.requires:
        expected = (
            f"expected `role: {LEAD}` (or `requires: [{GRANT}]`, a person's grant), because it {why}; "
            f"{draft.role!r} may not do that"
        )
        yield Problem(file=name, line=1, key="role", expected=expected)


# what is left open


def question_problems(plan: Plan, policy: Policy, name: str) -> Iterator[Problem]:
    """Where defaults are assumed, each question needs one."""
    if policy.planning.on_ambiguity == "default":
        for number, question in enumerate(plan.questions):
            if not question.decided:
                expected = f'expected a default for {question.text!r}: planning.on_ambiguity is "default"'
                yield Problem(file=name, line=1, key=f"questions.{number}.default", expected=expected)


def without_ambiguity(plan: Plan, policy: Policy) -> Plan:
    """Record what was decided; raise where the configuration wants a person's answers first, or a plainer request."""
    open_ones = unanswered(plan)
    if open_ones and policy.planning.on_ambiguity == "refuse":
        raise InputError(
            f'the request leaves open, and planning.on_ambiguity is "refuse":\n{as_asked(open_ones)}\n'
            "say it in the request, or answer in a plan file"
        )
    if open_ones and policy.planning.on_ambiguity == "ask":
        raise OpenQuestionsError(plan)
    return recorded(plan)
