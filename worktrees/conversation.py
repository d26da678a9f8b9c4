"""Talking with a program that we do not trust, line by line: the same sandbox, bounds, reaping and receipt as any other run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from worktrees.process import Control, Ends, pipe, receipt, receive, started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from worktrees.process import Bounds, Launch, Receipt

LONGEST_LINE = 32 << 20
CHUNK = 1 << 16
PIPE_BYTES = 1 << 20
STUCK_S = 60.0
"""A program that reads nothing for so long is not going to."""
LADDER = (signal.SIGINT, signal.SIGTERM)


class SilenceError(Exception):
    """Nothing was said for as long as the listener had patience."""


@dataclass(kw_only=True)
class Conversation:
    """One thread reads, any thread may send and signal."""

    launch: Launch
    log: Path
    control: Control = field(repr=False)
    words: IO[bytes] = field(repr=False)
    """To the program's standard input; not blocking."""
    answers: IO[bytes] = field(repr=False)
    cut: bool = False
    """Whether the line last read was too long, and is only its beginning."""
    begun: float = field(default_factory=time.monotonic)
    _got: bytearray = field(default_factory=bytearray, repr=False)
    _kept: bytes = field(default=b"", repr=False)
    """Beginning of a line that is too long, and whose end has not come yet."""
    _over: bool = False
    _receipt: Receipt | None = None
    _writing: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def send(self, data: bytes) -> bool:
        """Send all of it; False when the program reads no more."""
        left = memoryview(data)
        with self._writing:
            while left and not self.words.closed:
                try:
                    left = left[os.write(self.words.fileno(), left) :]
                except BlockingIOError:
                    if not _ready({self.words: select.POLLOUT}, STUCK_S):
                        return False
                except BrokenPipeError:
                    return False
        return not left

    def line(self, timeout_s: float) -> bytes | None:
        """Give the next line of its standard output without its end; None once there is no more.

        Raises SilenceError when nothing at all came for so long.
        """
        self.cut, searched = False, 0
        while (end := self._got.find(b"\n", searched)) < 0:
            searched = len(self._got)
            if searched > LONGEST_LINE:
                self._kept = self._kept or bytes(self._got[:LONGEST_LINE])
                self._got.clear()
                searched = 0
            if not self._listen(timeout_s):
                return self._taken(len(self._got)) or None
        return self._taken(end)

    def _taken(self, end: int) -> bytes:
        """Give the line that ends there, or what was kept of it when it was too long."""
        self.cut = bool(self._kept)
        found = self._kept or bytes(self._got[:end])
        self._kept = b""
        del self._got[: end + 1]
        return found

    def _listen(self, timeout_s: float) -> bool:
        """Take in what comes next; False at the end."""
        if self._over:
            return False
        if not _ready({self.answers: select.POLLIN}, timeout_s):
            raise SilenceError(f"it said nothing for {timeout_s:g} seconds")
        data = os.read(self.answers.fileno(), CHUNK)
        self._got += data
        self._over = not data
        return bool(data)

    def close_input(self) -> None:
        """Let the program see the end of its input."""
        with self._writing:
            self.words.close()

    def signal(self, number: int) -> None:
        """Send a signal to the program and its group, as a terminal does."""
        with contextlib.suppress(BrokenPipeError, ValueError):  # it has ended already
            self.control.channel.write(bytes([number]))

    def end(self, patience_s: float = 5.0) -> Receipt:
        """Wait for its end, and help: SIGINT, SIGTERM, SIGKILL, each after so much patience; what it still says is dropped."""
        if self._receipt is None:
            self.close_input()
            for number in LADDER:
                if self._ended_within(patience_s):
                    break
                self.signal(number)
            else:
                self._ended_within(patience_s)
            self.control.channel.close()
            self._receipt = receipt(self.launch, self.log, self.begun, receive(self.control.result))
        return self._receipt

    def _ended_within(self, seconds: float) -> bool:
        """Say whether the supervisor has an answer; until then nobody may be kept from ending by a full pipe."""
        limit = time.monotonic() + seconds
        while (left := limit - time.monotonic()) > 0:
            ears = (self.control.result,) if self._over else (self.control.result, self.answers)
            ready = _ready(dict.fromkeys(ears, select.POLLIN), left)
            if self.control.result.fileno() in ready:
                return True
            if ready:
                self._over = not os.read(self.answers.fileno(), CHUNK)
        return False


def _ready(ends: dict[IO[bytes], int], seconds: float) -> list[int]:
    """Give the descriptors where something can be done; their end counts, too."""
    poll = select.poll()
    for end, what in ends.items():
        poll.register(end, what)
    return [fd for fd, _ in poll.poll(max(0.0, seconds) * 1000)]


@contextlib.contextmanager
def converse(launch: Launch, *, log: Path, bounds: Bounds) -> Iterator[Conversation]:
    """Start a program whose standard input and output are ours; its standard error goes to `log`.

    `launch.stdin` is not used. When the block is left, nothing of it is alive; left by an exception, it is ended at once.
    """
    with contextlib.ExitStack() as stack:
        stdin, words = pipe(stack)
        answers, talk = pipe(stack)
        os.set_blocking(words.fileno(), False)
        _widen(words, talk)
        ends = Ends(stdin=stdin.fileno(), talk=talk.fileno())
        control = stack.enter_context(started(launch, log=log, bounds=bounds, ends=ends))
        stdin.close()
        talk.close()
        talking = Conversation(launch=launch, log=log, control=control, words=words, answers=answers)
        yield talking
        talking.end()


def _widen(*ends: IO[bytes]) -> None:
    """Let the pipes hold a long brief: neither side then waits for the other where both write at once."""
    if sys.platform == "linux":
        for end in ends:
            with contextlib.suppress(OSError):  # an ordinary user may have used up what all pipes may hold together
                fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
