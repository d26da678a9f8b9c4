"""The scripted model's server: loopback only, any number of clients, every request kept."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass
from functools import partial
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from agents.scripted_model.handler import Handler, Play
from agents.scripted_model.record import Record
from agents.scripted_model.script import Script, script_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

HOST = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class ModelServer:
    url: str
    """Scheme, host and port."""
    record: Record

    def requests(self) -> list[dict[str, Any]]:
        """Give what was asked until now, in order; the fields are explained in `record`."""
        return self.record.rows()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, port: int, play: Play) -> None:
        self.play = play
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__((HOST, port), partial(Handler, play))

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._lock:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away is daily business, and is in the record."""

    def stop(self) -> None:
        """End, and wake every client that is kept waiting."""
        self.play.stopping.set()
        self.shutdown()
        self.server_close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def serving(script: Script | Mapping[str, Any], *, log: Path | None = None, port: int = 0) -> Iterator[ModelServer]:
    """Serve a script until the block is left; `log` gets a line of JSON for each request."""
    played = script if isinstance(script, Script) else script_of(script)
    record = Record(log=log)
    server = _Server(port, Play(script=played, record=record, stopping=threading.Event()))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield ModelServer(url=f"http://{HOST}:{server.server_address[1]}", record=record)
    finally:
        server.stop()
        thread.join()
