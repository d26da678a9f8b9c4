"""`acp`: any agent that speaks the Agent Client Protocol, driven through its official Python library."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agents.causes import Cause
from agents.clients.acp.agents import everywhere, folders_of, keyless, known, version_of
from agents.clients.acp.client import Errand, take_turn
from agents.clients.acp.hearing import Hearing
from agents.clients.acp.questions import Where
from agents.drivers.base import ModelDriver
from agents.endings import End, measured, outcome, unstarted
from agents.programs import absent, found, located
from agents.protocol import Assignment, Bench, Capabilities, Outcome, Probe
from agents.usage import NOTHING, Usage
from worktrees.conversation import converse
from worktrees.process import Launch

if TYPE_CHECKING:
    from pathlib import Path

    from agents.clients.acp.client import Ended
    from worktrees.process import Receipt

LIBRARY = "acp"
PATIENCE_S, IMPATIENCE_S = 5.0, 1.0
"""What a client gets to end by itself, where it did its work and where it did not."""
_WITHOUT = "the Python library of the Agent Client Protocol is not installed: pip install 'signalbox[acp]'"


@dataclass(frozen=True, kw_only=True)
class AcpDriver(ModelDriver):
    root: Path
    """The repository: a program with a `/` in its name is looked up from here."""
    trial_url: str = ""
    """Where a scripted model is; empty: the agent's own."""
    kind: str = "acp"

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
        place = found(self.settings.command, self.root)
        if place is None:
            return Probe(ready=False, detail=absent(self.settings.command))
        version = version_of(self._argv())
        return Probe(ready=True, detail=f"{place} {version}".strip(), version=version)

    def aimed_at(self, url: str) -> AcpDriver | None:
        """Give None for an agent that nobody here knows: it may have its model anywhere."""
        return replace(self, trial_url=url) if known(self.settings.command) else None

    def trial(self, path: str) -> tuple[dict[str, Any], ...]:
        agent = known(self.settings.command)
        if agent is None:
            return ()
        tool, given = agent.write(path)
        return ({"text": "I write it.", "tools": [{"name": tool, "input": given}]}, {"text": "I could not write it."})

    def work(self, assignment: Assignment) -> Outcome:
        what = replace(
            self._errand(assignment.bench, assignment.brief),
            feedback=assignment.feedback,
            session=assignment.session,
        )
        return self._run(assignment.bench, what, before=assignment.before)

    def _words(self, bench: Bench, brief: str) -> Outcome:
        return self._run(bench, self._errand(bench, brief), before=NOTHING)

    def _errand(self, bench: Bench, brief: str) -> Errand:
        agent = known(self.settings.command)
        where = Where(cwd=str(bench.tree), argument=agent.folder if agent else "")
        return Errand(where=where, brief=brief, model=self.settings.model, silence_s=self.settings.silence_s)

    def _run(self, bench: Bench, what: Errand, *, before: Usage) -> Outcome:
        if importlib.util.find_spec(LIBRARY) is None:
            bench.transcript.ended(Cause.MISSING, _WITHOUT)
            return unstarted(End(cause=Cause.MISSING, reason=_WITHOUT), bench)
        # counts go on where a session does
        before = before if what.session else NOTHING
        hearing = Hearing(
            transcript=bench.transcript, may_go_on=bench.may_go_on, before=before, max_turns=self.settings.max_turns
        )
        try:
            with converse(self._launch(bench), log=bench.log, bounds=bench.bounds) as conversation:
                ended = take_turn(conversation, what, hearing=hearing, gate=bench.gate)
                receipt = conversation.end(PATIENCE_S if ended.end.cause is Cause.DONE else IMPATIENCE_S)
        finally:
            hearing.flush()
            bench.transcript.note(hearing.coverage())
        done = _outcome(ended, receipt, hearing)
        bench.transcript.ended(done.cause, done.reason)
        return done

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
        return located(self.settings.command, self.root)


def _outcome(ended: Ended, receipt: Receipt, hearing: Hearing) -> Outcome:
    counted = replace(hearing.before + hearing.used, usd=hearing.cost, model=hearing.used.model)
    return replace(
        outcome(_end(ended, receipt), receipt, report=hearing.report or None, used=hearing.used),
        counted=counted,
        session=ended.session,
        client=ended.client,
        calls=hearing.made,
    )


def _end(ended: Ended, receipt: Receipt) -> End:
    """What was measured goes before what was said: a bound of ours is why an agent is gone."""
    ours = measured(receipt)
    if ours and (ended.gone or ours.cause is Cause.MACHINE):
        return ours
    if ended.gone:
        where = f"(exit code {receipt.exit}; what it printed is in {receipt.log})"
        return replace(ended.end, reason=f"{ended.end.reason} {where}")
    return ended.end
