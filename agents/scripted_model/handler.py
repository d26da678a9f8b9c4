"""One connection to the scripted model: which wire, which answer, which fault."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import struct
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from agents.scripted_model import anthropic, chat, gemini, responses
from agents.scripted_model.body import BodyError, json_object, received
from agents.scripted_model.exchange import Asked, Reply, Wire
from agents.scripted_model.record import LONGEST
from agents.scripted_model.script import Step

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator, Mapping

    from agents.scripted_model.record import Record
    from agents.scripted_model.script import Script

KEYS = ("authorization", "x-api-key", "x-goog-api-key", "api-key")
_ENDS = {"/messages": anthropic.WIRE, "/responses": responses.WIRE, "/chat/completions": chat.WIRE}
_NONSENSE = (
    b"data: {nope\n\n",
    b"event: \xff\xfe\ndata: [1, 2\n\n",
    b": \x00\n\n",
    b"data: 42\n\n",
    b"not a field\n\n",
)
_RESET = struct.pack("ii", 1, 0)
"""Linger, for no time: what is closed then is reset."""


@dataclass(frozen=True, kw_only=True)
class Play:
    """What all connections of a server have in common."""

    script: Script
    record: Record
    stopping: threading.Event


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 600  # of a connection that nobody uses
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def __init__(self, play: Play, *given: Any) -> None:
        self.play = play
        super().__init__(*given)

    def do_HEAD(self) -> None:
        self._note(status=200)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        if not self._place.endswith("/models"):
            self._plain(404, chat.error(404, f"nothing is at {self._place}"))
            self._note(status=404)
            return
        name = self.play.script.model  # a script that names none answers under any name
        one = {"id": name, "object": "model", "type": "model", "display_name": name, "owned_by": "script"}
        self._plain(200, {"object": "list", "data": [one] if name else [], "has_more": False, "models": []})
        self._note(status=200)

    def do_POST(self) -> None:
        wire = _wire(self._place)
        try:
            raw = received(self.headers, self.rfile)
            body = json_object(raw)
        except BodyError as error:
            self.close_connection = True  # what is left of the body is not a request
            self._plain(error.status, (wire or chat.WIRE).error(error.status, str(error)))
            self._note(status=error.status)
            return
        if self._place.endswith(("/count_tokens", ":countTokens")):
            self._plain(200, {"input_tokens": len(raw) // 4 + 1, "totalTokens": len(raw) // 4 + 1})
            self._note(status=200, size=len(raw))
        elif wire is None:
            self._plain(404, chat.error(404, f"nothing is at {self._place}"))
            self._note(status=404, size=len(raw))
        else:
            self._model(wire, wire.read({**body, **_named_in(self._place)}), raw)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by http.server
        """Say nothing: the record has it."""

    @property
    def _place(self) -> str:
        return self.path.partition("?")[0].rstrip("/")

    # the answer of the model

    def _model(self, wire: Wire, asked: Asked, raw: bytes) -> None:
        found = self.play.script.conversation(asked.opening, tools=bool(asked.tools))
        if found is None:
            self._note(status=400, size=len(raw), **_about(wire, asked))
            self._plain(400, wire.error(400, "no conversation of the script fits this request"))
            return
        number, steps = found
        index = min(asked.answers, len(steps) - 1)
        step = self._settled(steps[index], (number, index))
        reply = Reply(
            step=step,
            model=self.play.script.model or asked.model,
            usage=self.play.script.usage,
            key=_digest(raw),
        )
        names = [use.name for use in step.tools]
        status = step.status if step.fault == "status" else 0 if step.fault in {"hang", "reset"} else 200
        row: dict[str, Any] = {"conversation": number, "step": index if asked.tools or number >= 0 else None}
        unknown = [name for name in names if name not in asked.tools]
        row |= {"reply": names, "unknown": unknown, "fault": step.fault}
        self._note(status=status, size=len(raw), **_about(wire, asked), **row)
        self._answer(wire, asked, reply)

    def _settled(self, step: Step, key: tuple[int, int]) -> Step:
        """Take the fault away once it was met as often as the script says."""
        if step.fault is None or step.times is None or self.play.record.met(key) <= step.times:
            return step
        return step.model_copy(update={"fault": None})

    def _answer(self, wire: Wire, asked: Asked, reply: Reply) -> None:
        step = reply.step
        if step.fault in {"slow", "hang"}:
            self.play.stopping.wait(step.seconds)
        if step.fault == "hang":
            self.close_connection = True
        elif step.fault == "reset":
            self._reset()
        elif step.fault == "status":
            pause = {} if step.retry_after is None else {"retry-after": f"{step.retry_after:g}"}
            self._plain(step.status, step.body or wire.error(step.status, step.message), pause)
        elif step.fault == "empty":
            self._said(wire, asked, Reply(step=Step(), model=reply.model, usage=reply.usage, key=reply.key))
        else:
            self._said(wire, asked, reply)

    def _said(self, wire: Wire, asked: Asked, reply: Reply) -> None:
        fault = reply.step.fault
        if asked.stream:
            frames = _NONSENSE if fault == "garbage" else wire.frames(asked, reply)
            self._stream(frames, cut=fault == "cut")
        elif fault == "garbage":
            self._bytes(200, b"<html>{nope</html>", {"content-type": "text/html"})
        else:
            self._plain(200, wire.plain(asked, reply), cut=fault == "cut")

    # bytes

    def _plain(self, status: int, data: object, headers: Mapping[str, str] | None = None, *, cut: bool = False) -> None:
        more = {"content-type": "application/json", **(headers or {})}
        self._bytes(status, json.dumps(data).encode(), more, cut=cut)

    def _bytes(self, status: int, data: bytes, headers: Mapping[str, str], *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = self.close_connection or cut

    def _stream(self, frames: Iterable[bytes], *, cut: bool) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("cache-control", "no-cache")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in _halved(frames) if cut else frames:
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        if cut:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        os.close(self.connection.detach())  # at once: close() would wait for the files around the socket

    def _note(self, *, status: int, size: int = 0, **values: Any) -> None:
        row = {"at": time.time(), "method": self.command, "path": self.path, "status": status, "bytes": size}
        row["auth"] = [name for name in KEYS if self.headers.get(name)]
        self.play.record.add(row | values)


def _wire(place: str) -> Wire | None:
    if place.endswith((":generateContent", ":streamGenerateContent")):
        return gemini.WIRE
    return next((wire for end, wire in _ENDS.items() if place.endswith(end)), None)


def _named_in(place: str) -> dict[str, Any]:
    """Give what Gemini's clients say in the address alone."""
    name, colon, action = place.rpartition("/")[2].partition(":")
    return {"model": name, "stream": action == "streamGenerateContent"} if colon else {}


def _about(wire: Wire, asked: Asked) -> dict[str, Any]:
    return {
        "wire": wire.name,
        "model": asked.model,
        "stream": asked.stream,
        "told": asked.told[:LONGEST],
        "tools": sorted(asked.tools),
        "results": [text[:LONGEST] for text in asked.results],
    }


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:20]


def _halved(frames: Iterable[bytes]) -> Iterator[bytes]:
    """Give the first half of a stream, and half an event."""
    whole = list(frames)
    middle = len(whole) // 2
    yield from whole[:middle]
    yield whole[middle][: len(whole[middle]) // 2]
