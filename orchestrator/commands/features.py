"""`feature` and `resume`."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

from orchestrator.commands.output import say
from orchestrator.telling.readiness import check as check_hooks
from orchestrator.workspace import Workspace
from tickets.errors import EnvironmentFailure, InputError, WaitingError
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
    from orchestrator.lead.rules import without_ambiguity
    from orchestrator.runner import warm_up
    from orchestrator.sharing import join

    warm_up()
    workspace = _with_parallel(Workspace.open(repo), asked.parallel)
    join(workspace)
    base = workspace.head()
    workspace.repository.identity()  # a landing needs one; say so before anything is started
    request = " ".join((asked.words or "").split())
    if not request and asked.plan is None:
        raise InputError('say what is wanted: orchestrate feature "add model wide_mlp", or --plan FILE')
    workspace.prepare()
    plan = _plan_beforehand(workspace, asked, request, base)
    request = request or (plan.request if plan else "")
    if asked.dry_run and plan is not None:
        from orchestrator.commands.plans import Shown, show

        return show(workspace, plan, Shown(request=request, base=base, file=asked.plan), json=json)
    plan = without_ambiguity(plan, workspace.policy) if plan else None
    _check_agents(workspace, plan)
    check_hooks(workspace)
    check_landing(workspace)
    options = {"plan": plan.model_dump(mode="json") if plan else None, "yes": asked.yes}
    identity = workspace.records.add_feature(
        request, options=options, target=workspace.policy.project.target, before=base
    )
    return see_through(workspace, identity, json=json)


def check_landing(workspace: Workspace) -> None:
    """Refuse to start where no landing could go the way that the policy names."""
    if workspace.policy.landing.remote:
        from orchestrator.train.publishing import meet

        meet(workspace)


def _plan_beforehand(workspace: Workspace, asked: Asked, request: str, base: str) -> Plan | None:
    """Give the plan where it is there at once, or is all that is wanted; None where the lead makes it within the run."""
    from orchestrator.lead.planner import Ear, make_plan, quietly
    from orchestrator.planning import read_plan_file

    if asked.plan:
        return read_plan_file(workspace, asked.plan, base)
    # the embedded lead answers at once; any other one works inside the run, where a crash loses nothing
    if not asked.dry_run and workspace.policy.agent(workspace.policy.planning.lead).kind != "recipes":
        return None
    logs = workspace.state / "logs" / f"plan-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}"
    return make_plan(workspace, request, base, Ear(logs=logs, tell=_tell if asked.dry_run else quietly))


def _tell(said: str) -> None:
    sys.stderr.write(f"{said}\n")


def _with_parallel(workspace: Workspace, parallel: int | None) -> Workspace:
    if parallel is None:
        return workspace
    dispatch = workspace.policy.dispatch.model_copy(update={"parallel": parallel})
    return replace(workspace, policy=workspace.policy.model_copy(update={"dispatch": dispatch}))


def _check_agents(workspace: Workspace, plan: Plan | None) -> None:
    """Refuse to start when an agent that the plan needs has no driver, no program, or no sandbox here."""
    from orchestrator.readiness import readiness

    planners = {"lead", "executor"} | ({"challenger"} & set(workspace.policy.roles))
    roles = {"lead"} | {draft.role for draft in plan.tickets} if plan else planners
    for name in sorted({workspace.policy.agent_for(role) for role in roles if role != "lead" or plan is None}):
        probe = readiness(workspace, name)
        if not probe.ready:
            raise InputError(f"agents.{name}: {probe.detail}")
    workspace.level  # noqa: B018 - raises where no sandbox is to be had; gates run the agent's code, whoever wrote it


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
        _stopped(workspace, error, json=json)
    row = workspace.records.feature(feature_id)
    outcome: dict[str, Any] = row.outcome or {}
    if row.state == "invalid":
        raise InputError(outcome["message"])
    if row.state == "waiting":
        return _waits(outcome, json=json)
    say(outcome, lambda: summary(workspace, outcome), as_json=json)
    return exit_code(outcome)


def _waits(outcome: dict[str, Any], *, json: bool) -> int:
    """Say what a person has to answer before anything starts."""
    from orchestrator.commands.plans import questions_text

    say(outcome, lambda: questions_text(outcome), as_json=json)
    return WaitingError.exit_code


def _interrupted(workspace: Workspace, feature_id: str, *, json: bool) -> NoReturn:
    """End at once: supervisors end their agents and gates, and everything acknowledged is on disk."""
    from orchestrator.debrief import outcome_of
    from orchestrator.runner import INTERRUPTED, stop_at_once

    outcome = {**outcome_of(workspace, workspace.records.feature(feature_id)), "outcome": "interrupted"}
    say(outcome, lambda: f"{feature_id} interrupted; `orchestrate resume {feature_id}` carries on", as_json=json)
    stop_at_once(workspace, INTERRUPTED)


def _stopped(workspace: Workspace, error: EnvironmentFailure, *, json: bool) -> NoReturn:
    """End at once as well: threads of a run that cannot write any more would wait for ever."""
    from orchestrator.runner import stop_at_once

    sys.stderr.write(f"{error}\n")
    if json:
        say({"error": str(error), "exit": error.exit_code}, str, as_json=True)
    stop_at_once(workspace, error.exit_code)


def resume(repo: Path, feature_id: str | None, *, json: bool) -> int:
    workspace = Workspace.open(repo)
    if not workspace.database.exists:
        return _nothing(json=json)
    check_hooks(workspace)
    check_landing(workspace)
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
