"""One run of Codex in either form: it is started, proven to ask, talked with, ended, and judged."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.causes import Cause
from agents.clients.codex.errors import LONGEST, AnswerError, by_words
from agents.clients.codex.exec import Exec, reconcile, record_of
from agents.clients.codex.server import Server, prove_closed, prove_hook
from agents.clients.codex.turn import Heard, Turn
from agents.endings import DONE, End, EndedError, measured, outcome
from agents.feedback import GO_ON
from agents.prices import same_model
from agents.reports import lacking
from agents.usage import NOTHING
from agents.values import table, text
from worktrees.conversation import converse

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.clients.codex.config import Client
    from agents.clients.codex.server import Message
    from agents.protocol import Bench, Outcome
    from agents.usage import Usage
    from tickets.agents import Agent
    from worktrees.conversation import Conversation
    from worktrees.process import Receipt

ELSE = 'take another version of it, or form = "plain"'
_POLICY: dict[str, Any] = {
    "approvalPolicy": "untrusted",
    "approvalsReviewer": "user",
    "sandbox": "danger-full-access",
}
_PROOF = ("untrusted", "user", "dangerFullAccess")
"""What the client says of a thread that asks about everything, and asks us."""
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

    def carried_out(self) -> Outcome:
        stamp = self.client.stamp()
        receipt, trouble = self._plain() if self.order.plain else self._held(("app-server",), self._serve)
        changed = self.client.stamp() != stamp
        counted = self.heard.counted if self.heard.counted.tokens else self._before
        end = self._judged(receipt, trouble, changed=changed)
        made = outcome(end, receipt, report=self.heard.report or None, used=counted.since(self._before))
        return replace(
            made,
            counted=counted,
            session=self.heard.session,
            client=f"codex {self.version}".strip(),
            calls=tuple(self.heard.calls.values()),
        )

    @property
    def _before(self) -> Usage:
        return self.order.before if self.resumed else NOTHING

    def _held(self, words: tuple[str, ...], body: Callable[[Conversation], None]) -> tuple[Receipt, EndedError | None]:
        """Start the client, talk with it, and see it end."""
        trouble, bench = None, self.order.bench
        with converse(self.client.launch(*words), log=bench.log, bounds=bench.bounds) as talk:
            try:
                body(talk)
            except EndedError as error:
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
        """Begin a thread, or take one up again; raise EndedError unless it will ask about everything."""
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
        kind, thread = table(begun.get("sandbox")).get("type"), table(begun.get("thread"))
        if (begun.get("approvalPolicy"), begun.get("approvalsReviewer"), kind) != _PROOF:
            raise EndedError(
                Cause.MISSING, f"Codex {self.version} does not begin as one that asks before each call: {ELSE}"
            )
        if not isinstance(thread.get("id"), str):
            raise EndedError(Cause.PROTOCOL, "Codex began a thread without a name")
        if not same_model(self.settings.model, text(begun.get("model"))):
            raise EndedError(
                Cause.MODEL, f"Codex takes {begun.get('model')!r}, not {self.settings.model!r} as configured"
            )
        return begun

    def _plain(self) -> tuple[Receipt, EndedError | None]:
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

    def _reconciled(self, since: int) -> EndedError | None:
        try:
            reconcile(self.heard, record_of(self.client.home, self.heard.session), since=since)
        except EndedError as error:
            return error
        return None

    def _judged(self, receipt: Receipt, trouble: EndedError | None, *, changed: bool) -> End:
        """Say how it ended: done only where everything agrees on that."""
        if end := measured(receipt):
            return end
        if trouble is None and receipt.exit:
            trouble = EndedError(Cause.CRASH, "Codex did not end well")
        if changed and (trouble is None or trouble.cause in {Cause.CRASH, Cause.PROTOCOL}):
            return End(cause=Cause.CHANGED, reason=f"{self.client.program} was replaced while it ran")
        if trouble:
            return _explained(trouble, receipt)
        if reason := lacking(self.heard.report, acted=bool(self.heard.calls)):
            return End(cause=Cause.EMPTY, reason=reason)
        return DONE


def _explained(trouble: EndedError, receipt: Receipt) -> End:
    """Say of a crash what the client printed last: it may name the cause."""
    if trouble.cause is not Cause.CRASH:
        return trouble.end
    with Path(receipt.log).open("rb") as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - 8 * LONGEST))
        lines = stream.read().decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")
    reason = f"{trouble.reason} (exit code {receipt.exit}): {last[:LONGEST]}"
    return End(cause=by_words(last) or Cause.CRASH, reason=reason)
