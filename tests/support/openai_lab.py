"""A bench for our own agent: a ticket, what a scripted model says, and services that answer as they like."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from agents.drivers.openai import OpenAIDriver
from agents.protocol import Assignment, Bench, Outcome
from agents.scripted_model.server import serving
from tickets.agents import Agent
from tickets.model import Ticket
from workbench import Desk, Purse, Stage, workbench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from worktrees.confinement import Level

KEY = "sk-sesame-open-0123456789"
TICKET = Ticket.model_validate(
    {
        "id": "T-0001",
        "title": "t",
        "objective": "o",
        "non_goals": ("n",),
        "scope": {"new": ("src/**",)},
        "acceptance": ({"run": ("true",)},),
        "report_fields": ("Confidence",),
    }
)
SAID = {
    "summary": "did it",
    "files_changed": "- src/a.py: made",
    "verification": "ran it",
    "risks_edge_cases": "none",
    "out_of_scope_issues_found": "none",
    "confidence": "high",
}
REPORT = {"tools": [{"name": "report", "input": SAID}]}


def call(name: str, **given: Any) -> dict[str, Any]:
    return {"tools": [{"name": name, "input": given}]}


def raw(name: str, text: str) -> dict[str, Any]:
    return {"tools": [{"name": name, "input": text}]}


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A bench, and what was asked and spent on it."""

    folder: Path
    desk: Desk
    bench: Bench

    def driver(self, url: str, **settings: Any) -> OpenAIDriver:
        given = {"kind": "openai", "base_url": f"{url}/v1", "model": "tiny", **settings}
        return OpenAIDriver(name="coder", settings=Agent.model_validate(given), pause_s=0.02)

    def work(self, url: str, *, given: dict[str, Any] | None = None, **settings: Any) -> Outcome:
        values = {"ticket": TICKET, "attempt": 1, "brief": "# The brief\n", "bench": self.bench, **(given or {})}
        return self.driver(url, **settings).work(Assignment(**values))

    def plays(self, *steps: dict[str, Any], **settings: Any) -> tuple[Outcome, list[dict[str, Any]]]:
        """Have the model say these steps; give the outcome, and what it was asked."""
        with serving({"steps": list(steps)}) as server:
            return self.work(server.url, **settings), server.requests()

    def limited(self, **bounds: Any) -> Lab:
        return replace(self, bench=replace(self.bench, bounds=replace(self.bench.bounds, **bounds)))

    def events(self, kind: str) -> list[dict[str, Any]]:
        lines = self.bench.transcript.file.read_text(encoding="utf-8").splitlines()
        return [event for event in map(json.loads, lines) if event["kind"] == kind]


def at(
    folder: Path, *, level: Level = "none", judge: Callable[..., Any] | None = None, purse: Purse | None = None
) -> Lab:
    desk = Desk(judge=judge) if judge else Desk()
    return Lab(folder=folder, desk=desk, bench=workbench(folder, desk, purse=purse, stage=Stage(level=level)))


def begin(handler: BaseHTTPRequestHandler, kind: str = "text/event-stream") -> None:
    handler.send_response(200)
    handler.send_header("content-type", kind)
    handler.end_headers()


@contextmanager
def answering(write: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A service that answers each request with whatever a test writes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", "0")))
            try:
                write(self)
            except OSError:
                self.close_connection = True  # the client had enough

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by http.server
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
