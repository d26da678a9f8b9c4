"""The client of live permission: hands one question from standard input to the harness, prints its answer.

Stand-alone and quick to start: `python -I -S guard.py [--socket PATH]`; the harness itself is not imported. Without
`--socket` the environment variable ORCHESTRATE_GUARD names the socket; where ORCHESTRATE_GUARD_URL is set, that is asked
instead, for places where no unix socket may be opened. Exit 0 with the answer as JSON; on any trouble exit 2 with a
sentence on standard error: every client takes that for a refusal, and every other exit for a yes.
"""

from __future__ import annotations

import _socket  # the module on top of it takes longer to import than all the rest takes to run
import os
import sys

TYPE_CHECKING = False  # importing typing costs 3 ms at every start
if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE_S = 5.0
LONGEST_ANSWER = 1 << 20
_CHUNK = 1 << 16
_REFUSED = 2
_USAGE = "usage: orchestrate guard [--socket PATH], with one question as JSON on standard input"


def main(arguments: Sequence[str]) -> int:
    """Ask once; give the exit code."""
    if arguments and arguments[0] in {"-h", "--help"}:
        _write(1, f"{_USAGE}\n\n{__doc__}".encode())
        return 0
    try:
        url = "" if arguments else os.environ.get("ORCHESTRATE_GUARD_URL", "")
        _write(1, _posted(url, _question()) if url else _ask(_socket_path(arguments), _question()))
    except (OSError, ValueError) as error:
        _write(2, f"refused, because the harness could not be asked: {error}\n".encode(errors="replace"))
        return _REFUSED
    return 0


def _socket_path(arguments: Sequence[str]) -> str:
    if arguments and (len(arguments) != 2 or arguments[0] != "--socket"):  # noqa: PLR2004 - the option and its value
        raise ValueError(_USAGE)
    path = arguments[1] if arguments else os.environ.get("ORCHESTRATE_GUARD", "")
    if not path:
        raise ValueError("ORCHESTRATE_GUARD does not name its socket")
    return path


def _question() -> bytes:
    parts = []
    while part := os.read(0, _CHUNK):
        parts.append(part)
    return b"".join(parts)


def _ask(path: str, question: bytes) -> bytes:
    line = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    line.settimeout(PATIENCE_S)
    line.connect(path)
    line.sendall(question)
    line.shutdown(_socket.SHUT_WR)
    return _whole(_received(line))


def _posted(url: str, question: bytes) -> bytes:
    """Ask over HTTP on the loopback."""
    scheme, _, place = url.partition("://")
    host, _, path = place.partition("/")
    name, _, port = host.partition(":")
    if scheme != "http" or not port.isdigit():
        raise ValueError("ORCHESTRATE_GUARD_URL is not of the form http://127.0.0.1:PORT/TOKEN")
    line = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    line.settimeout(PATIENCE_S)
    line.connect((name, int(port)))
    head = f"POST /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {len(question)}\r\n\r\n"
    line.sendall(head.encode() + question)
    status, _, body = _received(line).partition(b"\r\n\r\n")
    if not status.startswith(b"HTTP/1.1 200 "):
        raise ValueError(f"it answered {status[:40].decode(errors='replace')!r}")
    return _whole(body)


def _received(line: _socket.socket) -> bytes:
    answer = b""
    while len(answer) < LONGEST_ANSWER and not answer.endswith(b"}\n") and (part := line.recv(_CHUNK)):
        answer += part
    return answer


def _whole(answer: bytes) -> bytes:
    if not (answer.startswith(b"{") and answer.endswith(b"}\n")):
        raise ValueError("its answer was cut off")
    return answer


def _write(to: int, data: bytes) -> None:
    while data:
        data = data[os.write(to, data) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
