"""Hands for a model that has none: reads, writes and runs where it stands. A process of its own, with nothing but the standard library.

One line of JSON on standard input is one order, `{"id": ..., "do": ..., ...}`, and gets one line on standard output, `{"id": ..., "done": true or
false, "text": ...}`. It ends when its input ends. It runs inside the sandbox, so it trusts nobody with more than that gives.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST = 16_000
"""Characters of one answer."""
MOST_LINES, MOST_ENTRIES, MOST_HITS = 1000, 500, 100
LONGEST_HIT = 300
LARGEST_SEARCHED = 4 << 20
LARGEST_EDITED = 16 << 20
CHUNK = 1 << 16
LOOKING_S = 30
"""For everything but a shell line: a pattern can take for ever."""
LINGERING_S = 0.5
"""For what children of a shell line still have to say once it has ended."""
SKIPPED = frozenset({".git", ".hg", ".svn", "__pycache__", "node_modules", ".venv", ".mypy_cache", ".ruff_cache"})


class OrderError(Exception):
    """What was ordered cannot be done; the text is for the model."""


class TooLongError(Exception):
    """What was ordered takes too long."""


def read(order: dict[str, Any]) -> str:
    first, most = max(1, order.get("first_line", 1)), min(MOST_LINES, max(1, order.get("lines", MOST_LINES)))
    kept, size = list[str](), 0
    with _regular(order["path"]) as stream:
        for number, line in enumerate(_lines(stream), 1):
            if number < first:
                continue
            if len(kept) >= most or size + len(line) > LONGEST:
                kept.append(f"\n[the file goes on: ask with first_line = {number}]")
                break
            kept.append(line)
            size += len(line)
    if not kept:
        return "[the file is empty]" if first == 1 else f"[the file has fewer than {first} lines]"
    return "".join(kept)


def listing(order: dict[str, Any]) -> str:
    top = Path(order.get("path") or ".")
    if not top.is_dir():
        raise OrderError(f"{top} is no folder")
    found = list[str]()
    for path in _walk(top, depth=max(1, order.get("depth", 3))):
        if len(found) >= MOST_ENTRIES:
            found.append(f"[only the first {MOST_ENTRIES}: list a folder below]")
            break
        found.append(f"{path}/" if path.is_dir() and not path.is_symlink() else str(path))
    return "\n".join(found) or "[the folder is empty]"


def search(order: dict[str, Any]) -> str:
    pattern = _pattern(order["pattern"])
    found = list[str]()
    for path in _searched(Path(order.get("path") or "."), order.get("files") or "*"):
        for number, line in _hits(path, pattern):
            if len(found) >= MOST_HITS:
                return "\n".join([*found, f"[only the first {MOST_HITS} lines: search for something narrower]"])
            found.append(f"{path}:{number}: {line[:LONGEST_HIT]}")
    return "\n".join(found) or "[nothing was found]"


def write(order: dict[str, Any]) -> str:
    path = _own(order["path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    data = order["content"].encode(errors="surrogateescape")
    path.write_bytes(data)
    return f"{order['path']}: {len(data)} bytes written"


def edit(order: dict[str, Any]) -> str:
    path = _own(order["path"])
    with _regular(order["path"]) as stream:
        data = stream.read(LARGEST_EDITED + 1)
    if len(data) > LARGEST_EDITED:
        raise OrderError(f"{order['path']} is larger than {LARGEST_EDITED} bytes")
    old, new = (order[key].encode(errors="surrogateescape") for key in ("old", "new"))
    count = data.count(old) if old else 0
    if count != 1:
        there = (
            f"is there {count} times: give more of what stands around it" if count else "is not there: read the file"
        )
        raise OrderError(f"nothing was changed, because the text `old` {there}")
    path.write_bytes(data.replace(old, new))
    return f"{order['path']}: changed"


def run(order: dict[str, Any]) -> str:
    seconds = order["timeout_s"]
    with subprocess.Popen(
        ["/bin/sh", "-c", order["command"]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        kept = _Kept()
        reader = threading.Thread(target=kept.drain, args=(process.stdout,), daemon=True)
        reader.start()
        try:
            ended = f"exit code {process.wait(seconds)}"
        except subprocess.TimeoutExpired:
            ended = f"ended after {seconds} s: it had not finished by then"
            _end(process)
        reader.join(LINGERING_S)
        if reader.is_alive():  # a child in the background holds the pipe: it lives on, and its words are lost
            process.stdout = None
    return f"{kept.text()}\n[{ended}]"


class _Kept:
    """The first and the last half of what a program says."""

    def __init__(self) -> None:
        self.first, self.last, self.dropped = b"", b"", 0

    def drain(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            while data := os.read(stream.fileno(), CHUNK):
                room = max(0, LONGEST // 2 - len(self.first))
                self.first += data[:room]
                rest = self.last + data[room:]
                self.dropped += max(0, len(rest) - LONGEST // 2)
                self.last = rest[-LONGEST // 2 :]

    def text(self) -> str:
        gap = f"\n[{self.dropped} bytes left out]\n" if self.dropped else ""
        return f"{self.first.decode(errors='replace')}{gap}{self.last.decode(errors='replace')}"


def _end(process: subprocess.Popen[bytes]) -> None:
    for number, patience in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return


def _regular(name: str) -> IO[bytes]:
    """Open a file that is one: a pipe or a device would keep us for ever."""
    handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OrderError(f"{name} is no regular file")
    return os.fdopen(handle, "rb")


def _own(name: str) -> Path:
    """Give the file to write; links must not lead out of the tree, and nothing but a regular file is replaced."""
    path = Path(name)
    real = Path(os.path.realpath(path))
    own = [Path.cwd(), *(Path(os.environ[key]).resolve() for key in ("TMPDIR", "HOME") if key in os.environ)]
    if not any(real.is_relative_to(one) for one in own):
        raise OrderError(f"{name} leads out of the folder you work in")
    if real.exists() and not real.is_file():
        raise OrderError(f"{name} is no regular file")
    return path


def _lines(stream: IO[bytes]) -> Iterator[str]:
    beginning = stream.read(CHUNK)
    if b"\0" in beginning:
        raise OrderError("the file is binary")
    stream.seek(0)
    while line := stream.readline(LONGEST):
        yield line.decode(errors="replace")


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise OrderError(f"the pattern is no regular expression of Python: {error}") from error


def _walk(top: Path, *, depth: int) -> Iterator[Path]:
    """Yield what lies below, in order, without caches and archives; links are not followed."""
    try:
        names = sorted(os.listdir(top))  # noqa: PTH208 - names, not paths
    except PermissionError:
        return
    for name in names:
        path = top / name
        yield path
        if depth > 1 and name not in SKIPPED and path.is_dir() and not path.is_symlink():
            yield from _walk(path, depth=depth - 1)


def _searched(top: Path, files: str) -> Iterator[Path]:
    if top.is_file():
        yield top
    for path in _walk(top, depth=40) if top.is_dir() else ():
        regular = path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST_SEARCHED
        if regular and (fnmatch.fnmatch(path.name, files) or fnmatch.fnmatch(str(path), files)):
            yield path


def _hits(path: Path, pattern: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    with contextlib.suppress(OSError, OrderError), _regular(str(path)) as stream:
        for number, line in enumerate(_lines(stream), 1):
            if pattern.search(line):
                yield number, line.rstrip()


ORDERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "read": read,
    "list": listing,
    "search": search,
    "write": write,
    "edit": edit,
    "run": run,
}


def _too_long(_number: int, _frame: object) -> None:
    raise TooLongError(f"it took more than {LOOKING_S} seconds")


def carried_out(order: dict[str, Any]) -> tuple[bool, str]:
    if order["do"] != "run":
        signal.setitimer(signal.ITIMER_REAL, LOOKING_S)
    try:
        return True, ORDERS[order["do"]](order)
    except OSError as error:
        return False, f"{error.filename or order.get('path', '')}: {error.strerror}"
    except (OrderError, TooLongError, ValueError, RecursionError) as error:  # ValueError: a NUL in the name of a file
        return False, str(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> None:
    signal.signal(signal.SIGALRM, _too_long)
    talk = os.fdopen(os.dup(1), "wb")
    for line in sys.stdin.buffer:
        order = json.loads(line)
        done, text = carried_out(order)
        answer = {"id": order["id"], "done": done, "text": text[: 2 * LONGEST]}
        talk.write(json.dumps(answer).encode() + b"\n")
        talk.flush()


if __name__ == "__main__":
    main()
