"""The desk where agents ask before they act: a unix socket, and HTTP on the loopback for clients that want it.

One decision function answers, one log keeps every question. An unexpected error closes the line without an answer, and
the clients take that for a refusal.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import socket
import socketserver
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from agents.protocol import Permit
from gates.live.decision import Decision, refused
from gates.masking import mask
from gates.protocol import Call
from orchestrator import hooks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agents.protocol import Gate, ToolCall

Judge = Callable[[Call], Decision]
VARIABLE = "ORCHESTRATE_GUARD"
HTTP_VARIABLE = "ORCHESTRATE_GUARD_URL"
LONGEST_PATH = 100
"""Bytes of a socket's name that every system takes."""
LONGEST_QUESTION = 16 * 2**20
LONGEST_FIELD = 1000
"""Characters of a path, command or reason in the log."""
LONGEST_LOG = 32 * 2**20
LONGEST_HEAD = 1 << 16
PATIENCE_S = 5.0
AT_ONCE = 12
"""Questions that are answered side by side; more wait for their turn."""
CHUNK = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Permission:
    """Where an agent can ask while the block is open."""

    socket: Path
    log: Path
    ask: Gate
    """The same question from inside this process."""
    ungated: Callable[[tuple[ToolCall, ...]], list[str]]
    """Holds the calls that a client made against what was decided; a sentence for each that was not asked about, or ran in spite of a no."""
    port: int = 0
    """Of HTTP on 127.0.0.1; 0 where that was not asked for."""
    url: str = ""
    """For HTTP hooks: takes the same JSON by POST, and holds the run's token."""

    @property
    def variables(self) -> Mapping[str, str]:
        """Environment of the agent."""
        return {VARIABLE: str(self.socket)} | ({HTTP_VARIABLE: self.url} if self.url else {})


@dataclass(kw_only=True)
class Desk:
    """Answers questions and keeps them; any number of threads may ask at once."""

    judge: Judge
    log: IO[bytes]
    """Not buffered."""
    _decided: dict[bytes, bool] = field(default_factory=dict)
    """By a hash of the client's name of the call, which may be of any length."""
    _room: int = LONGEST_LOG
    _trouble: str = ""
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, raw: bytes, send: Callable[[bytes], object]) -> None:
        """Answer one question as the client sent it, with one line of JSON; it is kept while the client goes on."""
        began = time.perf_counter()
        event, asked, decision = self._judged(raw)
        send(json.dumps(hooks.answer(event, decision)).encode() + b"\n")
        self._keep(event, asked, decision, seconds=time.perf_counter() - began)

    def ask(self, event: Mapping[str, Any]) -> Permit:
        """Answer a driver of ours; whatever goes wrong is a refusal."""
        try:
            began = time.perf_counter()
            question = dict(event)
            asked, decision = self._decision(question)
            self._keep(question, asked, decision, seconds=time.perf_counter() - began)
        except Exception as error:  # noqa: BLE001 - the edge to a client that would take an error for a yes
            self.failed(error)
            return Permit(allowed=False, reason=f"the question could not be answered ({type(error).__name__})")
        return Permit(allowed=decision.allowed, reason=decision.reason)

    def ungated(self, calls: tuple[ToolCall, ...]) -> list[str]:
        """Say which of a client's calls were made without a yes."""
        decided = [(call, self._decided.get(_mark(call.id))) for call in calls]
        unasked = [f"{call.tool} ({call.id}) was not asked about" for call, answer in decided if answer is None]
        defied = [
            f"{call.tool} ({call.id}) ran although it was refused"
            for call, answer in decided
            if call.refused is False and answer is False
        ]
        return [*unasked, *defied]

    def _judged(self, raw: bytes) -> tuple[hooks.Event, Call | None, Decision]:
        try:
            event = _parsed(raw)
        except hooks.UnclearError as error:
            return {}, None, refused(str(error))
        return event, *self._decision(event)

    def _decision(self, event: hooks.Event) -> tuple[Call | None, Decision]:
        if self._trouble:
            said = f"questions cannot be kept ({self._trouble}), so none is answered with a yes"
            return None, refused(said)
        try:
            asked = hooks.calls(event)
        except hooks.UnclearError as error:
            return None, refused(str(error))
        decisions = [(call, self.judge(call)) for call in asked]
        if not decisions:
            return None, Decision(allowed=True, reason="the tool writes, reads and runs nothing of the tree")
        return next((pair for pair in decisions if not pair[1].allowed), decisions[0])

    def failed(self, error: BaseException | None) -> None:
        """Keep that a question got no answer."""
        line = {"time": _now(), "decision": "deny", "reason": _short(f"not answered: {error!r}"), "gate": ""}
        with contextlib.suppress(OSError, ValueError):  # a disk that is full; a log that was closed meanwhile
            self._append(line)

    def _keep(self, event: hooks.Event, call: Call | None, decision: Decision, *, seconds: float) -> None:
        asked = call or Call(kind="run")
        identity = event.get("tool_use_id") or event.get("call_id")
        if isinstance(identity, str):
            # one that was asked about twice needs two times a yes
            mark = _mark(identity)
            self._decided[mark] = decision.allowed and self._decided.get(mark, True)
        line = {
            "time": _now(),
            "id": _short(identity),
            "tool": _short(event.get("tool_name")),
            "call": {"kind": call.kind if call else "", "path": _short(asked.path), "command": _short(asked.command)},
            "decision": "allow" if decision.allowed else "deny",
            "reason": _short(decision.reason),
            "gate": decision.gate,
            "ms": round(seconds * 1000, 3),
        }
        self._append(line)

    def _append(self, line: Mapping[str, object]) -> None:
        data = f"{json.dumps(line)}\n".encode()
        with self._writing:
            if self._room <= 0:
                return
            self._room -= len(data)
            if self._room <= 0:
                self._trouble = "their log is full"
                data = b'{"reason": "the log is full: whatever is asked from here on is refused"}\n'
            try:
                self.log.write(data)
            except OSError as error:
                self._trouble = error.strerror or "the log cannot be written"
                raise


def _mark(identity: str) -> bytes:
    return hashlib.sha256(identity.encode(errors="backslashreplace")).digest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _parsed(raw: bytes) -> hooks.Event:
    if len(raw) > LONGEST_QUESTION:
        raise hooks.UnclearError(f"the question is longer than {LONGEST_QUESTION >> 20} MiB; write the file in parts")
    try:
        event: Any = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise hooks.UnclearError(f"the question is no JSON: {error}") from error
    if not isinstance(event, dict):
        raise hooks.UnclearError("the question is no JSON object")
    return event


def _short(value: object) -> str:
    """Mask and shorten: in this order, so that no half of a secret is left."""
    text = value[: 4 * LONGEST_FIELD] if isinstance(value, str) else ""
    masked = mask(text)
    return masked if len(masked) <= LONGEST_FIELD else f"{masked[: LONGEST_FIELD - 3]}..."


@contextlib.contextmanager
def serving(judge: Judge, *, folder: Path, log: Path, http: bool = False) -> Iterator[Permission]:
    """Answer while the block is open; the socket lies in `folder`, or in one of its own where that name is too long."""
    log.parent.mkdir(parents=True, exist_ok=True)
    judge(Call(kind="run", command="true"))  # loads the parser: the agent's first question would wait for it
    with contextlib.ExitStack() as stack:
        desk = Desk(judge=judge, log=stack.enter_context(log.open("ab", buffering=0)))
        place = _place(folder, stack)
        stack.enter_context(_running(_Socket(str(place), _line(desk)), desk))
        os.chmod(place, 0o600)  # noqa: PTH101 - Path.chmod says the same; this keeps the name as it was bound
        stack.callback(_unlink, place)
        port, url = 0, ""
        if http:
            token = secrets.token_urlsafe(32)
            web = stack.enter_context(_running(_Web(("127.0.0.1", 0), _page(desk, token)), desk))
            port = int(web.server_address[1])
            url = f"http://127.0.0.1:{port}/{token}"
        yield Permission(socket=place, log=log, ask=desk.ask, ungated=desk.ungated, port=port, url=url)


def _place(folder: Path, stack: contextlib.ExitStack) -> Path:
    place = folder / "guard.sock"
    if len(os.fsencode(place)) > LONGEST_PATH:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guard-"))) / "guard.sock"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)  # of a run that was killed
    return place


def _unlink(place: Path) -> None:
    with contextlib.suppress(OSError):  # the folder is the agent's: it may have put something else there
        place.unlink()


@contextlib.contextmanager
def _running(server: _Answering, desk: Desk) -> Iterator[_Answering]:
    server.desk = desk
    server.one_more()
    try:
        yield server
    finally:
        server.close()
        for thread in server.threads:
            thread.join(PATIENCE_S / AT_ONCE)  # one whose client keeps its line open ends with the process


class _Answering(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Threads that all wait for the next line themselves: handing it from one to another would cost half the answer.

    Each takes memory of its own, so there is one more only when none is left that waits.
    """

    request_queue_size = 128
    desk: Desk
    closing = False

    def __init__(self, address: Any, handler: type[socketserver.BaseRequestHandler]) -> None:
        super().__init__(address, handler)
        self.threads: list[threading.Thread] = []
        self._waiting = 0
        self._counting = threading.Lock()

    def one_more(self) -> None:
        with self._counting:
            if self._waiting or self.closing or len(self.threads) == AT_ONCE:
                return
            self._waiting += 1
            thread = threading.Thread(target=self._work, name=f"guard-{len(self.threads)}", daemon=True)
            self.threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while not self.closing:
            try:
                request, client = self.get_request()
            except OSError:
                return
            with self._counting:
                self._waiting -= 1
            self.one_more()
            self.process_request_thread(request, client)
            with self._counting:
                self._waiting += 1

    def close(self) -> None:
        self.closing = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes those who wait, on Linux
        self.server_close()

    def handle_error(self, _request: Any, _client_address: Any) -> None:
        """Keep it; the line is closed without an answer, which the client takes for a refusal."""
        self.desk.failed(sys.exception())


class _Socket(_Answering):
    address_family = socket.AF_UNIX


class _Web(_Answering):
    pass


def _line(desk: Desk) -> type[socketserver.BaseRequestHandler]:
    class Line(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(PATIENCE_S)
            raw = bytearray()
            while len(raw) <= LONGEST_QUESTION and (part := self.request.recv(CHUNK)):
                raw += part
            desk.answer(bytes(raw), self.request.sendall)

    return Line


def _page(desk: Desk, token: str) -> type[socketserver.BaseRequestHandler]:
    """Give a handler of one POST; the standard library's takes longer to read the head than the desk to answer."""

    class Page(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(PATIENCE_S)
            raw = self._until(b"", lambda got: b"\r\n\r\n" in got or len(got) > LONGEST_HEAD)
            head, _, body = raw.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            length = fields.get("content-length", "")
            if not length.isdecimal() or int(length) > LONGEST_QUESTION:
                self._give(b"", "413 Content Too Large")
                return
            if "expect" in fields:
                self.request.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = self._until(body, lambda got: len(got) >= int(length))
            if not hmac.compare_digest(first.rpartition(" ")[0].encode(), f"POST /{token}".encode()):
                self._give(b"", "403 Forbidden")
            elif len(body) == int(length):
                desk.answer(body, self._give)

        def _until(self, got: bytes, enough: Callable[[bytes], bool]) -> bytes:
            while not enough(got) and (part := self.request.recv(CHUNK)):
                got += part
            return got

        def _give(self, body: bytes, status: str = "200 OK") -> None:
            head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            self.request.sendall(head.encode() + body)

    return Page
