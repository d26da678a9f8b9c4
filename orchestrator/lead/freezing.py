"""From an asked-for feature to a frozen plan: where the plan comes from, what is written of it, and when it waits for a person."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from memory.events import About, read
from orchestrator.lead.artefacts import PLAN, Frozen, folder_of, write, write_tickets
from orchestrator.lead.planner import Ear, make_plan
from orchestrator.lead.progress import keep, step
from orchestrator.lead.rules import without_ambiguity
from tickets.plan import Plan
from tickets.plans.questions import unanswered

if TYPE_CHECKING:
    from memory.records import FeatureRow
    from orchestrator.workspace import Workspace

PLANNED = "feature.planned"


def plan_of(workspace: Workspace, row: FeatureRow) -> Plan:
    """Give the plan that is frozen already, the one that the feature came with, or the lead's; raise where there is none."""
    if row.plan:
        return Plan.model_validate(row.plan)
    if given := row.options.get("plan"):
        return Plan.model_validate(given)
    ear = Ear(
        logs=folder_of(workspace, row.id) / "lead", tell=partial(step, workspace, row.id), about=About(feature=row.id)
    )
    plan = make_plan(workspace, row.request, row.before, ear)
    write(workspace, folder_of(workspace, row.id), plan, base=row.before)
    return without_ambiguity(plan, workspace.policy)


def freeze(workspace: Workspace, row: FeatureRow, plan: Plan) -> list[str]:
    """Give the plan's tickets their ids and write the plan as it is from now on; doing it again changes nothing."""
    ids = workspace.records.set_plan(row.id, plan)
    at = next(event.at for event in read(workspace.database, feature=row.id) if event.kind == PLANNED)
    names = dict(zip((draft.key for draft in plan.tickets), ids, strict=False))
    write(workspace, folder_of(workspace, row.id), plan, base=row.before, frozen=Frozen(ids=names, at=at[:19]))
    write_tickets(workspace, workspace.records.tickets(row.id))
    keep(workspace, row.id)
    return ids


def wait_for_answers(workspace: Workspace, row: FeatureRow, plan: Plan) -> None:
    """End the feature with its questions: nothing was started."""
    file = folder_of(workspace, row.id) / PLAN
    unborn = {"feature": row.id, "request": row.request, "outcome": "waiting", "tickets": []}
    target = {"branch": row.target, "before": row.before, "after": row.before}
    questions = [question.model_dump() for question in unanswered(plan)]
    outcome = {**unborn, "target": target, "spend_usd": 0.0, "seconds": 0.0, "questions": questions, "plan": str(file)}
    workspace.records.set_feature(row.id, "waiting", outcome=outcome)
    keep(workspace, row.id)
