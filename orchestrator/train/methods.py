"""How a landing is written: as a merge commit, or as one commit on a straight line. The tree is the judged one in every case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worktrees.merge import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.train.cars import Car, Passed
    from orchestrator.workspace import Workspace
    from worktrees.engine import MergeEngine


def landing_commit(workspace: Workspace, engine: MergeEngine, head: str, passed: Passed) -> str:
    """Write the commit that takes the target from `head` to the candidate's tree; nothing moves."""
    landing = workspace.policy.landing
    # of a pull request, the hosting service writes the commit that lands: one commit is all that it is offered
    method = _straight if landing.by_pull_request(workspace.policy.project.target) else METHODS[landing.method]
    parents = method(engine, head, passed)
    return engine.commit(passed.prediction.tree, parents=parents, message=message(passed))


def _merge(engine: MergeEngine, head: str, passed: Passed) -> tuple[str, ...]:
    """First parent the target, second what was merged: of a batch, the line of its members' merges."""
    cars = [part.car for part in passed.prediction.parts]
    if len(cars) == 1:
        return (head, cars[0].changes.commit) if cars[0].changes.commit != head else (head,)
    onto = head
    for car in cars:
        made = engine.merge(onto, car.changes.commit)
        assert not isinstance(made, Conflict)  # noqa: S101 - it was merged for the prediction, on the same trees
        onto = engine.commit(made.tree, parents=(onto, car.changes.commit), message=title_and_objective(car))
    return (head, onto)


def _straight(_engine: MergeEngine, head: str, _passed: Passed) -> tuple[str, ...]:
    return (head,)


METHODS: Mapping[str, Callable[[MergeEngine, str, Passed], tuple[str, ...]]] = {
    "merge": _merge,
    "squash": _straight,
    "rebase": _straight,
}
"""A ticket's work is one commit: moved onto the head it is what a squash gives. Commits between judged trees never land."""


def title_and_objective(car: Car) -> str:
    record = car.row.record
    return f"{record.title}\n\n{record.objective}\n"


def message(passed: Passed) -> str:
    """Write the message of a landing: what a reader of the log gains, and where the proof is."""
    cars = [part.car for part in passed.prediction.parts]
    if len(cars) == 1:
        text = title_and_objective(cars[0])
    else:
        lines = "\n".join(f"- {car.id}: {car.row.record.title}" for car in cars)
        text = f"Land {', '.join(car.id for car in cars)}\n\n{lines}\n"
    trailers = [f"Ticket: {car.id}\nFeature: {car.row.feature}\nGate-Report: {passed.hashes[car.id]}" for car in cars]
    return f"{text}\n" + "\n".join(trailers) + "\n"
