"""`scripted`: plays a YAML script of edits, reports and misbehaviour; a real process, no model. For tests and demos.

    plan: {request: ..., tickets: [...]}        # when it is the lead; a list: the plans that it gives one after the other
    challenge: [[{severity: major, claim: ...}], []]      # when it challenges plans: what it finds in each
    follow_up: [{decision: nothing, why: ...}]  # what the lead decides after each attempt of a ticket that raised something
    tickets:
      some-key-or-title-or-*:                   # the first that fits the ticket's id or title
        - - write: {path: src/a.py, text: x = 1}      # attempt 1
          - report: auto
        - - shell: "sed -i s/1/2/ src/a.py"                # attempt 2; the last one repeats
    audit:                                      # when it is the auditor: of each attempt, one answer for each phase
      - - {findings: [{path: src/a.py, line: 1, quote: x = 1, severity: blocker, claim: ..., why: ...}]}
        - {findings: [{index: 0, verdict: confirmed, because: ...}], missed: []}
      - [{findings: []}, {findings: [], missed: []}]      # attempt 2; the last one repeats; text is given as it is

Steps: write {path, text}, append {path, text}, delete PATH, shell LINE, say TEXT, report TEXT (`auto` writes an honest
one, `lie` claims what is not so), sleep SECONDS, exit CODE, and the misbehaviour hang, crash, git, outside PATH,
fill MIB, flood MIB, orphan SECONDS (a child that leaves the session).
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.drivers.base import OtherDriver
from agents.drivers.command import launch
from agents.endings import exited, outcome
from agents.protocol import Assignment, Outcome, PlanningTask, Probe, Question
from agents.reports import read
from tickets.documents import Document, read_yaml
from tickets.errors import FileError, InputError

if TYPE_CHECKING:
    from tickets.model import Ticket

PLAYER = Path(__file__).parent.parent / "scripted_player.py"
HONEST = ("write", "append", "delete", "shell", "say", "report", "sleep", "exit")
_KEYS = {"challenger": "challenge", "lead": "follow_up"}
"""What answers a question to someone in this role."""
STEPS = frozenset({*HONEST, "hang", "crash", "git", "outside", "fill", "flood", "orphan"})


@dataclass(frozen=True, kw_only=True)
class ScriptedDriver(OtherDriver):
    script: Path
    kind: str = "scripted"
    runs_foreign_code: bool = True

    def probe(self) -> Probe:
        try:
            self._read()
        except InputError as error:
            return Probe(ready=False, detail=str(error))
        return Probe(ready=True, detail=str(self.script))

    def plan(self, task: PlanningTask) -> str:
        plans = self._read().data.get("plan")
        known = plans if isinstance(plans, list) else [plans]
        if not known or not all(isinstance(plan, dict | str) for plan in known) or isinstance(plans, str):
            raise InputError(
                f"{self.script}: expected a mapping `plan:`, or a list of them, because this script is the lead"
            )
        return _said(known[min(task.facts.answered, len(known) - 1)])

    def answer(self, question: Question) -> str:
        document = self._read()
        key = _KEYS.get(question.ticket.role)
        if key and key in document.data:
            return _nth(document, key, question.attempt)
        audits = document.data.get("audit")
        if not isinstance(audits, list) or not audits:
            raise FileError(
                document.problem(("audit",), "expected a list with the answers to each attempt: it is the auditor")
            )
        index = min(question.attempt, len(audits)) - 1
        answers = audits[index]
        if not isinstance(answers, list) or len(answers) < question.phase:
            raise FileError(document.problem(("audit", index), f"expected an answer for phase {question.phase}"))
        return _said(answers[question.phase - 1])

    def work(self, assignment: Assignment) -> Outcome:
        steps = self._steps(assignment.ticket, assignment.attempt)
        report = assignment.bench.desk / "report.md"
        played = assignment.bench.desk / "script.json"
        played.write_text(json.dumps(steps, default=str), encoding="utf-8")
        player = assignment.bench.desk / PLAYER.name  # the sandbox shows the desk, not this package
        player.write_bytes(PLAYER.read_bytes())
        command = (sys.executable, "-I", str(player), str(played))
        variables = {"ORCHESTRATE_REPORT": str(report), "ORCHESTRATE_ATTEMPT": str(assignment.attempt)}
        receipt = launch(assignment.bench, command, brief=assignment.brief, variables=variables)
        return outcome(exited(receipt), receipt, report=read(report))

    def _read(self) -> Document:
        try:
            text = self.script.read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"agents.{self.name}: the script {self.script} cannot be read ({error.strerror})"
            ) from error
        document = read_yaml(text, str(self.script))
        if not isinstance(document.data, dict):
            raise FileError(document.problem((), "a mapping with `plan:`, `tickets:`, `audit:` or the like"))
        return document

    def _steps(self, ticket: Ticket, attempt: int) -> list[dict[str, Any]]:
        document = self._read()
        entries = document.data.get("tickets") or {}
        if not isinstance(entries, dict):
            raise FileError(
                document.problem(("tickets",), "expected patterns of ids or titles, each with a list of attempts")
            )
        for pattern, attempts in entries.items():
            if any(fnmatchcase(name, pattern) for name in (ticket.id, ticket.title)):
                return _attempt(document, pattern, attempts, attempt)
        raise InputError(f"{self.script}: no entry of `tickets:` fits {ticket.id} ({ticket.title})")


def _nth(document: Document, key: str, number: int) -> str:
    """Give the answer of that number; the last one in the script repeats."""
    answers = document.data[key]
    if not isinstance(answers, list) or not answers:
        raise FileError(document.problem((key,), "expected a list of answers"))
    return _said(answers[min(number, len(answers)) - 1])


def _said(answer: object) -> str:
    return answer if isinstance(answer, str) else json.dumps(answer)


def _attempt(document: Document, pattern: str, attempts: object, number: int) -> list[dict[str, Any]]:
    """Give the steps of the attempt; the last one in the script repeats."""
    if not isinstance(attempts, list):
        raise FileError(document.problem(("tickets", pattern), "expected a list of attempts"))
    index = min(number, len(attempts)) - 1
    steps = attempts[index] if attempts else []
    if not isinstance(steps, list):
        raise FileError(document.problem(("tickets", pattern, index), "expected a list of steps"))
    return [_checked(step, document, ("tickets", pattern, index, place)) for place, step in enumerate(steps)]


def _checked(step: object, document: Document, place: tuple[str | int, ...]) -> dict[str, Any]:
    if isinstance(step, dict) and len(step) == 1 and next(iter(step)) in STEPS:
        return step
    raise FileError(document.problem(place, f"expected one of {', '.join(sorted(STEPS))} in each step, not {step!r}"))
