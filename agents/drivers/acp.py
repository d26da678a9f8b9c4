"""`acp`: any agent that speaks the Agent Client Protocol, driven through its official Python library."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agents.causes import Cause
from agents.clients.acp.agents import everywhere, folders_of, keyless, known, version_of
from agents.clients.acp.client import Errand, take_turn
from agents.clients.acp.hearing import Hearing
from agents.protocol import Assignment, Bench, Capabilities, Ending, Outcome, PlanningTask, Probe, Question
from agents.usage import NOTHING, Usage
from tickets.errors import InputError, SignalboxError
from worktrees.conversation import converse
from worktrees.process import Launch

if TYPE_CHECKING:
    from pathlib import Path

    from agents.clients.acp.client import Ended
    from tickets.agents import Agent
    from worktrees.process import Receipt

LIBRARY = "acp"
PATIENCE_S, IMPATIENCE_S = 5.0, 1.0
"""What a client gets to end by itself, where it did its work and where it did not."""
_WITHOUT = "the Python library of the Agent Client Protocol is not installed: pip install 'signalbox[acp]'"
_ENDINGS: dict[Cause, Ending] = {
    Cause.DONE: "done",
    Cause.TIMEOUT: "timeout",
    Cause.INTERRUPTED: "interrupted",
    Cause.MISSING: "not-started",
}
_RECEIPTS: dict[str, tuple[Ending, Cause]] = {
    "timeout": ("timeout", Cause.TIMEOUT),
    "disk": ("disk", Cause.MACHINE),
    "limits": ("limits", Cause.MACHINE),
    "interrupted": ("interrupted", Cause.INTERRUPTED),
    "not-started": ("not-started", Cause.MISSING),
}


@dataclass(frozen=True, kw_only=True)
class AcpDriver:
    name: str
    settings: Agent
    root: Path
    """The repository: a program with a `/` in its name is looked up from here."""
    trial_url: str = ""
    """Where a scripted model is; empty: the agent's own."""
    kind: str = "acp"
    runs_foreign_code: bool = True
    repeats_itself: bool = False

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            gate="asks-some",
            gate_failure="closed",
            usage="tokens",
            usage_scope="run",
            budget="after",
            resumes=True,
            report="text",
        )

    def probe(self) -> Probe:
        if importlib.util.find_spec(LIBRARY) is None:
            return Probe(ready=False, detail=_WITHOUT)
        found = shutil.which(self._argv()[0])
        if found is None:
            missing = f"{self.settings.command[0]!r} is neither on the PATH nor an executable file"
            return Probe(ready=False, detail=missing)
        version = version_of(self._argv())
        return Probe(ready=True, detail=f"{found} {version}".strip(), version=version)

    def aimed_at(self, url: str) -> AcpDriver | None:
        """Give None for an agent that nobody here knows: it may have its model anywhere."""
        return replace(self, trial_url=url) if known(self.settings.command) else None

    def trial(self, path: str) -> tuple[dict[str, Any], ...]:
        agent = known(self.settings.command)
        if agent is None:
            return ()
        tool, given = agent.write(path)
        return ({"text": "I write it.", "tools": [{"name": tool, "input": given}]}, {"text": "I could not write it."})

    def plan(self, task: PlanningTask) -> str:
        return self._words(task.bench, task.brief, f"the lead {self.name} gave no plan")

    def answer(self, question: Question) -> str:
        return self._words(question.bench, question.brief, f"the agent {self.name} gave no answer")

    def work(self, assignment: Assignment) -> Outcome:
        what = Errand(
            cwd=str(assignment.bench.tree),
            brief=assignment.brief,
            feedback=assignment.feedback,
            session=assignment.session,
            model=self.settings.model,
            silence_s=self.settings.silence_s,
        )
        return self._run(assignment.bench, what, before=assignment.before)

    def _words(self, bench: Bench, brief: str, trouble: str) -> str:
        what = Errand(cwd=str(bench.tree), brief=brief, model=self.settings.model, silence_s=self.settings.silence_s)
        outcome = self._run(bench, what, before=NOTHING)
        if outcome.cause in {Cause.MISSING, Cause.SIGN_IN}:
            raise InputError(f"agents.{self.name}: {outcome.reason}")
        if outcome.cause is not Cause.DONE:
            raise SignalboxError(f"{trouble}: {outcome.reason}; what it printed is in {outcome.transcript}")
        return outcome.report or ""

    def _run(self, bench: Bench, what: Errand, *, before: Usage) -> Outcome:
        if importlib.util.find_spec(LIBRARY) is None:
            return _ended_early(bench, _WITHOUT)
        # counts go on where a session does
        before = before if what.session else NOTHING
        hearing = Hearing(
            transcript=bench.transcript, may_go_on=bench.may_go_on, before=before, max_turns=self.settings.max_turns
        )
        try:
            with converse(self._launch(bench), log=bench.log, bounds=bench.bounds) as conversation:
                ended = take_turn(conversation, what, hearing=hearing, gate=bench.gate)
                receipt = conversation.end(PATIENCE_S if ended.cause is Cause.DONE else IMPATIENCE_S)
        finally:
            hearing.flush()
            bench.transcript.note(hearing.coverage())
        outcome = _outcome(ended, receipt, hearing)
        bench.transcript.ended(outcome.cause, outcome.reason)
        return outcome

    def _launch(self, bench: Bench) -> Launch:
        argv = self._argv()
        home = bench.session / "home"
        home.mkdir(parents=True, exist_ok=True)
        confinement = replace(bench.confinement, read=(*bench.confinement.read, *folders_of(argv)))
        return Launch(command=argv, cwd=bench.tree, env=self._variables(bench, home), confinement=confinement)

    def _variables(self, bench: Bench, home: Path) -> dict[str, str]:
        """A client keeps its sessions below its home: it is that of the ticket, not of the attempt."""
        agent = known(self.settings.command)
        variables = {**bench.variables, "HOME": str(home)}
        if self.settings.base_url:
            variables |= everywhere(self.settings.base_url)
        if self.trial_url:
            variables |= keyless(self.trial_url)
        if agent and self.trial_url:
            variables |= agent.aimed(self.trial_url)
        return {**variables, **agent.steady(variables)} if agent else variables

    def _argv(self) -> tuple[str, ...]:
        program, *rest = self.settings.command
        inside = self.root / program
        return (str(inside), *rest) if "/" in program and inside.exists() else self.settings.command


def _ended_early(bench: Bench, reason: str) -> Outcome:
    bench.transcript.ended(Cause.MISSING, reason)
    return Outcome(ending="not-started", reason=reason, report=None, transcript=str(bench.log), cause=Cause.MISSING)


def _outcome(ended: Ended, receipt: Receipt, hearing: Hearing) -> Outcome:
    ending, cause, reason = _verdict(ended, receipt)
    counted = Usage(
        input=hearing.before.input + hearing.used.input,
        cached=hearing.before.cached + hearing.used.cached,
        output=hearing.before.output + hearing.used.output,
        usd=hearing.cost,
        model=hearing.used.model,
    )
    return Outcome(
        ending=ending,
        cause=cause,
        reason=reason,
        report=hearing.report or None,
        transcript=receipt.log,
        seconds=receipt.seconds,
        used=hearing.used,
        counted=counted,
        session=ended.session,
        client=ended.client,
        calls=hearing.made,
        sandbox=receipt.confinement,
        survivors=receipt.survivors,
    )


def _verdict(ended: Ended, receipt: Receipt) -> tuple[Ending, Cause, str]:
    """What was measured goes before what was said: a bound of ours is why an agent is gone."""
    if receipt.ending in _RECEIPTS and (ended.gone or receipt.ending in {"disk", "limits"}):
        return (*_RECEIPTS[receipt.ending], receipt.reason)
    if ended.gone:
        return "failed", ended.cause, f"{ended.reason} (exit code {receipt.exit}; what it printed is in {receipt.log})"
    return _ENDINGS.get(ended.cause, "failed"), ended.cause, ended.reason
