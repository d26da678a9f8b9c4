"""`codex`: OpenAI's Codex. Strict: the application server, which asks before each command and edit; plain: `exec` with a hook.

The client's own sandbox cannot start within ours, and its approval policy `on-request` asks about nothing without it. So the strict form takes
`untrusted`, which asks about everything, and checks that the thread began that way.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agents.causes import Cause
from agents.clients.codex.attempt import Attempt, Order
from agents.clients.codex.config import find, furnish, too_old
from agents.clients.codex.errors import LONGEST
from agents.drivers.base import ModelDriver
from agents.endings import EndedError, unstarted
from agents.programs import dotted, number, version_said
from agents.protocol import Assignment, Bench, Capabilities, Outcome, Probe

if TYPE_CHECKING:
    from pathlib import Path

KNOWN_MODEL = "gpt-5.5"
"""For trials: with a model that it does not know, the client has no tool to edit files."""
MISSING = "there is no `codex` on the PATH: install it (npm install -g @openai/codex), or name it in `command`"


@dataclass(frozen=True, kw_only=True)
class CodexDriver(ModelDriver):
    root: Path
    """The repository: a program with a `/` in its name is looked up from here."""
    account: bool = True
    """Whether the key is handed on."""
    kind: str = "codex"

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
        said, _ = version_said((str(program), *self.settings.command[1:]))
        version = number(said)
        if version is None:
            return Probe(ready=False, detail=f"{program} --version names no version: {said[:LONGEST]!r}")
        trouble, shown = too_old(version), dotted(version)
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

    def _words(self, bench: Bench, brief: str) -> Outcome:
        return self._run(Order(bench=bench, brief=brief))

    def _run(self, order: Order) -> Outcome:
        begun = time.monotonic()
        program = find(self.settings, self.root)
        try:
            if program is None:
                raise EndedError(Cause.MISSING, MISSING)  # noqa: TRY301 - one place for all that keeps it from starting
            client = furnish(order.bench, self.settings, program, plain=order.plain, account=self.account)
            outcome = Attempt(client=client, settings=self.settings, order=order).carried_out()
        except EndedError as error:
            outcome = unstarted(error.end, order.bench)
        order.bench.transcript.ended(outcome.cause, outcome.reason)
        return replace(outcome, seconds=time.monotonic() - begun)
