"""A repository whose records are written directly, as a run would write them: for what is told of runs."""

from __future__ import annotations

import json
import socketserver
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from memory.trains import Trains
from orchestrator.workspace import Workspace
from tickets.plan import read_plan
from tickets.states import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo_project import Demo

WAY = {
    State.LANDED: (State.RUNNING, State.VERIFYING, State.QUEUED, State.LANDING, State.LANDED),
    State.QUEUED: (State.RUNNING, State.VERIFYING, State.QUEUED),
    State.RUNNING: (State.RUNNING,),
    State.REJECTED: (State.RUNNING, State.REJECTED),
    State.BLOCKED: (State.BLOCKED,),
    State.FAILED: (State.FAILED,),
}


@dataclass(frozen=True)
class Story:
    """What happened in a repository."""

    demo: Demo

    @property
    def workspace(self) -> Workspace:
        return Workspace.open(self.demo.root)

    def configure(self, text: str) -> None:
        policy = (self.demo.root / "orchestrate.toml").read_text(encoding="utf-8")
        self.demo.write("orchestrate.toml", policy + text)

    def feature(self, *keys: str, request: str = "some modules") -> list[str]:
        """Ask for a feature with a ticket for each key; give the tickets' ids."""
        records = self.workspace.records
        feature = records.add_feature(request, options={}, target="main", before="0" * 40)
        drafts = [_draft(key) for key in keys]
        plan = read_plan(json.dumps({"request": request, "tickets": drafts}), "plan", max_tickets=50)
        return records.set_plan(feature, plan)

    def goes(self, ticket: str, state: State, reason: str = "") -> None:
        """Move the ticket to a state, by the states between."""
        for step in WAY[state]:
            self.workspace.records.move(ticket, step, reason if step is state else "")

    def shows(self, **train: Any) -> None:
        """Write what the conductor of the train would show."""
        empty = {"head": "0" * 40, "window": 8, "slots": 2, "batch": 1, "rate": 0.0, "order": [], "waiting": []}
        Trains(self.workspace.database).show("main", empty | train)


def _draft(key: str) -> dict[str, Any]:
    base = {"key": key, "title": f"add {key}", "objective": f"Add {key}.", "non_goals": ["x"]}
    return {**base, "scope": {"new": [f"src/{key}.py"]}, "acceptance": [{"run": ["true"]}]}


@dataclass
class Receiver:
    """A web server on the loopback that keeps what it is sent."""

    port: int = 0
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """Status of each of the next answers; 200 from then on."""
    hangs: threading.Event | None = None
    """No answer before it is set."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies]


@contextmanager
def receiver(*answers: int, hangs: threading.Event | None = None) -> Iterator[Receiver]:
    """Serve until the block ends."""
    kept = Receiver(answers=list(answers), hangs=hangs)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept.headers.append(dict(self.headers.items()))
            kept.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            if kept.hangs:
                kept.hangs.wait(30)
            self.send_response(kept.answers.pop(0) if kept.answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        kept.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield kept
        finally:
            if hangs:
                hangs.set()
            server.shutdown()
            thread.join()
