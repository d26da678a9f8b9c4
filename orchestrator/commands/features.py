"""`feature` and `resume`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

from orchestrator.commands.output import say
from orchestrator.workspace import Workspace
from tickets.errors import EnvironmentFailure, InputError
from tickets.states import State

if TYPE_CHECKING:
    from pathlib import Path

    from tickets.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line asked for."""

    words: str | None
    plan: Path | None
    dry_run: bool
    yes: bool
    parallel: int | None


def feature(repo: Path, asked: Asked, *, json: bool) -> int:
    from orchestrator.planning import make_plan, read_plan_file
    from orchestrator.runner import warm_up

    warm_up()
    workspace = _with_parallel(Workspace.open(repo), asked.parallel)
    base = workspace.head()
    workspace.repository.identity()  # a landing needs one; say so before anything is started
    request = " ".join((asked.words or "").split())
    if not request and asked.plan is None:
        raise InputError('say what is wanted: orchestrate feature "add model wide_mlp", or --plan FILE')
    workspace.prepare()
    plan = read_plan_file(workspace, asked.plan, base) if asked.plan else None
    # the embedded lead answers at once; any other one works inside the run, where a crash loses nothing
    if plan is None and (asked.dry_run or workspace.policy.agent(workspace.policy.planning.lead).kind == "recipes"):
        plan = make_plan(workspace, request, base)
    request = request or (plan.request if plan else "")
    if asked.dry_run and plan is not None:
        return _show_plan(workspace, plan, request, base, json=json)
    _check_agents(workspace, plan)
    options = {"plan": plan.model_dump(mode="json") if plan else None, "yes": asked.yes}
    identity = workspace.records.add_feature(
        request, options=options, target=workspace.policy.project.target, before=base
    )
    return see_through(workspace, identity, json=json)


def _with_parallel(workspace: Workspace, parallel: int | None) -> Workspace:
    if parallel is None:
        return workspace
    dispatch = workspace.policy.dispatch.model_copy(update={"parallel": parallel})
    return replace(workspace, policy=workspace.policy.model_copy(update={"dispatch": dispatch}))


def _check_agents(workspace: Workspace, plan: Plan | None) -> None:
    """Refuse to start when an agent that the plan needs has no driver, no program, or no sandbox here."""
    from agents.catalogue import driver

    roles = {"lead"} | {draft.role for draft in plan.tickets} if plan else {"lead", "executor"}
    for name in sorted({workspace.policy.agent_for(role) for role in roles if role != "lead" or plan is None}):
        agent = driver(workspace.policy, name, workspace.root)
        probe = agent.probe()
        if not probe.ready:
            raise InputError(f"agents.{name}: {probe.detail}")
    workspace.level  # noqa: B018 - raises where no sandbox is to be had; gates run the agent's code, whoever wrote it


def _show_plan(workspace: Workspace, plan: Plan, request: str, base: str, *, json: bool) -> int:
    unborn = {"state": "draft", "reason": "", "attempts": 0, "base": base, "head": None, "landed": None}
    unborn |= {"verdict": None, "worktree": None, "spend_usd": 0.0}
    data: dict[str, Any] = {
        "feature": None,
        "request": request,
        "outcome": "planned",
        "tickets": [{"id": draft.key, "title": draft.title, **unborn} for draft in plan.tickets],
        "target": {"branch": workspace.policy.project.target, "before": base, "after": base},
        "spend_usd": 0.0,
        "seconds": 0.0,
        "waves": plan.waves,
        "notes": list(plan.notes),
        "assumptions": list(plan.assumptions),
        "plan": plan.model_dump(mode="json"),
    }
    say(data, lambda: plan_text(plan), as_json=json)
    return 0


def plan_text(plan: Plan) -> str:
    lines = [f"plan: {plan.request}", ""]
    drafts = {draft.key: draft for draft in plan.tickets}
    for number, wave in enumerate(plan.waves, 1):
        lines.append(f"  wave {number}")
        for key in wave:
            draft = drafts[key]
            after = f" (after {', '.join(draft.depends_on)})" if draft.depends_on else ""
            lines += [f"    {key}: {draft.title}{after}", f"        may write {', '.join(draft.scope.allowed)}"]
    lines += [f"  ordered: {note}" for note in plan.notes] + [f"  assumed: {item}" for item in plan.assumptions]
    return "\n".join([*lines, "", "  nothing was started; the same command without --dry-run carries it out"])


def see_through(workspace: Workspace, feature_id: str, *, json: bool) -> int:
    """Follow a feature to its end and say what it came to."""
    from orchestrator.debrief import exit_code
    from orchestrator.display import summary, teller
    from orchestrator.runner import Follow, carry_out

    try:
        carry_out(workspace, Follow(feature=feature_id, tell=teller(workspace)))
    except KeyboardInterrupt:
        _interrupted(workspace, feature_id, json=json)
    except EnvironmentFailure as error:
        _stopped(error, json=json)
    row = workspace.records.feature(feature_id)
    outcome: dict[str, Any] = row.outcome or {}
    if row.state == "invalid":
        raise InputError(outcome["message"])
    say(outcome, lambda: summary(workspace, outcome), as_json=json)
    return exit_code(outcome)


def _interrupted(workspace: Workspace, feature_id: str, *, json: bool) -> NoReturn:
    """End at once: supervisors end their agents and gates, and everything acknowledged is on disk."""
    from orchestrator.debrief import outcome_of
    from orchestrator.runner import INTERRUPTED, stop_at_once

    outcome = {**outcome_of(workspace, workspace.records.feature(feature_id)), "outcome": "interrupted"}
    say(outcome, lambda: f"{feature_id} interrupted; `orchestrate resume {feature_id}` carries on", as_json=json)
    stop_at_once(INTERRUPTED)


def _stopped(error: EnvironmentFailure, *, json: bool) -> NoReturn:
    """End at once as well: threads of a run that cannot write any more would wait for ever."""
    from orchestrator.runner import stop_at_once

    sys.stderr.write(f"{error}\n")
    if json:
        say({"error": str(error), "exit": error.exit_code}, str, as_json=True)
    stop_at_once(error.exit_code)


def resume(repo: Path, feature_id: str | None, *, json: bool) -> int:
    workspace = Workspace.open(repo)
    if not workspace.database.exists:
        return _nothing(json=json)
    workspace.prepare()
    for row in workspace.records.features():
        if feature_id in {None, row.id} and row.state == "ended":
            _wake(workspace, row.id)
    wanted = [
        row
        for row in workspace.records.features()
        if row.state in {"queued", "running"} and feature_id in {None, row.id}
    ]
    if feature_id and not wanted:
        row = workspace.records.feature(feature_id)
        return see_through(workspace, row.id, json=json)
    if not wanted:
        return _nothing(json=json)
    return max(see_through(workspace, row.id, json=json and row is wanted[-1]) for row in wanted)


def _wake(workspace: Workspace, feature_id: str) -> None:
    """Send blocked tickets on their way again whose reason may be gone; the stages find out whether it is."""
    wake_blocked(workspace, feature_id)
    if any(row.state is State.READY for row in workspace.records.tickets(feature_id)):
        workspace.records.reopen(feature_id)


def wake_blocked(workspace: Workspace, feature_id: str) -> None:
    """Make blocked tickets ready, as long as everything they wait for has landed or is ready itself."""
    hopeful = {State.LANDED, State.READY}
    moved = True
    while moved:
        moved = False
        states = {row.id: row.state for row in workspace.records.tickets(feature_id)}
        for row in workspace.records.tickets(feature_id):
            if row.state is State.BLOCKED and all(states[other] in hopeful for other in row.record.depends_on):
                workspace.records.move(row.id, State.READY, "resumed")
                moved = True


def _nothing(*, json: bool) -> int:
    say({"resumed": []}, lambda: "nothing was interrupted", as_json=json)
    return 0
