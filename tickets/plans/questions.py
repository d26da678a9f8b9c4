"""What a request leaves open, and what becomes of it: a person's answers reach every ticket, defaults become assumptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tickets.model import Draft
    from tickets.plan import Plan
    from tickets.plans.parts import OpenQuestion

DECIDED = "Decided by a person beforehand:"


def unanswered(plan: Plan) -> tuple[OpenQuestion, ...]:
    return tuple(question for question in plan.questions if not question.answer)


def recorded(plan: Plan) -> Plan:
    """Write the defaults among the assumptions and the answers into the tickets. Doing it again changes nothing."""
    assumed = (f"{question.text} {question.default}" for question in unanswered(plan) if question.default)
    answers = [f"- {question.text} {question.answer}" for question in plan.questions if question.answer]
    return plan.model_copy(
        update={
            "assumptions": tuple(dict.fromkeys((*plan.assumptions, *assumed))),
            "tickets": tuple(_told(draft, answers) for draft in plan.tickets),
        }
    )


def _told(draft: Draft, answers: list[str]) -> Draft:
    known = draft.context.split("\n")
    if not (new := [answer for answer in answers if answer not in known]):
        return draft
    head = [] if DECIDED in known else ["", DECIDED, ""]
    return draft.model_copy(update={"context": "\n".join([draft.context, *head, *new]).strip()})


def as_asked(questions: tuple[OpenQuestion, ...]) -> str:
    """Write the questions for a person."""
    return "\n".join(
        f"  - {question.text}" + (f" (otherwise: {question.default})" if question.default else "")
        for question in questions
    )
