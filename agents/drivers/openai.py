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
from agents.chat.loop import Loop, LoopEnd, Task
from agents.chat.orders import Hands, launch, report_file
from agents.chat.sessions import new_name, saved, stored
from agents.chat.tools import READING, WORKING, Report, Words
from agents.chat.trouble import TroubleError
from agents.drivers.base import ModelDriver
from agents.endings import End, exited, outcome, unstarted
from agents.feedback import GO_ON
from agents.prices import same_model
from agents.protocol import Assignment, Bench, Capabilities, Outcome, Probe
from agents.reports import keys, read
from worktrees.conversation import converse

if TYPE_CHECKING:
    from worktrees.process import Receipt

USUAL_KEY = "OPENAI_API_KEY"
_REFUSALS = frozenset({401, 403})


@dataclass(frozen=True, kw_only=True)
class _Orders:
    """What is asked of one run of the loop."""

    report: Report
    messages: list[dict[str, Any]]
    reads_only: bool = False


@dataclass(frozen=True, kw_only=True)
class OpenAIDriver(ModelDriver):
    key: str | None = None
    """None: from the environment of the harness."""
    pause_s: float = 1.0
    """Before a request that failed is made again."""
    kind: str = "openai"

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
        report = dict.fromkeys(keys(()), "none")
        write = {"name": "write_file", "input": {"path": path, "content": "written\n"}}
        return {"tools": [write]}, {"tools": [{"name": "report", "input": report}]}

    def work(self, assignment: Assignment) -> Outcome:
        bench = assignment.bench
        (bench.desk / "brief.md").write_bytes(assignment.brief.encode(errors="backslashreplace"))
        name, messages = self._beginning(assignment)
        worked = self._outcome(bench, _Orders(report=Report(fields=assignment.ticket.report_fields), messages=messages))
        saved(bench.session, name, messages)
        return replace(worked, session=name)

    def _beginning(self, assignment: Assignment) -> tuple[str, list[dict[str, Any]]]:
        """Take the conversation up again with what was wrong, or begin one with the whole brief."""
        bench = assignment.bench
        earlier = stored(bench.session, assignment.session) if assignment.session else None
        if earlier is not None:
            said = assignment.feedback or ("" if earlier[-1]["role"] == "user" else GO_ON)
            bench.transcript.told(said or GO_ON)
            return assignment.session, [*earlier, _user(said)] if said else earlier
        if assignment.session:
            bench.transcript.note("the conversation of the attempt before is not there any more: a new one begins")
        bench.transcript.told(assignment.brief)
        return new_name(), _opened(words.WORK, assignment.brief)

    def _words(self, bench: Bench, brief: str) -> Outcome:
        bench.transcript.told(brief)
        messages = _opened(words.ANSWER, brief)
        return self._outcome(bench, _Orders(report=Words(), messages=messages, reads_only=True))

    # one run

    def _outcome(self, bench: Bench, orders: _Orders) -> Outcome:
        begun = time.monotonic()
        service = self._service()
        try:
            ended = self._run(bench, orders, service)
        except TroubleError as trouble:  # a key that cannot be sent
            ended = unstarted(trouble.end, bench)
        bench.transcript.ended(ended.cause, ended.reason)
        what = f"chat completions of {service.model} at {service.place}"
        return replace(ended, seconds=time.monotonic() - begun, client=what)

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
        report = end.report or read(report_file(bench))
        ended = outcome(_settled(end, receipt), receipt, report=report, used=loop.used)
        return replace(ended, counted=loop.used, calls=tuple(loop.calls))

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


def _settled(end: LoopEnd, receipt: Receipt) -> End:
    """Put together how the conversation ended and how the process in the tree did: trouble with the machine goes first."""
    theirs = receipt.ending != "exited" and (end.hands_gone or end.cause is Cause.DONE)
    return exited(receipt) if theirs else end
