"""`openai`: our own loop around any endpoint that speaks OpenAI's Chat Completions: Ollama, vLLM, llama.cpp, or a hosted one.

The loop runs in the harness, which holds the key; the hands (`agents/hands.py`) work inside the sandbox, and know nothing of the model.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agents.causes import Cause
from agents.chat import words
from agents.chat.endpoint import SUCCESS, Endpoint, Service, Watch, client, models
from agents.chat.loop import End, Loop, Task, same_model
from agents.chat.orders import Hands, launch, report_file
from agents.chat.sessions import new_name, saved, stored
from agents.chat.tools import READING, SECTIONS, WORKING, Report, Words, report_of
from agents.chat.trouble import TroubleError
from agents.drivers.command import outcome_of, read_report
from agents.protocol import Assignment, Bench, Capabilities, Ending, Outcome, PlanningTask, Probe, Question
from tickets.errors import InputError, SignalboxError
from worktrees.conversation import converse

if TYPE_CHECKING:
    from tickets.agents import Agent
    from worktrees.process import Receipt

USUAL_KEY = "OPENAI_API_KEY"
_REFUSALS = frozenset({401, 403})
_ENDINGS: dict[Cause, Ending] = {Cause.DONE: "done", Cause.TIMEOUT: "timeout"}
_NEVER = frozenset({Cause.SIGN_IN, Cause.REFUSED, Cause.MODEL, Cause.MISSING})
"""Causes that another try does not change."""


@dataclass(frozen=True, kw_only=True)
class _Orders:
    """What is asked of one run of the loop."""

    report: Report
    messages: list[dict[str, Any]]
    reads_only: bool = False


@dataclass(frozen=True, kw_only=True)
class OpenAIDriver:
    name: str
    settings: Agent
    key: str | None = None
    """None: from the environment of the harness."""
    pause_s: float = 1.0
    """Before a request that failed is made again."""
    kind: str = "openai"
    runs_foreign_code: bool = True
    repeats_itself: bool = False

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(  # noqa: S604 - a word of the table, not a shell
            gate="every-call",
            gate_failure="closed",
            shell="gated",
            usage="tokens",
            usage_scope="run",
            budget="live",
            resumes=True,
            report="tool",
        )

    def probe(self) -> Probe:
        service = self._service()
        try:
            status, names = models(service)
        except TroubleError as trouble:
            return Probe(
                ready=False,
                detail=f"{trouble.reason}: start the model's server, or look at agents.{self.name}.base_url",
            )
        signed_in = status == SUCCESS if service.key else None
        if status in _REFUSALS:
            where = f"put a key into the environment variable {self.settings.key or USUAL_KEY}"
            return Probe(
                ready=False, detail=f"{service.place} wants a key that is good there: {where}", signed_in=False
            )
        if names and not any(same_model(service.model, name) for name in names):
            shown = ", ".join(names[:5])
            detail = (
                f"{service.place} has no model {service.model} (there are {shown}): look at agents.{self.name}.model"
            )
            return Probe(ready=False, detail=detail, signed_in=signed_in)
        return Probe(
            ready=True, detail=f"{service.model} at {service.place}", version=service.model, signed_in=signed_in
        )

    def aimed_at(self, url: str) -> OpenAIDriver:
        settings = self.settings.model_copy(update={"base_url": f"{url}/v1"})
        return replace(self, settings=settings, key="dummy")

    def trial(self, path: str) -> tuple[dict[str, Any], ...]:
        report = {name: "none" for name, _, _ in SECTIONS}
        write = {"name": "write_file", "input": {"path": path, "content": "written\n"}}
        return {"tools": [write]}, {"tools": [{"name": "report", "input": report}]}

    def plan(self, task: PlanningTask) -> str:
        return self._words(task.bench, task.brief, trouble=f"the lead {self.name} gave no plan")

    def answer(self, question: Question) -> str:
        return self._words(question.bench, question.brief, trouble=f"the agent {self.name} gave no answer")

    def work(self, assignment: Assignment) -> Outcome:
        bench = assignment.bench
        (bench.desk / "brief.md").write_bytes(assignment.brief.encode(errors="backslashreplace"))
        name, messages = self._beginning(assignment)
        orders = _Orders(report=report_of(assignment.ticket), messages=messages)
        outcome = self._outcome(bench, orders)
        saved(bench.session, name, messages)
        return replace(outcome, session=name)

    def _beginning(self, assignment: Assignment) -> tuple[str, list[dict[str, Any]]]:
        """Take the conversation up again with what was wrong, or begin one with the whole brief."""
        bench = assignment.bench
        earlier = stored(bench.session, assignment.session) if assignment.session else None
        if earlier is not None:
            said = assignment.feedback or ("" if earlier[-1]["role"] == "user" else words.GO_ON)
            bench.transcript.told(said or words.GO_ON)
            return assignment.session, [*earlier, _user(said)] if said else earlier
        if assignment.session:
            bench.transcript.note("the conversation of the attempt before is not there any more: a new one begins")
        bench.transcript.told(assignment.brief)
        return new_name(), _opened(words.WORK, assignment.brief)

    def _words(self, bench: Bench, brief: str, *, trouble: str) -> str:
        bench.transcript.told(brief)
        orders = _Orders(report=Words(), messages=_opened(words.ANSWER, brief), reads_only=True)
        outcome = self._outcome(bench, orders)
        if outcome.cause in _NEVER:
            raise InputError(f"agents.{self.name}: {outcome.reason}")
        if outcome.cause is not Cause.DONE or not outcome.report:
            raise SignalboxError(f"{trouble}: {outcome.reason}; what it said is in {bench.transcript.file}")
        return outcome.report

    # one run

    def _outcome(self, bench: Bench, orders: _Orders) -> Outcome:
        begun = time.monotonic()
        service = self._service()
        try:
            outcome = self._run(bench, orders, service)
        except TroubleError as trouble:  # a key that cannot be sent
            outcome = Outcome(
                ending="failed", cause=trouble.cause, reason=trouble.reason, report=None, transcript=str(bench.log)
            )
        bench.transcript.ended(outcome.cause, outcome.reason)
        what = f"chat completions of {service.model} at {service.place}"
        return replace(outcome, seconds=time.monotonic() - begun, client=what)

    def _run(self, bench: Bench, orders: _Orders, service: Service) -> Outcome:
        watch = Watch(deadline=time.monotonic() + bench.bounds.timeout_s)
        with (
            watch.kept(),
            client(service, timeout_s=service.silence_s) as http,
            converse(launch(bench, key=service.key), log=bench.log, bounds=bench.bounds) as talking,
        ):
            endpoint = Endpoint(service=service, http=http, transcript=bench.transcript, watch=watch)
            task = Task(
                bench=bench,
                endpoint=endpoint,
                hands=Hands(talking=talking),
                tools=READING if orders.reads_only else WORKING,
                report=orders.report,
                max_turns=self.settings.max_turns,
                talks=orders.reads_only,
            )
            loop = Loop(task=task, messages=orders.messages)
            end = loop.run()
            receipt = talking.end()
        outcome = _settled(end, receipt, report=end.report or read_report(report_file(bench)))
        return replace(outcome, used=loop.used, counted=loop.used, calls=tuple(loop.calls))

    def _service(self) -> Service:
        named = os.environ.get(self.settings.key or USUAL_KEY, "")
        return Service(
            base_url=self.settings.base_url,
            model=self.settings.model,
            key=(named if self.key is None else self.key).strip(),
            silence_s=self.settings.silence_s,
            pause_s=self.pause_s,
        )


def _opened(system: str, brief: str) -> list[dict[str, Any]]:
    return [{"role": "system", "content": system}, _user(brief)]


def _user(text: str) -> dict[str, Any]:
    return {
        "role": "user",
        "content": text.encode(errors="backslashreplace").decode(),
    }  # it names files, and not all are UTF-8


def _settled(end: End, receipt: Receipt, *, report: str | None) -> Outcome:
    """Put together how the conversation ended and how the process in the tree did: trouble with the machine goes first."""
    outcome = outcome_of(receipt, report=report)
    if receipt.ending != "exited" and (end.hands_gone or end.cause is Cause.DONE):
        return outcome
    ending = _ENDINGS.get(end.cause, "failed")
    return replace(outcome, ending=ending, cause=end.cause, reason=end.reason, again_at=end.again_at)
