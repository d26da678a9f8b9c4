"""The client of live permission: hands one question from standard input to the harness, prints its answer.

Stand-alone and quick to start: `python -I -S guard.py [--socket PATH]`; the harness itself is not imported. Without
`--socket` the environment variable ORCHESTRATE_GUARD names the socket. Exit 0 with the answer as JSON; on any trouble
exit 2 with a sentence on standard error: every client takes that for a refusal, and every other exit for a yes.
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
        _write(1, _ask(_socket_path(arguments), _question()))
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
    answer = b""
    while len(answer) < LONGEST_ANSWER and (part := line.recv(_CHUNK)):
        answer += part
    if not (answer.startswith(b"{") and answer.endswith(b"}\n")):
        raise ValueError("its answer was cut off")
    return answer


def _write(to: int, data: bytes) -> None:
    while data:
        data = data[os.write(to, data) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
