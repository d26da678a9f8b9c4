"""Keepers are born here: a small process with everything imported and a single thread, which forks one for each attempt.

A fresh interpreter would cost each attempt half a second, and a fork of the harness itself would take over its threads' locks. This
process ends with the harness; its children do not.
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tickets.errors import EnvironmentFailure

if TYPE_CHECKING:
    from orchestrator.keeper import Order

NEEDS = {"openai": "httpx", "acp": "acp", "scripted": "ruamel.yaml"}
"""Libraries that kinds of agents import when they begin: once here, instead of in each keeper."""
_KINDS = ("", *NEEDS)
_START = """
import sys
sys.path[:] = sys.argv[2:]
from orchestrator.nursery import serve
serve(int(sys.argv[1]))
"""


@dataclass(kw_only=True)
class Nursery:
    """The harness's end of it. Any thread may have a keeper made."""

    process: subprocess.Popen[bytes] | None = None
    line: socket.socket | None = None
    closed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self) -> None:
        """Start it, unless it runs."""
        with self._lock:
            self._running()

    def start(self, lock: int, order: Order) -> None:
        """Have a keeper made that holds the lock; ours is given up."""
        reader, writer = os.pipe()
        with os.fdopen(writer, "wb") as words:
            try:
                self._send(order.task.workspace.policy.agent(order.task.wish.agent).kind, lock, reader)
            finally:
                os.close(lock)
                os.close(reader)
            with suppress(BrokenPipeError):  # a keeper that died says so by leaving nothing
                pickle.dump(order, words)

    def _send(self, kind: str, *ends: int) -> None:
        word = bytes([_KINDS.index(kind) if kind in NEEDS else 0])
        with self._lock:
            for last in (False, True):
                try:
                    socket.send_fds(self._running(), [word], ends)
                except OSError as error:
                    self._stop()
                    if last:
                        raise EnvironmentFailure(f"no process can be started that holds an agent: {error}") from error
                else:
                    return

    def _running(self) -> socket.socket:
        if self.closed:
            raise EnvironmentFailure("the run is being stopped")
        if self.line is None:
            self.line, theirs = socket.socketpair()
            with theirs:
                self.process = subprocess.Popen(
                    [
                        sys.executable,
                        "-I",
                        "-X",
                        f"utf8={sys.flags.utf8_mode}",
                        "-c",
                        _START,
                        str(theirs.fileno()),
                        *map(os.path.abspath, sys.path),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,  # a defect of its own is told where the harness tells its errors
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,  # Ctrl-C reaches the harness only, which decides
                )
        return self.line

    def close(self) -> None:
        """Have no more keepers made, those included that were asked for and are not there yet."""
        with self._lock:
            self.closed = True
            self._stop()

    def _stop(self) -> None:
        if self.line is not None and self.process is not None:
            self.process.kill()
            self.process.wait()
            self.line.close()
        self.line = self.process = None


NURSERY = Nursery()
"""The one of this process."""


# its own process


def serve(channel: int) -> None:
    """Fork a keeper for each message: the kind of its agent, the lock that it holds, and the pipe with its order."""
    from orchestrator.keeper import keep, rehearse

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for keepers here
    rehearse()
    gc.collect()
    gc.freeze()  # what is there now is shared by all keepers, and stays so
    with socket.socket(fileno=channel) as line:
        while True:
            word, ends, _, _ = socket.recv_fds(line, 1, 2)
            if not word:
                return
            if needed := NEEDS.get(_KINDS[word[0]]):
                with suppress(ImportError):  # the driver says that it is missing
                    importlib.import_module(needed)
            if os.fork() == 0:
                try:
                    _leave_home(line, ends)
                    keep(*ends)
                finally:
                    os._exit(0)
            for end in ends:
                os.close(end)


def _leave_home(line: socket.socket, ends: list[int]) -> None:
    os.setsid()
    os.chdir("/")
    os.dup2(0, 2)  # whoever waits for the harness's last words does not wait for keepers
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    line.close()
    for end in ends:
        os.set_inheritable(end, False)
