"""Starts the real command line as forks of one process that has imported it: a start costs milliseconds, and a kill is as real."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parent.parent.parent
PR_SET_CHILD_SUBREAPER = 36
READY_S = 120.0
STEP_S = 0.01
DEFECT = 70


@dataclass(frozen=True, kw_only=True)
class Started:
    """One process of the command line."""

    pid: int
    out: Path
    err: Path

    def said(self) -> str:
        """Give what it printed, both streams; for a person who reads a violation."""
        return "\n".join(file.read_text(encoding="utf-8", errors="replace")[-2000:] for file in (self.out, self.err))

    def kill(self, *, group: bool = False) -> None:
        """Kill it, or it and what runs in its process group."""
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, signal.SIGKILL)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a process of the command line finds around it."""

    cwd: Path
    env: Mapping[str, str]
    outputs: Path
    under: tuple[str, ...] = ()
    """A program that runs it, such as strace with its options; it is then a fresh interpreter, no fork."""


class Starter:
    """A process that forks the command line on request, and inherits whatever a killed one leaves running."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._lock = threading.Lock()
        self._ours = ours
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment, cwd="/")
        self._lines = ours.makefile("r", encoding="utf-8")
        self._count = 0
        self._ask(what="ready")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._ours.close()
        self._process.wait(READY_S)

    def start(self, *arguments: str, scene: Surroundings) -> Started:
        """Start `orchestrate ARGUMENTS`; its streams go into files below `outputs`."""
        self._count += 1
        scene.outputs.mkdir(parents=True, exist_ok=True)
        out, err = (scene.outputs / f"{self._count:04d}.{name}" for name in ("out", "err"))
        facts = {"cwd": str(scene.cwd), "env": dict(scene.env), "under": scene.under, "out": str(out), "err": str(err)}
        return Started(pid=self._ask(what="start", arguments=arguments, facts=facts), out=out, err=err)

    def poll(self, started: Started) -> int | None:
        """Give the exit code, negative for a signal; None while it runs."""
        code: int | None = self._ask(what="poll", pid=started.pid)
        return code

    def wait(self, started: Started, *, seconds: float) -> int | None:
        """Wait for the exit code; None when it did not end in time."""
        deadline = time.monotonic() + seconds
        while (code := self.poll(started)) is None and time.monotonic() < deadline:
            time.sleep(STEP_S)
        return code

    def living(self) -> list[str]:
        """List the command lines of everything that was started here and still runs."""
        return list(self._ask(what="living"))

    def sweep(self) -> int:
        """Kill everything that was started here, as the death of the machine would; say how many."""
        return int(self._ask(what="sweep"))

    def _ask(self, **request: Any) -> Any:
        with self._lock:
            self._ours.sendall(json.dumps(request).encode() + b"\n")
            answer = self._lines.readline()
        if not answer:
            raise RuntimeError("the starter died")
        return json.loads(answer)["answer"]


# the other side


class _Server:
    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._codes: dict[int, int] = {}

    def answer(self, request: dict[str, Any]) -> object:
        what = request.pop("what")
        self._reap()
        if what == "start":
            return self._start(**request)
        if what == "poll":
            return self._codes.get(request["pid"])
        if what == "living":
            return [" ".join(_command(process)) for process in _offspring()]
        return self._sweep() if what == "sweep" else True

    def _start(self, *, arguments: Sequence[str], facts: dict[str, Any]) -> int:
        pid = os.fork()
        if pid:
            return pid
        self._channel.close()
        os.setsid()
        streams = ((0, os.devnull, os.O_RDONLY), (1, facts["out"], os.O_WRONLY), (2, facts["err"], os.O_WRONLY))
        for number, name, flags in streams:
            os.dup2(os.open(name, flags | (os.O_CREAT | os.O_APPEND if flags else 0), 0o600), number)
        os.chdir(facts["cwd"])
        os.environ.clear()
        os.environ.update(facts["env"])
        if under := facts["under"]:
            os.execvp(under[0], [*under, sys.executable, "-m", "orchestrator", *arguments])  # noqa: S606 - it is this very process
        sys.argv = ["orchestrate", *arguments]
        try:
            from orchestrator.__main__ import main

            main()
        finally:
            os._exit(DEFECT)  # whatever got past it, this process serves nobody

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                self._codes[pid] = os.waitstatus_to_exitcode(status)

    def _sweep(self) -> int:
        swept: set[int] = set()
        while left := _offspring():
            for process in left:
                swept.add(process.pid)
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(STEP_S)
            self._reap()
        return len(swept)


def _offspring() -> list[psutil.Process]:
    return [one for one in psutil.Process().children(recursive=True) if _status(one) != psutil.STATUS_ZOMBIE]


def _status(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.NoSuchProcess:
        return str(psutil.STATUS_ZOMBIE)


def _command(process: psutil.Process) -> list[str]:
    try:
        return [str(process.pid), *process.cmdline()]
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def serve(channel: socket.socket) -> None:
    """Answer one request after the other until the channel is closed; leave nothing behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for module in ("dbos", "dbos._dbos", "orchestrator.__main__", "orchestrator.cli", "orchestrator.commands.features"):
        __import__(module)
    __import__("orchestrator.pipeline")
    server = _Server(channel)
    held = b""
    while True:
        select.select([channel], [], [])
        data = channel.recv(1 << 16)
        if not data:
            break
        held += data
        while b"\n" in held:
            line, _, held = held.partition(b"\n")
            channel.sendall(json.dumps({"answer": server.answer(json.loads(line))}).encode() + b"\n")
    server.answer({"what": "sweep"})


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as given:
        serve(given)
