"""The lead at work: it plans, its plan is checked and challenged, it corrects it at most twice, and then the plan is frozen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agents.catalogue import driver
from agents.planning_brief import Returned, for_challenge, for_planning
from agents.protocol import PlanningTask, Question
from memory.events import About
from orchestrator.borrowing import Desk, borrowed
from orchestrator.planning import gather, informed, meant_as_plan, read_lead_plan
from tickets.errors import FileError, InconclusiveError, SignalboxError
from tickets.model import Scope, Ticket
from tickets.plans.objections import MOST, Objection, read_objections
from tickets.plans.page import as_yaml
from worktrees.merge import commit_tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from agents.protocol import Bench, Driver, Facts
    from memory.amounts import Purpose
    from orchestrator.workspace import Workspace
    from tickets.plan import Plan

CORRECTIONS = 2
"""How often a plan goes back to the lead."""
TIMEOUT_S = 900.0
CHALLENGER = "challenger"
UNSEEN = ("research", "notes", "unresolved")
"""Keys of a plan that are the lead's own and ours: whoever challenges the plan does not see them."""


def quietly(_: str) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Ear:
    """Where the lead's work is kept, and who hears of it."""

    logs: Path
    tell: Callable[[str], None] = quietly
    about: About = field(default_factory=About)
    """What the money of it is spent on."""


def make_plan(workspace: Workspace, request: str, base: str, ear: Ear) -> Plan:
    """Have the lead plan the request; raise InputError, with every problem, for a plan that cannot be carried out."""
    lead = driver(workspace.policy, workspace.policy.planning.lead, workspace.root)
    facts = gather(workspace, base) if lead.repeats_itself else informed(workspace, base, request)
    planning = _Planning(workspace=workspace, request=request, base=base, facts=facts, ear=ear)
    return planning.carried_out(0 if lead.repeats_itself else CORRECTIONS)


@dataclass(frozen=True, kw_only=True)
class _Round:
    """What one answer of the lead came to."""

    answer: str
    plan: Plan | None = None
    trouble: FileError | None = None
    objections: tuple[Objection, ...] = ()
    unchallenged: str = ""
    """Why nobody challenged it although somebody should have."""

    @property
    def sound(self) -> bool:
        return self.plan is not None and not any(one.weighs for one in self.objections)

    @property
    def returned(self) -> Returned:
        problems = tuple(str(problem) for problem in self.trouble.problems) if self.trouble else ()
        return Returned(
            answer=self.answer, problems=problems, objections=tuple(str(one) for one in self.objections if one.weighs)
        )

    @property
    def unresolved(self) -> tuple[str, ...]:
        said = tuple(str(one) for one in self.objections)
        return (*said, f"nobody challenged this plan: {self.unchallenged}") if self.unchallenged else said


@dataclass(frozen=True, kw_only=True)
class _Planning:
    workspace: Workspace
    request: str
    base: str
    facts: Facts
    ear: Ear
    rounds: list[_Round] = field(default_factory=list)

    def carried_out(self, corrections: int) -> Plan:
        while not self.rounds or not (self.rounds[-1].sound or len(self.rounds) > corrections):
            answer = self._answer()
            if self.rounds and answer == self.rounds[-1].answer:
                self.ear.tell("the lead gave the same plan again")
                break
            # an objection to a plan that nobody can correct would help nobody
            self.rounds.append(self._judged(answer, challenge=corrections > 0))
        return self._frozen()

    def _frozen(self) -> Plan:
        """Take the last plan that can be carried out; what was said against it stays written in it."""
        last = next((one for one in reversed(self.rounds) if one.plan), None)
        if last is None or last.plan is None:
            raise self.rounds[-1].trouble or InconclusiveError("the lead gave no plan")
        return last.plan.model_copy(update={"unresolved": last.unresolved})

    def _answer(self) -> str:
        returned = self.rounds[-1].returned if self.rounds else None
        number = len(self.rounds)
        facts = replace(self.facts, answered=number)
        with self._desk(self.workspace.policy.planning.lead, self.base, f"plan-{number + 1}") as (lead, bench):
            brief = for_planning(self.request, facts, returned)
            return lead.plan(PlanningTask(request=self.request, brief=brief, facts=facts, bench=bench))

    def _judged(self, answer: str, *, challenge: bool) -> _Round:
        """Check the plan and have it challenged; an answer that is no plan at all ends it."""
        who = "corrected" if self.rounds else "planned"
        try:
            plan = read_lead_plan(self.workspace, answer, self.base)
        except FileError as error:
            if not meant_as_plan(answer):
                raise
            self.ear.tell(f"{who}: the plan has {_many(len(error.problems), 'problem')}: {error.problems[0]}")
            return _Round(answer=answer, trouble=error)
        self.ear.tell(f"{who}: {_many(len(plan.tickets), 'ticket')} in {_many(len(plan.waves), 'wave')}")
        judged = _Round(answer=answer, plan=plan)
        return self._challenged(judged, plan) if challenge and CHALLENGER in self.workspace.policy.roles else judged

    def _challenged(self, judged: _Round, plan: Plan) -> _Round:
        try:
            objections = self._objections(plan)
        except SignalboxError as error:  # an opinion less is no reason to give up the feature
            why = " ".join(str(error).split())
            self.ear.tell(f"not challenged: {why}")
            return replace(judged, unchallenged=why)
        self.ear.tell(f"challenged: {_many(len(objections), 'objection')}{_heaviest(objections)}")
        return replace(judged, objections=objections)

    def _objections(self, plan: Plan) -> tuple[Objection, ...]:
        """Ask a new process about the plan and nothing else: the tree it is given is empty."""
        agent = self.workspace.policy.roles[CHALLENGER]
        number = len(self.rounds) + 1
        brief = for_challenge(as_yaml(plan, without=UNSEEN), most=MOST)
        with self._desk(agent, _empty_commit(self.workspace), f"challenge-{number}") as (challenger, bench):
            question = Question(ticket=_about(plan), attempt=number, phase=1, brief=brief, bench=bench)
            return read_objections(challenger.answer(question), f"the findings of {agent}")

    def _desk(self, agent: str, commit: str, name: str) -> AbstractContextManager[tuple[Driver, Bench]]:
        purpose: Purpose = "challenge" if name.startswith("challenge") else "plan"
        logs, about = self.ear.logs / name, self.ear.about
        desk = Desk(agent=agent, commit=commit, logs=logs, timeout_s=TIMEOUT_S, about=about, purpose=purpose)
        return borrowed(self.workspace, desk)


def _about(plan: Plan) -> Ticket:
    """What a challenger is asked about, as a ticket: drivers tell by its role what kind of answer is wanted."""
    return Ticket(
        id="T-0000",
        title="challenge the plan",
        role=CHALLENGER,
        objective=f"Find what would make this plan fail: {plan.request}",
        non_goals=("changing the plan",),
        scope=Scope(),
        acceptance=(),
    )


def _empty_commit(workspace: Workspace) -> str:
    """Give a commit without any file."""
    empty = workspace.repository.plumb("mktree").text
    return commit_tree(workspace.repository, empty, parents=(), message="nothing to look at\n")


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _heaviest(objections: tuple[Objection, ...]) -> str:
    order = ("blocker", "major", "minor")
    first = min(objections, key=lambda one: order.index(one.severity), default=None)
    return f", the heaviest {first}" if first else ""
