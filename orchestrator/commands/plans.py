"""What `feature --dry-run` shows: the plan, what runs side by side, what it may cost, what may go wrong, and where to edit it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.commands.output import say
from orchestrator.lead.artefacts import write_draft
from orchestrator.lead.costs import reviewed
from orchestrator.lead.rules import OpenQuestionsError, without_ambiguity
from tickets.plans.parts import OpenQuestion
from tickets.plans.questions import as_asked, unanswered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.workspace import Workspace
    from tickets.model import Draft
    from tickets.plan import Plan
    from tickets.plans.review import PlanReview


@dataclass(frozen=True, kw_only=True)
class Shown:
    request: str
    base: str
    file: Path | None
    """The person's own plan file, where it came from one."""


def show(workspace: Workspace, plan: Plan, shown: Shown, *, json: bool) -> int:
    """Show the plan; a lead's is laid out as files, too, so that it can be edited before it is started."""
    plan = _decided(workspace, plan)
    review = reviewed(workspace, plan, shown.base)
    file = shown.file or write_draft(workspace, plan, base=shown.base)
    data = _data(workspace, plan, shown) | {"review": review.to_json(), "file": str(file)}
    say(data, lambda: "\n".join(_lines(plan, review, file)), as_json=json)
    return 0


def _decided(workspace: Workspace, plan: Plan) -> Plan:
    try:
        return without_ambiguity(plan, workspace.policy)
    except OpenQuestionsError:  # they are shown
        return plan


def _data(workspace: Workspace, plan: Plan, shown: Shown) -> dict[str, Any]:
    unborn = {"state": "draft", "reason": "", "attempts": 0, "base": shown.base, "head": None, "landed": None}
    unborn |= {"verdict": None, "worktree": None, "spend_usd": 0.0}
    return {
        "feature": None,
        "request": shown.request,
        "outcome": "planned",
        "tickets": [{"id": draft.key, "title": draft.title, **unborn} for draft in plan.tickets],
        "target": {"branch": workspace.policy.project.target, "before": shown.base, "after": shown.base},
        "spend_usd": 0.0,
        "seconds": 0.0,
        "waves": plan.waves,
        "notes": list(plan.notes),
        "assumptions": list(plan.assumptions),
        "plan": plan.model_dump(mode="json"),
    }


def _lines(plan: Plan, review: PlanReview, file: Path) -> Iterator[str]:
    drafts = {draft.key: draft for draft in plan.tickets}
    yield f"plan: {plan.request}"
    yield ""
    for number, wave in enumerate(review.waves, 1):
        yield f"  wave {number}"
        for key in wave:
            yield from _ticket(drafts[key], review)
    yield f"  longest way: {review.path}"
    yield f"  cost: {review.money}"
    yield from (
        f"  requirement {one.id}: {one.text} ({', '.join(_meeting(plan, one.id))})" for one in plan.requirements
    )
    yield from (f"  risk, {risk.severity}: {risk.what}{_against(risk.mitigation)}" for risk in plan.risks)
    yield from (f"  ordered: {note}" for note in plan.notes)
    yield from (f"  assumed: {item}" for item in plan.assumptions)
    yield from (f"  still open: {item}" for item in plan.unresolved)
    yield from (f"  to be answered: {question.text}" for question in unanswered(plan) if not question.default)
    yield ""
    yield "  nothing was started; to carry out this plan, edited or not:"
    yield f"  orchestrate feature --plan {file}"


def _ticket(draft: Draft, review: PlanReview) -> Iterator[str]:
    after = f" (after {', '.join(draft.depends_on)})" if draft.depends_on else ""
    usd = f", ${review.cost[draft.key]:.2f}" if draft.key in review.cost else ""
    yield f"    {draft.key}: {draft.title}{after}{usd}"
    yield f"        may write {', '.join(draft.scope.allowed)}"


def _meeting(plan: Plan, requirement: str) -> list[str]:
    return [draft.key for draft in plan.tickets if requirement in draft.meets]


def _against(mitigation: str) -> str:
    return f"; against it: {mitigation}" if mitigation else ""


def questions_text(outcome: dict[str, Any]) -> str:
    """Say what a feature that waits wants to know, and how to answer."""
    lines = [f"{outcome['feature']} waits for your answers; nothing was started: {outcome['request']}", ""]
    lines.append(as_asked(tuple(OpenQuestion.model_validate(one) for one in outcome["questions"])))
    next_ = f"  next: write an `answer:` under each question of {outcome['plan']}, then"
    return "\n".join([*lines, "", next_, f"        orchestrate feature --plan {outcome['plan']}"])
