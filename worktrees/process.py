"""The one door to processes that we do not trust: bounded, watched, ended to the last descendant, and receipted."""

from __future__ import annotations

import contextlib
import fcntl
import marshal
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import psutil

from worktrees.cancellation import Cancellation
from worktrees.confinement import doors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from worktrees.confinement import Confinement

Ending = Literal["exited", "timeout", "disk", "limits", "interrupted", "not-started"]

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
# as a script it would be compiled at every start; loaded as a module it is compiled once
_START = """
import sys
from importlib.machinery import SourceFileLoader
from types import ModuleType
module = ModuleType("supervisor")
module.__file__ = sys.argv.pop(1)
SourceFileLoader("supervisor", module.__file__).exec_module(module)
module.main()
"""
LENGTH = 8
"""Bytes that say how long the orders are."""
_SEALS = ("F_SEAL_WRITE", "F_SEAL_GROW", "F_SEAL_SHRINK", "F_SEAL_SEAL")


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Limits of one process tree."""

    timeout_s: float
    output_bytes: int = 8 * 2**20
    """What is kept of stdout and stderr: the first and the last half; the rest is counted and dropped."""
    disk_bytes: int | None = None
    """Growth allowed to all writable folders together; None: not watched."""
    file_bytes: int | None = None
    """Size allowed to one file."""
    processes: int | None = None
    """How many may be alive at once, the helpers of the sandbox included."""
    memory_bytes: int | None = None
    """Held by all processes together, counted without what they share."""
    patience_s: float = 2.0
    """Time between the polite signal and the deadly one."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What to start. `env` is the whole environment: nothing is inherited."""

    command: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    confinement: Confinement
    stdin: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What the harness itself measured; an agent's words are never a receipt."""

    command: tuple[str, ...]
    exit: int | None
    """Exit code; negative: the signal that ended it; None: it never started, or its end was not seen."""
    ending: Ending
    reason: str
    """One sentence for a person; "" when it exited by itself."""
    seconds: float
    output_sha256: str
    """Of everything printed, dropped bytes included."""
    output_bytes: int
    log: str
    survivors: int
    """Processes that were alive after the main one had ended, and were ended by us."""
    confinement: str


class InterruptedRunError(KeyboardInterrupt):
    """Ctrl-C during a run: its tree is gone, and this is what was measured until then."""

    def __init__(self, receipt: Receipt) -> None:
        super().__init__(receipt.reason)
        self.receipt = receipt


def run(launch: Launch, *, log: Path, bounds: Bounds, cancel: Cancellation | None = None) -> Receipt:
    """Run one program and all it starts; when this returns or raises, nothing of it is alive.

    A program that can not be started is a receipt, too, not an exception. Should this process be killed, its supervisor
    ends the tree. On Ctrl-C the tree is ended and `InterruptedRunError` (a KeyboardInterrupt) raised; when `cancel` is set,
    from whatever thread, it is ended and CancelledError raised.
    """
    cancel = cancel or Cancellation()
    cancel.check()
    begun = time.monotonic()
    with (
        _readable(launch.stdin) as stdin,
        started(launch, log=log, bounds=bounds, ends=Ends(stdin=stdin)) as control,
        cancel.ending(control.channel.close),
    ):
        try:
            answer = receive(control.result)
        except KeyboardInterrupt as interrupt:
            control.channel.close()  # the supervisor takes the end of this pipe as its order to end everything
            raise InterruptedRunError(receipt(launch, log, begun, receive(control.result))) from interrupt
    return receipt(launch, log, begun, answer)


def start_time(pid: int) -> str | None:
    """Names a process beyond its pid, which the system gives to others later; None when it is dead or a zombie."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if sys.platform == "linux":  # ticks since the boot, unlike create_time(), do not move with the clock
            ticks = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19].decode()
            return f"{Path('/proc/sys/kernel/random/boot_id').read_text('ascii').strip()}:{ticks}"
        return f"{process.create_time():.3f}"
    except (psutil.Error, OSError):
        return None


def _orders(launch: Launch, *, log: Path, bounds: Bounds, talk: int | None) -> bytes:
    if not launch.command:
        raise ValueError("a command needs at least the name of its program")
    confinement = launch.confinement
    orders = {
        "command": list(launch.command),
        "cwd": os.fspath(launch.cwd),
        "env": dict(launch.env),
        "talk": talk,
        "log": os.path.abspath(log),  # noqa: PTH100  # resolve() would follow a link planted at the end of it
        "level": confinement.level,
        "rules": confinement.rules() if confinement.level == "landlock" else [],
        "wrapper": _wrapper(launch) if confinement.level == "bubblewrap" else [],
        "layers": [
            [str(place) for place in (layer.lower, layer.upper, layer.work, layer.at, *layer.between)]
            for layer in confinement.layers
        ],
        "unix": confinement.level == "landlock" and not doors(confinement),
        "visible": [str(path) for path in confinement.visible],
        "ports": confinement.opening.ports if confinement.opening else (),
        "write": [os.fspath(path) for path in confinement.write],
        "timeout_s": bounds.timeout_s,
        "patience_s": bounds.patience_s,
        "output_bytes": bounds.output_bytes,
        "disk_bytes": bounds.disk_bytes,
        "file_bytes": bounds.file_bytes,
        "processes": bounds.processes,
        "memory_bytes": bounds.memory_bytes,
    }
    data = marshal.dumps(orders)
    return len(data).to_bytes(LENGTH, "big") + data


def _wrapper(launch: Launch) -> list[str]:
    from worktrees import bubblewrap

    return bubblewrap.arguments(launch.confinement, cwd=launch.cwd)


@dataclass(frozen=True, kw_only=True)
class Ends:
    """Descriptors that become the program's own."""

    stdin: int
    talk: int | None = None
    """Its standard output, where that is not to go into the log."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """Our ends of a supervisor's pipes."""

    channel: IO[bytes]
    """Its end is the order to end everything; a byte on it is a signal to be sent."""
    result: IO[bytes]


@contextlib.contextmanager
def started(launch: Launch, *, log: Path, bounds: Bounds, ends: Ends) -> Iterator[Control]:
    """Start a program under a supervisor; both are gone, and all that the program started, when the block is left."""
    orders = _orders(launch, log=log, bounds=bounds, talk=ends.talk)
    log.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        reader, channel = pipe(stack)
        result, answers = pipe(stack)
        fds = (reader.fileno(), answers.fileno())
        process = subprocess.Popen(
            # utf8: names of files must mean the same bytes there as here, whatever the locale of an empty environment
            [sys.executable, "-I", "-S", "-X", "utf8", "-c", _START, os.fspath(_SUPERVISOR), *map(str, fds)],
            stdin=ends.stdin,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ},
            pass_fds=fds if ends.talk is None else (*fds, ends.talk),
            start_new_session=True,  # Ctrl-C reaches the harness only, which decides
        )
        try:
            reader.close()
            answers.close()
            _send(channel, orders)
            yield Control(channel=channel, result=result)
        finally:
            with contextlib.suppress(BrokenPipeError):
                channel.close()
            process.wait()


def pipe(stack: contextlib.ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    reader, writer = os.pipe()
    return stack.enter_context(os.fdopen(reader, "rb")), stack.enter_context(os.fdopen(writer, "wb", buffering=0))


@contextlib.contextmanager
def _readable(data: bytes) -> Iterator[int]:
    """A file with `data`: unlike a pipe it never blocks anybody, however little of it is read."""
    if not data:
        with Path(os.devnull).open("rb") as nothing:
            yield nothing.fileno()
        return
    with _anonymous() as file:
        file.write(data)
        file.flush()
        file.seek(0)
        if sys.platform == "linux":  # a reader could otherwise write to it, and fill the memory of the machine
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, sum(getattr(fcntl, seal) for seal in _SEALS))
        yield file.fileno()


def _anonymous() -> IO[bytes]:
    """In memory where that can be: Landlock lets a program open /dev/stdin again when it has no path."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "w+b")
    return tempfile.TemporaryFile()


def _send(channel: IO[bytes], orders: bytes) -> None:
    left = memoryview(orders)
    with contextlib.suppress(BrokenPipeError):  # a supervisor that died says so by an empty answer
        while left:
            left = left[channel.write(left) :]


def receive(result: IO[bytes]) -> dict[str, Any]:
    try:
        answer = marshal.loads(result.read())  # noqa: S302 - from our own supervisor
    except (EOFError, ValueError, TypeError):
        reason = "its supervisor was killed from outside; the main program went with it, its children may be left"
        return {"ending": "interrupted", "reason": reason}
    return dict(answer)


def receipt(launch: Launch, log: Path, begun: float, answer: dict[str, Any]) -> Receipt:
    nothing = {
        "exit": None,
        "seconds": time.monotonic() - begun,
        "output_sha256": "",
        "output_bytes": 0,
        "survivors": 0,
        "confinement": launch.confinement.level,
    }
    return Receipt(command=tuple(launch.command), log=os.fspath(log), **(nothing | answer))
