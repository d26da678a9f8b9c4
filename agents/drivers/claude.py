"""`claude`: Claude Code without a terminal, over its control protocol. Every tool call is put to the gate in this process first."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agents import reports
from agents.causes import Cause
from agents.clients.claude import ending, program, report, usage
from agents.clients.claude.dialogue import MODE, Dialogue
from agents.clients.claude.stream import Stream
from agents.drivers.base import ModelDriver
from agents.endings import End, outcome, unstarted
from agents.feedback import GO_ON
from agents.protocol import Assignment, Bench, Capabilities, Outcome, Probe
from agents.usage import NOTHING, Usage
from agents.values import table
from worktrees.conversation import converse
from worktrees.process import Launch

if TYPE_CHECKING:
    from pathlib import Path

    from agents.clients.claude.program import Program
    from worktrees.process import Receipt

HANDS = ("Bash", "Edit", "Glob", "Grep", "NotebookEdit", "Read", "TodoWrite", "Write")
"""Tools of an executor: no subagents, no web, nothing that outlives the run."""
EYES = ("Glob", "Grep", "Read")
RETRIES = 4
KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
DUMMY = "dummy"
PATIENCE_S = 3.0
"""After the end of the conversation, before each of SIGINT, SIGTERM and SIGKILL."""
_SESSION = re.compile(r"[0-9a-fA-F-]{36}")


@dataclass(frozen=True, kw_only=True)
class _Errand:
    """What one start of the client is for."""

    bench: Bench
    prompt: str
    tools: tuple[str, ...]
    report: tuple[str, ...] | None = None
    """Fields of a report beside the usual sections; None: no report, its last words are wanted."""
    session: str = ""
    before: Usage = NOTHING


@dataclass(frozen=True, kw_only=True)
class _Run:
    end: End
    stream: Stream
    receipt: Receipt | None
    client: str
    errand: _Errand

    @property
    def report(self) -> str | None:
        handed_in = table((self.stream.result or {}).get("structured_output"))
        filled = None if self.errand.report is None else reports.markdown(handed_in, self.errand.report)
        return filled or reports.tidy(ending.said_last(self.stream))

    def outcome(self) -> Outcome:
        result, model = self.stream.result, self.stream.model
        used = self.stream.live if result is None else usage.of_run(result, before=self.errand.before)
        counted = self.errand.before + used if result is None else usage.of_session(result)
        if self.receipt is None:
            return unstarted(self.end, self.errand.bench)
        return replace(
            outcome(self.end, self.receipt, report=self.report, used=replace(used, model=model)),
            counted=replace(counted, model=model),
            session=self.stream.session if _SESSION.fullmatch(self.stream.session) else "",
            client=self.client,
            calls=tuple(self.stream.made.values()),
        )


@dataclass(frozen=True, kw_only=True)
class ClaudeDriver(ModelDriver):
    root: Path
    """The repository: a program with a `/` in its name is looked up from here."""
    key: str = ""
    """Given to the client instead of the person's own."""
    kind: str = "claude"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(  # noqa: S604 - `shell` is a column of a table here
            gate="every-call",
            gate_failure="closed",
            shell="gated",
            usage="tokens+usd",
            usage_scope="session",
            budget="live",
            resumes=True,
            report="schema",
            guide="",  # it reads CLAUDE.md with the repository's settings only, and those could switch the gate off
        )

    def probe(self) -> Probe:
        try:
            found = self._program()
        except program.UnfitError as error:
            return Probe(ready=False, detail=str(error))
        return Probe(
            ready=True,
            detail=f"{' '.join(found.command)} {found.version}",
            version=found.version,
            signed_in=self._signed_in(),
        )

    def aimed_at(self, url: str) -> ClaudeDriver:
        return replace(self, settings=self.settings.model_copy(update={"base_url": url}), key=DUMMY)

    def trial(self, path: str) -> tuple[dict[str, Any], ...]:
        write = {"name": "Write", "input": {"file_path": path, "content": "written by a trial\n"}}
        return {"text": "I write the file.", "tools": [write]}, {"text": "That was the trial."}

    def work(self, assignment: Assignment) -> Outcome:
        fields = assignment.ticket.report_fields
        whole = _Errand(bench=assignment.bench, prompt=assignment.brief + report.HAND_IN, tools=HANDS, report=fields)
        if _SESSION.fullmatch(assignment.session):
            prompt = (assignment.feedback or GO_ON) + report.HAND_IN
            again = replace(whole, prompt=prompt, session=assignment.session, before=assignment.before)
            run = self._carry_out(again)
            if not ending.unknown_session(run.stream):
                return run.outcome()
            assignment.bench.transcript.note("the client no longer knows the session; a new one begins with the brief")
        return self._carry_out(whole).outcome()

    def _words(self, bench: Bench, brief: str) -> Outcome:
        return self._carry_out(_Errand(bench=bench, prompt=brief, tools=EYES)).outcome()

    def _carry_out(self, errand: _Errand) -> _Run:
        stream = Stream(transcript=errand.bench.transcript)
        try:
            found = self._program()
        except program.UnfitError as error:
            end = End(cause=Cause.MISSING, reason=str(error))
            run = _Run(end=end, stream=stream, receipt=None, client="", errand=errand)
        else:
            run = self._talk(found, stream, errand)
        errand.bench.transcript.usage(run.outcome().used)
        errand.bench.transcript.ended(run.end.cause, run.end.reason)
        return run

    def _talk(self, found: Program, stream: Stream, errand: _Errand) -> _Run:
        bench = errand.bench
        bench.log.parent.mkdir(parents=True, exist_ok=True)
        with converse(self._launch(found, errand), log=bench.log, bounds=bench.bounds) as talk:
            dialogue = Dialogue(
                talk=talk,
                bench=bench,
                stream=stream,
                task=errand.prompt,
                asked_model=self.settings.model,
                silence_s=self.settings.silence_s,
                before=errand.before,
            )
            halted = dialogue.hold()
            receipt = talk.end(PATIENCE_S)
        end = ending.of(stream, receipt, halted=halted)
        if found.replaced():
            end = End(cause=Cause.CHANGED, reason=f"{found.command[0]} was replaced while it ran")
        client = f"claude {dialogue.version or found.version}"
        return _Run(end=end, stream=stream, receipt=receipt, client=client, errand=errand)

    def _launch(self, found: Program, errand: _Errand) -> Launch:
        bench = errand.bench
        return Launch(
            command=(*found.command, *self._flags(errand)),
            cwd=bench.tree,
            env=self._environment(bench),
            confinement=replace(bench.confinement, read=(*bench.confinement.read, found.folder)),
        )

    def _flags(self, errand: _Errand) -> list[str]:
        """Give the whole command line: a session that is taken up again remembers none of it."""
        flags = ["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
        flags += ["--permission-prompt-tool", "stdio", "--permission-mode", MODE]
        # a repository's own settings could switch the gate off
        flags += ["--setting-sources", "", "--strict-mcp-config", "--disable-slash-commands"]
        flags += ["--tools", ",".join(errand.tools), "--max-turns", str(self.settings.max_turns)]
        optional = (
            ("--model", self.settings.model),
            ("--max-budget-usd", self.settings.max_usd),
            ("--resume", errand.session),
        )
        for flag, value in optional:
            flags += [flag, str(value)] if value else []
        if errand.report is not None:
            import json

            flags += ["--json-schema", json.dumps(report.form(errand.report))]
        return flags

    def _environment(self, bench: Bench) -> dict[str, str]:
        home = bench.session / "claude"
        home.mkdir(parents=True, exist_ok=True)
        longest = int(self.settings.silence_s * 900)  # milliseconds; a command says nothing while it runs
        variables = {
            **bench.variables,
            "CLAUDE_CONFIG_DIR": str(home),
            "CLAUDE_CODE_TMPDIR": bench.variables.get("TMPDIR", str(bench.home)),
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
            "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
            "CLAUDE_CODE_MAX_RETRIES": str(RETRIES),
            "DISABLE_AUTOUPDATER": "1",
            "BASH_MAX_TIMEOUT_MS": str(longest),
            "BASH_DEFAULT_TIMEOUT_MS": str(min(120_000, longest)),
        }
        return variables | self._access(bench)

    def _access(self, bench: Bench) -> dict[str, str]:
        """Give the model's address and key."""
        variables = {"ANTHROPIC_BASE_URL": self.settings.base_url} if self.settings.base_url else {}
        if self.key:
            return variables | dict.fromkeys(KEYS, "") | {KEYS[0]: self.key}
        if value := bench.variables.get(self.settings.key_name, ""):
            return variables | {KEYS[0]: value}
        known = any(bench.variables.get(name) for name in KEYS)
        # the client insists on some key, a model of your own may need none
        return variables if known or not variables else variables | {KEYS[0]: DUMMY}

    def _program(self) -> Program:
        return program.program(self.settings.command, self.root)

    def _signed_in(self) -> bool | None:
        """Say whether there is a key to be handed on; None where the client may get in by other ways."""
        import os

        names = {self.settings.key_name, *self.settings.env}
        if self.key or any(os.environ.get(name) for name in names & {*KEYS, self.settings.key_name}):
            return True
        return None if self.settings.base_url or any(name.startswith("CLAUDE_CODE_USE_") for name in names) else False
