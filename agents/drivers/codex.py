"""`codex`: OpenAI's Codex. Strict: the application server, which asks before each command and edit; plain: `exec` with a hook.

The client's own sandbox cannot start within ours, and its approval policy `on-request` asks about nothing without it. So the strict form takes
`untrusted`, which asks about everything, and checks that the thread began that way.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.causes import Cause
from agents.clients.codex.attempt import Attempt, Order
from agents.clients.codex.config import find, furnish, too_old, version_of
from agents.clients.codex.errors import LONGEST, CodexError
from agents.protocol import Assignment, Capabilities, Outcome, PlanningTask, Probe, Question
from tickets.errors import InputError, SignalboxError
from worktrees.confinement import Confinement
from worktrees.process import Bounds, Launch, run

if TYPE_CHECKING:
    from tickets.agents import Agent

KNOWN_MODEL = "gpt-5.5"
"""For trials: with a model that it does not know, the client has no tool to edit files."""
MISSING = "there is no `codex` on the PATH: install it (npm install -g @openai/codex), or name it in `command`"
PROBE_S = 20.0


@dataclass(frozen=True, kw_only=True)
class CodexDriver:
    name: str
    settings: Agent
    root: Path
    """The repository: a program with a `/` in its name is looked up from here."""
    account: bool = True
    """Whether the key is handed on."""
    kind: str = "codex"
    runs_foreign_code: bool = True
    repeats_itself: bool = False

    @property
    def capabilities(self) -> Capabilities:
        strict = self.settings.form == "strict"
        return Capabilities(  # noqa: S604 - `shell` is a word of the table here
            gate="every-call",
            gate_failure="closed",
            shell="gated",
            usage="tokens",
            usage_scope="session",
            budget="live" if strict else "after",
            resumes=True,
            report="text",
            guide="AGENTS.md",
        )

    def probe(self) -> Probe:
        program = find(self.settings, self.root)
        if program is None:
            return Probe(ready=False, detail=MISSING)
        said = _said((str(program), *self.settings.command[1:], "--version"))
        version = version_of(said)
        if version is None:
            return Probe(ready=False, detail=f"{program} --version names no version: {said[:LONGEST].strip()!r}")
        trouble, shown = too_old(version), ".".join(map(str, version))
        signed_in = True if self.settings.key_name in os.environ else None if self.settings.base_url else False
        detail = trouble or f"Codex {shown} at {program}"
        return Probe(ready=not trouble, detail=detail, version=shown, signed_in=signed_in)

    def aimed_at(self, url: str) -> CodexDriver:
        settings = self.settings.model_copy(update={"base_url": f"{url}/v1", "model": KNOWN_MODEL})
        return replace(self, settings=settings, account=False)

    def trial(self, path: str) -> tuple[dict[str, Any], ...]:
        patch = f"*** Begin Patch\n*** Add File: {path}\n+tried\n*** End Patch\n"
        edit = {"name": "apply_patch", "input": patch, "custom": True}
        return ({"text": "I write a file.", "tools": [edit]}, {"text": "## Summary\n\nTried to write a file.\n"})

    def plan(self, task: PlanningTask) -> str:
        return self._answer(Order(bench=task.bench, brief=task.brief), "plan")

    def answer(self, question: Question) -> str:
        return self._answer(Order(bench=question.bench, brief=question.brief), "answer")

    def work(self, assignment: Assignment) -> Outcome:
        order = Order(
            bench=assignment.bench,
            brief=assignment.brief,
            plain=self.settings.form == "plain",
            feedback=assignment.feedback,
            session=assignment.session,
            before=assignment.before,
        )
        return self._run(order)

    def _answer(self, order: Order, what: str) -> str:
        outcome = self._run(order)
        if outcome.cause is Cause.MISSING:
            raise InputError(f"agents.{self.name}: {outcome.reason}")
        if outcome.cause is not Cause.DONE or not outcome.report:
            raise SignalboxError(f"the agent {self.name} gave no {what}: {outcome.reason}; see {outcome.transcript}")
        return outcome.report

    def _run(self, order: Order) -> Outcome:
        begun = time.monotonic()
        program = find(self.settings, self.root)
        try:
            if program is None:
                raise CodexError(Cause.MISSING, MISSING)  # noqa: TRY301 - one place for all that keeps it from starting
            client = furnish(order.bench, self.settings, program, plain=order.plain, account=self.account)
            outcome = Attempt(client=client, settings=self.settings, order=order).outcome()
        except CodexError as error:
            outcome = Outcome(
                ending="not-started",
                cause=error.cause,
                reason=error.reason,
                report=None,
                transcript=str(order.bench.log),
            )
        order.bench.transcript.ended(outcome.cause, outcome.reason)
        return replace(outcome, seconds=time.monotonic() - begun)


def _said(command: tuple[str, ...]) -> str:
    """Give what a program prints, within bounds."""
    with tempfile.TemporaryDirectory(prefix="sb-probe-") as scratch:
        folder = Path(scratch).resolve()
        env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "CODEX_HOME": str(folder)}
        confinement = Confinement(level="none", write=(folder,))
        what = Launch(command=command, cwd=folder, env=env, confinement=confinement)
        run(what, log=folder / "said", bounds=Bounds(timeout_s=PROBE_S, output_bytes=1 << 16))
        return (folder / "said").read_text(encoding="utf-8", errors="replace") if (folder / "said").exists() else ""
