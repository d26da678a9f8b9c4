"""The simulated provider's machine for one call: a process of its own that outlives every worker.

It knows nothing of the hub, as a provider would not: it is run as a file, with the call's folder as its argument, finds
`call.json` there, runs the command, and keeps `status.json` up to date. Seconds are simulated ones: real ones x `speed`.
"""

import ctypes
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

TICK_S = 0.02
STATUS_EVERY_S = 0.2
GRACE_S = 2.0
BILLED_DIGITS = 3
LOCK_TRIES = 10
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Machine:
    """Runs one call from its start to its end, and writes down what has to be paid."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.call: dict[str, Any] = json.loads((folder / "call.json").read_text(encoding="utf-8"))
        self.process: subprocess.Popen[bytes] | None = None
        self.began = 0.0
        self.written = 0.0

    def run(self) -> None:
        if self._fault("refuse") is not None:
            self._write("ended", failure="preempted", detail="no machine of this kind is free")
            return
        self._write("starting")
        time.sleep(self.call["start_delay_s"] / self.call["speed"])
        self._start()
        self._watch()

    def _start(self) -> None:
        self.began = time.monotonic()
        with (self.folder / "output.log").open("ab") as output:
            try:
                self.process = subprocess.Popen(
                    self.call["argv"],
                    cwd=self.call["working_folder"],
                    env=self.call["environment"],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=_die_with_machine,  # noqa: PLW1509 -- this process has no threads
                )
            except OSError as error:
                output.write(f"{error}\n".encode())

    def _watch(self) -> None:
        if self.process is None:
            self._write("ended", exit_code=127, failure="error", detail="the command could not be started")
            return
        limits = self._limits()
        while self.process.poll() is None:
            due = next((limit for limit in limits if self._seconds() >= limit[1]), None)
            if due is not None or (self.folder / "stop.json").exists():
                self._end(due)
                return
            if time.monotonic() - self.written > STATUS_EVERY_S:
                self._write("running")
            time.sleep(TICK_S)
        self._write("ended", exit_code=self.process.returncode)

    def _limits(self) -> list[tuple[str, float]]:
        """What ends the call from outside, and after how many simulated seconds."""
        found = [("time_out", float(self.call["timeout_s"]))]
        found += [(kind, second) for kind in ("preempt", "lose") if (second := self._fault(kind)) is not None]
        if self.call["preempt_per_hour"]:
            chance = random.Random(f"{self.call['seed']}/{self.call['key']}")  # noqa: S311 -- a repeatable fate, no secret
            found.append(("preempt", chance.expovariate(self.call["preempt_per_hour"] / 3600)))
        return sorted(found, key=lambda each: each[1])

    def _fault(self, kind: str) -> float | None:
        here = [
            each for each in self.call["faults"] if each["kind"] == kind and each["attempt"] == self.call["attempt"]
        ]
        return float(here[0]["after_s"]) if here else None

    def _end(self, due: tuple[str, float] | None) -> None:
        """By its time-out, the provider's will, or a stop that somebody asked for; billed to the moment it was due."""
        if due is None:
            code = self._kill(json.loads((self.folder / "stop.json").read_text(encoding="utf-8"))["grace_s"])
            self._write("ended", exit_code=code)
            return
        kind, billed = due
        code = self._kill(GRACE_S)
        failure = {"time_out": "time_out", "preempt": "preempted", "lose": "lost"}[kind]
        self._write("ended", exit_code=None if kind == "lose" else code, failure=failure, billed_seconds=billed)

    def _kill(self, grace_s: float) -> int:
        assert self.process is not None  # noqa: S101 -- only a running command is ended
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(grace_s)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()

    def _seconds(self) -> float:
        return (time.monotonic() - self.began) * float(self.call["speed"]) if self.began else 0.0

    def _write(self, state: str, **more: Any) -> None:
        self.written = time.monotonic()
        status = {"state": state, "billed_seconds": round(self._seconds(), BILLED_DIGITS), "at": time.time(), **more}
        part = self.folder / "status.json.part"
        part.write_text(json.dumps(status), encoding="utf-8")
        part.replace(self.folder / "status.json")


def serve(folder: Path, ready: int) -> None:
    """Only one machine serves a call: a second start of the same one is counted and does nothing."""
    with (folder / "lock").open("a") as lock:
        alone = _locked(lock.fileno())
        os.write(ready, b".")
        os.close(ready)
        if not alone:
            with (folder / "duplicates").open("a") as file:
                file.write(f"{time.time()}\n")
        elif not (folder / "status.json").exists():  # a machine that died in the middle is not started again either
            Machine(folder).run()


def main(folder: Path) -> None:
    """Goes on in a process of its own and returns once that can be found by its lock."""
    readable, writable = os.pipe()
    if os.fork():
        os.close(writable)
        os.read(readable, 1)
        os._exit(0)
    os.close(readable)
    serve(folder, writable)


def _locked(descriptor: int) -> bool:
    """Somebody who only looks whether the lock is held has it for a moment, so one try is not enough."""
    for _ in range(LOCK_TRIES):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(TICK_S)
    return False


def _die_with_machine() -> None:
    """Runs in the command's process before it begins: a provider's machine takes its command along."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
