"""One git process that answers many questions: it is started when first asked, and anew after its end."""

from __future__ import annotations

import os
import select
import tempfile
import threading
import time
from functools import partial
from typing import IO, TYPE_CHECKING, TypeVar, cast

from worktrees.git import TIMEOUT_S, GitError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worktrees.git import Process, Repository

Answer = TypeVar("Answer")
CHUNK = 1 << 16
AT_ONCE = 24
"""Questions that are sent before an answer is read: they must fit into the smallest pipe, or both sides wait for ever."""
RENEWED_AFTER = 10_000
"""Questions that one process answers: git keeps every commit in memory that it has ever seen."""


class GoneError(Exception):
    """The process ended before it had answered."""


class SilentError(GitError):
    """The process did not answer in time, and was ended."""


class LongRunning:
    """Asks one git command, one question at a time; any thread may ask.

    A question may be asked twice, when the process dies over it: it must change nothing that counts.
    """

    def __init__(self, repository: Repository, *arguments: str) -> None:
        self._repository, self._arguments = repository, arguments
        self._asking = threading.Lock()
        self._process: Process | None = None
        self._complaints: IO[bytes] | None = None
        self._asked = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def ask(self, question: bytes, listen: Callable[[Stream], Answer], *, timeout_s: float = TIMEOUT_S) -> Answer:
        """Send a question and let `listen` take its whole answer; raise GitError when there is none."""
        with self._asking:
            try:
                return self._try(question, listen, timeout_s)
            except GoneError:  # killed, or something that a new process can see: objects in a new place
                self._end()
            try:
                return self._try(question, listen, timeout_s)
            except GoneError as error:
                said = self._end().decode(errors="replace").strip().splitlines()
                raise GitError(self._arguments, "; ".join(said[:3]) or "it ended without an answer") from error

    def ask_all(self, questions: Sequence[bytes], listen: Callable[[Stream], Answer]) -> list[Answer]:
        """Ask many questions without waiting for each answer."""
        found: list[Answer] = []
        for start in range(0, len(questions), AT_ONCE):
            part = questions[start : start + AT_ONCE]
            found += self.ask(b"".join(part), partial(_listen_often, listen, len(part)))
        return found

    def _try(self, question: bytes, listen: Callable[[Stream], Answer], timeout_s: float) -> Answer:
        process = self._running()
        try:
            _send(process, question)
            return listen(Stream(process, until=time.monotonic() + timeout_s))
        except TimeoutError as error:
            self._end()
            raise SilentError(self._arguments, f"no answer within {timeout_s:.0f} s") from error
        except BaseException as error:
            if not isinstance(error, GoneError):  # what is left of the answer must not be taken for the next one
                self._end()
            raise

    def _running(self) -> Process:
        self._asked += 1
        if self._process and (self._process.poll() is not None or self._asked > RENEWED_AFTER):
            self._end()
        if self._process is None:
            self._asked = 0
            self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
            self._process = self._repository.plumb_process(*self._arguments, stderr=self._complaints)
        return self._process

    def _end(self) -> bytes:
        """End the process; give what it complained about."""
        process, self._process = self._process, None
        complaints, self._complaints = self._complaints, None
        if process:
            process.kill()
            for stream in (process.stdin, process.stdout):
                cast("IO[bytes]", stream).close()
            process.wait()
        if complaints is None:
            return b""
        with complaints:
            complaints.seek(0)
            return complaints.read(CHUNK)

    def close(self) -> None:
        """End the process; the next question starts a new one."""
        with self._asking:
            self._end()


def _listen_often(listen: Callable[[Stream], Answer], count: int, stream: Stream) -> list[Answer]:
    return [listen(stream) for _ in range(count)]


def _send(process: Process, question: bytes) -> None:
    words, left = cast("IO[bytes]", process.stdin), memoryview(question)
    try:
        while left:
            left = left[os.write(words.fileno(), left) :]
    except BrokenPipeError as error:
        raise GoneError from error


class Stream:
    """What a process says, up to a moment."""

    def __init__(self, process: Process, *, until: float) -> None:
        self._source, self._until = cast("IO[bytes]", process.stdout).fileno(), until
        self._ready = select.poll()
        self._ready.register(self._source, select.POLLIN)
        self._got = bytearray()

    def field(self, end: bytes = b"\0") -> bytes:
        """Give what comes before the next `end`."""
        searched = 0
        while (at := self._got.find(end, searched)) < 0:
            searched = max(0, len(self._got) - len(end))
            self._more()
        found = bytes(self._got[:at])
        del self._got[: at + len(end)]
        return found

    def exactly(self, size: int) -> bytes:
        while len(self._got) < size:
            self._more()
        found = bytes(self._got[:size])
        del self._got[:size]
        return found

    def _more(self) -> None:
        left = self._until - time.monotonic()
        if left <= 0 or not self._ready.poll(left * 1000):
            raise TimeoutError
        data = os.read(self._source, CHUNK)
        if not data:
            raise GoneError
        self._got += data
