"""One run of Codex in either form: it is started, proven to ask, talked with, ended, and judged."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.causes import Cause
from agents.clients.codex.errors import LONGEST, AnswerError, CodexError, by_words
from agents.clients.codex.exec import Exec, reconcile, record_of
from agents.clients.codex.server import Server, prove_closed, prove_hook
from agents.clients.codex.turn import Heard, Turn
from agents.protocol import Ending, Outcome
from agents.usage import NOTHING
from worktrees.conversation import converse

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.clients.codex.config import Client
    from agents.clients.codex.server import Message
    from agents.protocol import Bench
    from agents.usage import Usage
    from tickets.agents import Agent
    from worktrees.conversation import Conversation
    from worktrees.process import Receipt

GO_ON = "Go on where you stopped: carry out what is left of the ticket, then report."
ELSE = 'take another version of it, or form = "plain"'
_POLICY: dict[str, Any] = {
    "approvalPolicy": "untrusted",
    "approvalsReviewer": "user",
    "sandbox": "danger-full-access",
}
_PROOF = ("untrusted", "user", "dangerFullAccess")
"""What the client says of a thread that asks about everything, and asks us."""
_ENDINGS: dict[str, tuple[Ending, Cause]] = {
    "timeout": ("timeout", Cause.TIMEOUT),
    "disk": ("disk", Cause.MACHINE),
    "limits": ("limits", Cause.MACHINE),
    "interrupted": ("interrupted", Cause.INTERRUPTED),
    "not-started": ("not-started", Cause.MISSING),
}
PATIENCE_S, HURRIED_S = 5.0, 1.0


@dataclass(frozen=True, kw_only=True)
class Order:
    """What one run is to do."""

    bench: Bench
    brief: str
    plain: bool = False
    feedback: str = ""
    session: str = ""
    before: Usage = NOTHING


@dataclass(kw_only=True)
class Attempt:
    """One run of the client, from its start to its outcome."""

    client: Client
    settings: Agent
    order: Order
    heard: Heard = field(default_factory=Heard)
    version: str = ""
    resumed: bool = False

    def outcome(self) -> Outcome:
        stamp = self.client.stamp()
        receipt, trouble = self._plain() if self.order.plain else self._held(("app-server",), self._serve)
        changed = self.client.stamp() != stamp
        ending, error = self._judged(receipt, trouble, changed=changed)
        counted = self.heard.counted if self.heard.counted.tokens else self._before
        return Outcome(
            ending=ending,
            cause=error.cause,
            reason=error.reason,
            again_at=error.again_at,
            report=self.heard.report or None,
            transcript=receipt.log,
            used=counted.since(self._before),
            counted=counted,
            session=self.heard.session,
            client=f"codex {self.version}".strip(),
            calls=tuple(self.heard.calls.values()),
            sandbox=receipt.confinement,
            survivors=receipt.survivors,
        )

    @property
    def _before(self) -> Usage:
        return self.order.before if self.resumed else NOTHING

    def _held(self, words: tuple[str, ...], body: Callable[[Conversation], None]) -> tuple[Receipt, CodexError | None]:
        """Start the client, talk with it, and see it end."""
        trouble, bench = None, self.order.bench
        with converse(self.client.launch(*words), log=bench.log, bounds=bench.bounds) as talk:
            try:
                body(talk)
            except CodexError as error:
                trouble = error
            receipt = talk.end(HURRIED_S if trouble else PATIENCE_S)
        return receipt, trouble

    def _serve(self, talk: Conversation) -> None:
        server = Server(talk=talk, patience_s=self.settings.silence_s)
        server.begin()
        self.version = server.version
        prove_closed(server)
        begun = self._thread(server)
        self.heard.session = begun["thread"]["id"]
        Turn(
            server=server,
            bench=self.order.bench,
            gate=self.order.bench.gate,
            heard=self.heard,
            before=self._before,
            max_answers=self.settings.max_turns,
            model=str(begun.get("model") or ""),
        ).run(self._words())

    def _words(self) -> str:
        return (self.order.feedback or GO_ON) if self.resumed else self.order.brief

    def _thread(self, server: Server) -> Message:
        """Begin a thread, or take one up again; raise CodexError unless it will ask about everything."""
        known, how = self.order.session, {"cwd": str(self.order.bench.tree), **_POLICY}
        if record_of(self.client.home, known):
            try:
                begun = server.call("thread/resume", {"threadId": known, "excludeTurns": True, **how})
                self.resumed = True
                return self._proven(begun)
            except AnswerError as error:
                self.order.bench.transcript.note(f"a new session is begun, as the old one is of no use: {error.reason}")
        return self._proven(server.call("thread/start", how))

    def _proven(self, begun: Message) -> Message:
        sandbox, thread = begun.get("sandbox"), begun.get("thread")
        kind = sandbox.get("type") if isinstance(sandbox, dict) else None
        if (begun.get("approvalPolicy"), begun.get("approvalsReviewer"), kind) != _PROOF:
            raise CodexError(
                Cause.MISSING, f"Codex {self.version} does not begin as one that asks before each call: {ELSE}"
            )
        if not isinstance(thread, dict) or not isinstance(thread.get("id"), str):
            raise CodexError(Cause.PROTOCOL, "Codex began a thread without a name")
        if self.settings.model not in {"", begun.get("model")}:
            raise CodexError(
                Cause.MODEL, f"Codex takes {begun.get('model')!r}, not {self.settings.model!r} as configured"
            )
        return begun

    def _plain(self) -> tuple[Receipt, CodexError | None]:
        receipt, trouble = self._held(("app-server",), self._prove)
        if trouble or receipt.ending != "exited" or receipt.exit:
            return receipt, trouble
        known = self.order.session
        record = record_of(self.client.home, known)
        self.resumed, since = record is not None, record.stat().st_size if record else 0
        session = ("resume", known) if record else ()
        receipt, trouble = self._held(("exec", "--json", "--skip-git-repo-check", *session, "-"), self._listen)
        return receipt, self._reconciled(since) or trouble

    def _prove(self, talk: Conversation) -> None:
        server = Server(talk=talk, patience_s=self.settings.silence_s)
        server.begin()
        self.version = server.version
        prove_closed(server)
        prove_hook(server, tree=self.order.bench.tree, hook=self.order.bench.hook)

    def _listen(self, talk: Conversation) -> None:
        self.heard.session = self.order.session if self.resumed else ""
        listening = Exec(
            talk=talk,
            bench=self.order.bench,
            heard=self.heard,
            patience_s=self.settings.silence_s,
            model=self.settings.model,
        )
        listening.run(self._words())
        if why := self.order.bench.may_go_on(self.heard.counted.since(self._before)):
            self.order.bench.transcript.note(f"it had ended before it could be stopped: {why}")

    def _reconciled(self, since: int) -> CodexError | None:
        try:
            reconcile(self.heard, record_of(self.client.home, self.heard.session), since=since)
        except CodexError as error:
            return error
        return None

    def _judged(self, receipt: Receipt, trouble: CodexError | None, *, changed: bool) -> tuple[Ending, CodexError]:
        """Say how it ended: done only where everything agrees on that."""
        if receipt.ending in _ENDINGS:
            ending, cause = _ENDINGS[receipt.ending]
            return ending, CodexError(cause, receipt.reason)
        if trouble is None and receipt.exit:
            trouble = CodexError(Cause.CRASH, "Codex did not end well")
        if changed and (trouble is None or trouble.cause in {Cause.CRASH, Cause.PROTOCOL}):
            return "failed", CodexError(Cause.CHANGED, f"{self.client.program} was replaced while it ran")
        if trouble:
            return "failed", _explained(trouble, receipt)
        if reason := _nothing(self.heard):
            return "failed", CodexError(Cause.EMPTY, reason)
        return "done", CodexError(Cause.DONE, "")


def _explained(trouble: CodexError, receipt: Receipt) -> CodexError:
    """Say of a crash what the client printed last: it may name the cause."""
    if trouble.cause is not Cause.CRASH:
        return trouble
    with Path(receipt.log).open("rb") as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - 8 * LONGEST))
        lines = stream.read().decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")
    reason = f"{trouble.reason} (exit code {receipt.exit}): {last[:LONGEST]}"
    return CodexError(by_words(last) or Cause.CRASH, reason)


def _nothing(heard: Heard) -> str:
    """Say why what it said last is no report; "" where it may be one."""
    if not heard.report:
        return "the model ended without a word"
    if not heard.calls and "##" not in heard.report and heard.report.endswith("?"):
        return "the model did nothing but ask a question; nobody is there to answer it"
    return ""
