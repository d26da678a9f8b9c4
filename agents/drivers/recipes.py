"""`recipes`: the embedded default. No model: it plans and edits requests of known shape, and refuses all others."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents.causes import Cause
from agents.drivers.base import OtherDriver
from agents.protocol import Assignment, Outcome, PlanningTask, Probe, Question
from agents.recipes.catalogue import RECIPES
from agents.recipes.protocol import Workplace, read_instruction
from tickets.errors import InputError, SignalboxError

if TYPE_CHECKING:
    from agents.recipes.protocol import Parameters, Recipe

REPORT = """## Summary

{summary}

## Files Changed

{files}

## Verification

none by the author; the harness runs what the ticket names

## Risks / Edge Cases

none known

## Out-of-Scope Issues Found

none
"""
HOW_TO_SET_AN_AGENT = """To have anything else done, set a coding agent in orchestrate.toml and commit it, for instance

    [planning]
    lead = "coder"
    [agents.coder]
    kind = "claude"
    [roles]
    executor = "coder"
"""


@dataclass(frozen=True, kw_only=True)
class RecipesDriver(OtherDriver):
    kind: str = "recipes"
    runs_foreign_code: bool = False
    repeats_itself: bool = True

    def probe(self) -> Probe:
        return Probe(ready=True, detail=f"built in, no model: {', '.join(RECIPES)}")

    def plan(self, task: PlanningTask) -> str:
        recipe, parameters = self._recognise(task.request)
        planned = recipe.plan(parameters, task.facts)
        return json.dumps({"request": task.request, "tickets": planned.tickets, "assumptions": planned.assumptions})

    def _recognise(self, request: str) -> tuple[Recipe, Parameters]:
        for recipe in RECIPES.values():
            if found := recipe.pattern.fullmatch(" ".join(request.split())):
                return recipe, {name: value for name, value in found.groupdict().items() if value is not None}
        known = "\n".join(f"    {recipe.usage:<44} for instance: {recipe.example}" for recipe in RECIPES.values())
        raise InputError(
            f"{request!r} is no recipe, and recipes are all that the embedded agent knows:\n\n{known}\n\n{HOW_TO_SET_AN_AGENT}"
        )

    def answer(self, question: Question) -> str:
        raise InputError(
            f"agents.{self.name}: the embedded agent knows recipes and no opinions; it cannot audit {question.ticket.id}. "
            "Name another agent as auditor under [roles] in orchestrate.toml"
        )

    def work(self, assignment: Assignment) -> Outcome:
        started = time.monotonic()
        workplace = Workplace(root=assignment.bench.tree)
        try:
            summary = self._carry_out(assignment, workplace)
        except (SignalboxError, OSError, ValueError) as error:
            return self._outcome(assignment, started, reason=str(error))
        files = "\n".join(f"- `{path}`" for path in workplace.written) or "none"
        return self._outcome(assignment, started, report=REPORT.format(summary=summary, files=files))

    def _carry_out(self, assignment: Assignment, workplace: Workplace) -> str:
        found = read_instruction(assignment.ticket.context)
        if found is None:
            raise InputError(
                f"{assignment.ticket.id} is no ticket of a recipe; the agent `recipes` cannot carry it out"
            )
        name, step, parameters = found
        return RECIPES[name].steps[step](workplace, parameters)

    def _outcome(
        self, assignment: Assignment, started: float, *, report: str | None = None, reason: str = ""
    ) -> Outcome:
        assignment.bench.log.parent.mkdir(parents=True, exist_ok=True)
        assignment.bench.log.write_text(report or reason, encoding="utf-8")
        return Outcome(
            ending="done" if report else "failed",
            cause=Cause.DONE if report else Cause.FAILED,
            reason=reason,
            report=report,
            transcript=str(assignment.bench.log),
            seconds=time.monotonic() - started,
        )
