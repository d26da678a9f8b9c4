"""`command`: any program that reads a brief on standard input and changes the files around it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from agents.drivers.base import OtherDriver
from agents.endings import exited, outcome, words_of
from agents.programs import absent, found, located
from agents.protocol import Assignment, Bench, Outcome, PlanningTask, Probe, Question
from agents.reports import read
from worktrees.process import Launch, Receipt, run

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class CommandDriver(OtherDriver):
    command: tuple[str, ...]
    root: Path
    """The repository: a program with a `/` in its name is looked up from here."""
    kind: str = "command"
    runs_foreign_code: bool = True

    def probe(self) -> Probe:
        place = found(self.command, self.root)
        return Probe(ready=place is not None, detail=place or absent(self.command))

    def plan(self, task: PlanningTask) -> str:
        return self._words(
            task.bench, task.brief, {"ORCHESTRATE_REQUEST": task.request}, trouble=f"the lead {self.name} gave no plan"
        )

    def answer(self, question: Question) -> str:
        variables = _about(question) | {"ORCHESTRATE_PHASE": str(question.phase)}
        return self._words(question.bench, question.brief, variables, trouble=f"the agent {self.name} gave no answer")

    def work(self, assignment: Assignment) -> Outcome:
        return self._run(assignment.bench, assignment.brief, _about(assignment), report="report.md")

    def _words(self, bench: Bench, brief: str, variables: Mapping[str, str], *, trouble: str) -> str:
        """Give what the program wrote to the place of its report, or else what it printed."""
        told = self._run(bench, brief, variables, report="answer")
        return words_of(replace(told, report=told.report or ""), agent=self.name, trouble=trouble)

    def _run(self, bench: Bench, brief: str, variables: Mapping[str, str], *, report: str) -> Outcome:
        place = bench.desk / report
        named = {**variables, "ORCHESTRATE_REPORT": str(place)}
        receipt = launch(bench, located(self.command, self.root), brief=brief, variables=named)
        return outcome(exited(receipt), receipt, report=read(place) or read(Path(receipt.log)))


def _about(task: Assignment | Question) -> dict[str, str]:
    """Lay the ticket on the desk, and name what the agent is asked about."""
    ticket = task.bench.desk / "ticket.json"
    ticket.write_text(task.ticket.model_dump_json(indent=2), encoding="utf-8")
    return {"ORCHESTRATE_TICKET": str(ticket), "ORCHESTRATE_ATTEMPT": str(task.attempt)}


def launch(bench: Bench, command: tuple[str, ...], *, brief: str, variables: Mapping[str, str]) -> Receipt:
    """Start a program on the bench with the brief on its standard input, and wait for the end of all it started."""
    paper = bench.desk / "brief.md"
    text = brief.encode(errors="backslashreplace")  # names of files need not be UTF-8, and the findings name them
    paper.write_bytes(text)
    environment = {**bench.variables, "ORCHESTRATE_BRIEF": str(paper), **variables}
    what = Launch(command=command, cwd=bench.tree, env=environment, confinement=bench.confinement, stdin=text)
    return run(what, log=bench.log, bounds=bench.bounds)
