"""`command`: any program that reads a brief on standard input and changes the files around it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.causes import Cause
from agents.protocol import Assignment, Bench, Capabilities, Ending, Outcome, PlanningTask, Probe, Question
from tickets.errors import InputError, SignalboxError
from worktrees.process import Launch, Receipt, run

if TYPE_CHECKING:
    from collections.abc import Mapping

REPORT_BYTES = 1 << 20
"""A report is read up to this size; what follows is left out."""
_ENDINGS: dict[str, tuple[Ending, Cause]] = {
    "timeout": ("timeout", Cause.TIMEOUT),
    "disk": ("disk", Cause.MACHINE),
    "limits": ("limits", Cause.MACHINE),
    "interrupted": ("interrupted", Cause.INTERRUPTED),
    "not-started": ("not-started", Cause.MISSING),
}


@dataclass(frozen=True, kw_only=True)
class CommandDriver:
    name: str
    command: tuple[str, ...]
    root: Path
    """The repository: a program with a `/` in its name is looked up from here."""
    kind: str = "command"
    runs_foreign_code: bool = True
    repeats_itself: bool = False

    def probe(self) -> Probe:
        found = shutil.which(self._argv()[0])
        return Probe(
            ready=found is not None,
            detail=found or f"{self.command[0]!r} is neither on the PATH nor an executable file",
        )

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities()

    def aimed_at(self, url: str) -> None:
        """Give None: nobody knows what is behind the command."""

    def trial(self, path: str) -> tuple[dict[str, Any], ...]:  # noqa: ARG002 - it has no model to be scripted
        return ()

    def plan(self, task: PlanningTask) -> str:
        return self._words(
            task.bench, task.brief, {"ORCHESTRATE_REQUEST": task.request}, trouble=f"the lead {self.name} gave no plan"
        )

    def answer(self, question: Question) -> str:
        variables = _about(question) | {"ORCHESTRATE_PHASE": str(question.phase)}
        return self._words(question.bench, question.brief, variables, trouble=f"the agent {self.name} gave no answer")

    def work(self, assignment: Assignment) -> Outcome:
        report = assignment.bench.desk / "report.md"
        variables = _about(assignment) | {"ORCHESTRATE_REPORT": str(report)}
        receipt = self._run(assignment.bench, assignment.brief, variables)
        return outcome_of(receipt, report=read_report(report) or read_report(Path(receipt.log)))

    def _words(self, bench: Bench, brief: str, variables: Mapping[str, str], *, trouble: str) -> str:
        """Give what the program wrote to the place of its report, or else what it printed."""
        report = bench.desk / "answer"
        receipt = self._run(bench, brief, {**variables, "ORCHESTRATE_REPORT": str(report)})
        if receipt.ending == "not-started":
            raise InputError(f"agents.{self.name}: {receipt.reason}")
        if receipt.ending != "exited" or receipt.exit != 0:
            raise SignalboxError(f"{trouble}: {_reason(receipt)}; its output is in {receipt.log}")
        return read_report(report) or read_report(Path(receipt.log)) or ""

    def _argv(self) -> tuple[str, ...]:
        program = self.command[0]
        inside = self.root / program
        return (str(inside), *self.command[1:]) if "/" in program and inside.exists() else self.command

    def _run(self, bench: Bench, brief: str, variables: Mapping[str, str]) -> Receipt:
        return launch(bench, self._argv(), brief=brief, variables=variables)


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


def outcome_of(receipt: Receipt, *, report: str | None) -> Outcome:
    done = receipt.ending == "exited" and receipt.exit == 0
    found: tuple[Ending, Cause] = (
        ("done", Cause.DONE) if done else _ENDINGS.get(receipt.ending, ("failed", Cause.FAILED))
    )
    ending, cause = found
    return Outcome(
        ending=ending,
        cause=cause,
        reason="" if done else _reason(receipt),
        report=report,
        transcript=receipt.log,
        seconds=receipt.seconds,
        sandbox=receipt.confinement,
        survivors=receipt.survivors,
    )


def _reason(receipt: Receipt) -> str:
    return receipt.reason or f"the agent ended with exit code {receipt.exit}"


def read_report(path: Path) -> str | None:
    """Read what an agent wrote for us: a regular file of bearable size, or nothing."""
    if path.is_symlink() or not path.is_file():
        return None
    with path.open("rb") as stream:
        return stream.read(REPORT_BYTES).decode(errors="replace").strip() or None
