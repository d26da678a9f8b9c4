"""The way of a request, on one screen: plan, then for each ticket attempt and landing, then the lesson.

Both workflows are durable: every step is recorded once it is done and never done again, and each step can itself be
repeated without harm. After `kill -9` at any point, `orchestrate resume` finishes the same run.
"""

from __future__ import annotations

from dbos import DBOS, SetWorkflowID

from orchestrator import stages


@DBOS.workflow()
def feature(feature_id: str, generation: int) -> None:
    """Request → plan → tickets, side by side where nothing orders them → lesson."""
    started: list[str] = []
    todo = plan(feature_id)
    while todo:
        runs = []
        for ticket_id in stages.begun_here(todo):
            with SetWorkflowID(f"{ticket_id}.{generation}"):
                runs.append(DBOS.start_workflow(ticket, ticket_id))
        for run in runs:
            run.get_result()
        started += todo
        todo = added(feature_id, started)
    remember(feature_id)


@DBOS.workflow()
def ticket(ticket_id: str) -> None:
    """Worktree → agent → gates, as often as the policy allows → gates on the merge → target branch."""
    step = await_dependencies(ticket_id)
    while step == "again":
        step = attempt(ticket_id)
        if step == "passed":
            step = land(ticket_id)


@DBOS.step()
def plan(feature_id: str) -> list[str]:
    return stages.plan(feature_id)


@DBOS.step()
def await_dependencies(ticket_id: str) -> str:
    return stages.await_dependencies(ticket_id)


@DBOS.step()
def attempt(ticket_id: str) -> str:
    return stages.attempt(ticket_id)


@DBOS.step()
def land(ticket_id: str) -> str:
    return stages.land(ticket_id)


@DBOS.step()
def added(feature_id: str, started: list[str]) -> list[str]:
    return stages.added(feature_id, started)


@DBOS.step()
def remember(feature_id: str) -> None:
    stages.remember(feature_id)
