"""`scripted`: plays a YAML script of edits, reports and misbehaviour; a real process, no model. For tests and demos.

    plan: {request: ..., tickets: [...]}        # when it is the lead
    tickets:
      some-key-or-title-or-*:                   # the first that fits the ticket's id or title
        - - write: {path: src/a.py, text: "x = 1\\n"}      # attempt 1
          - report: "## Summary\\n..."
        - - shell: "sed -i s/1/2/ src/a.py"                # attempt 2; the last one repeats

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

from agents.drivers.command import launch, outcome_of
from agents.protocol import Assignment, Outcome, PlanningTask, Probe
from tickets.documents import Document, read_yaml
from tickets.errors import FileError, InputError

if TYPE_CHECKING:
    from tickets.model import Ticket

PLAYER = Path(__file__).parent.parent / "scripted_player.py"
STEPS = frozenset("write append delete shell say report sleep exit hang crash git outside fill flood orphan".split())


@dataclass(frozen=True, kw_only=True)
class ScriptedDriver:
    name: str
    script: Path
    kind: str = "scripted"
    runs_foreign_code: bool = True

    def probe(self) -> Probe:
        try:
            self._read()
        except InputError as error:
            return Probe(ready=False, detail=str(error))
        return Probe(ready=True, detail=str(self.script))

    def plan(self, task: PlanningTask) -> str:  # noqa: ARG002 - a script says the same to every request
        plan = self._read().data.get("plan")
        if not isinstance(plan, dict):
            raise InputError(f"{self.script}: expected a mapping `plan:`, because this script is the lead")
        return json.dumps(plan)

    def work(self, assignment: Assignment) -> Outcome:
        steps = self._steps(assignment.ticket, assignment.attempt)
        report = assignment.bench.desk / "report.md"
        played = assignment.bench.desk / "script.json"
        played.write_text(json.dumps(steps), encoding="utf-8")
        player = assignment.bench.desk / PLAYER.name  # the sandbox shows the desk, not this package
        player.write_bytes(PLAYER.read_bytes())
        command = (sys.executable, "-I", str(player), str(played))
        variables = {"ORCHESTRATE_REPORT": str(report), "ORCHESTRATE_ATTEMPT": str(assignment.attempt)}
        receipt = launch(assignment.bench, command, brief=assignment.brief, variables=variables)
        return outcome_of(receipt, report=report.read_text(encoding="utf-8", errors="replace") if report.is_file() else None)

    def _read(self) -> Document:
        try:
            text = self.script.read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(f"agents.{self.name}: the script {self.script} cannot be read ({error.strerror})") from error
        document = read_yaml(text, str(self.script))
        if not isinstance(document.data, dict):
            raise FileError(document.problem((), "a mapping with `plan:` or `tickets:`"))
        return document

    def _steps(self, ticket: Ticket, attempt: int) -> list[dict[str, Any]]:
        document = self._read()
        for pattern, attempts in document.data.get("tickets", {}).items():
            if any(fnmatchcase(name, pattern) for name in (ticket.id, ticket.title)):
                steps = attempts[min(attempt, len(attempts)) - 1] if attempts else []
                return [_checked(step, document, pattern) for step in steps]
        raise InputError(f"{self.script}: no entry of `tickets:` fits {ticket.id} ({ticket.title})")


def _checked(step: object, document: Document, pattern: str) -> dict[str, Any]:
    if isinstance(step, dict) and len(step) == 1 and next(iter(step)) in STEPS:
        return step
    raise FileError(document.problem(("tickets", pattern), f"one of {', '.join(sorted(STEPS))} in each step, not {step!r}"))
