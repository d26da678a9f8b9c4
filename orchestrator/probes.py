"""What a sandbox must refuse, tried on the real thing: each probe runs under a level and says what got through."""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from worktrees.confinement import Confinement, Level
from worktrees.layer import Layer
from worktrees.process import Bounds, Launch, Receipt, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECRET = "the words that nobody may read"  # noqa: S105 - a marker, not a password
TIMEOUT_S, PROCESSES, MEMORY, DISK = 20.0, 48, 192 << 20, 24 << 20


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A tree to work in, and beside it what must stay as it is."""

    folder: Path
    level: Level

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    @property
    def outside(self) -> Path:
        return self.folder / "outside"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def run(self, code: str) -> Receipt:
        layers = (self._layer(),) if self.level == "bubblewrap" else ()
        write = (self.home,) if layers else (self.tree, self.home)
        confinement = Confinement(level=self.level, write=write, layers=layers)
        env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.home), "TMPDIR": str(self.home)}
        launch = Launch(command=[sys.executable, "-c", code], cwd=self.tree, env=env, confinement=confinement)
        bounds = Bounds(timeout_s=TIMEOUT_S, processes=PROCESSES, memory_bytes=MEMORY, disk_bytes=DISK)
        return run(launch, log=self.folder / "log", bounds=bounds)

    def said(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def _layer(self) -> Layer:
        return Layer(lower=self.folder / "lower", upper=self.folder / "up", work=self.folder / "work", at=self.tree)

    def make(self) -> None:
        for folder in (self.tree, self.outside, self.home, self.outside / ".git"):
            folder.mkdir(parents=True)
        (self.outside / "file").write_text(SECRET, encoding="utf-8")
        (self.outside / ".git" / "config").write_text(SECRET, encoding="utf-8")
        if self.level == "bubblewrap":
            layer = self._layer()
            layer.make()
            layer.lower.mkdir()
            (layer.lower / "file").write_text("as it was", encoding="utf-8")
        else:
            (self.tree / "file").write_text("as it was", encoding="utf-8")


def _writes_inside(lab: Lab) -> str:
    receipt = lab.run("open('file', 'w').write('new'); import os; os.replace('file', 'other')")
    return "" if receipt.exit == 0 else f"an honest write failed: {receipt.reason or lab.said()[-200:]}"


def _writes_outside(lab: Lab) -> str:
    lab.run(f"open({str(lab.outside / 'new')!r}, 'w').write('x')")
    lab.run(f"open({str(lab.outside / 'file')!r}, 'w').write('x')")
    kept = (lab.outside / "file").read_text(encoding="utf-8") == SECRET
    return "" if kept and not (lab.outside / "new").exists() else "a file outside was written"


def _links_outside(lab: Lab) -> str:
    lab.run(f"import os; os.symlink({str(lab.outside)!r}, 'link'); open('link/new', 'w').write('x')")
    return "" if not (lab.outside / "new").exists() else "a link led outside"


def _reads_outside(lab: Lab) -> str:
    lab.run(f"print(open({str(lab.outside / 'file')!r}).read())")
    first = lab.said()
    lab.run(f"print(open({str(lab.outside / '.git' / 'config')!r}).read())")
    return "" if SECRET not in first + lab.said() else "a file outside was read"


def _reads_the_harness(lab: Lab) -> str:
    lab.run(f"print(open('/proc/{os.getpid()}/environ').read()[:100] and {SECRET!r})")
    return "" if SECRET not in lab.said() else "the environment of the harness was read"


def _signals(lab: Lab) -> str:
    pid = os.fork()
    if pid == 0:
        _wait_to_be_ended()
    lab.run(f"import os; os.kill({pid}, 9)")
    ended, _ = os.waitpid(pid, os.WNOHANG)
    if not ended:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return "a process outside was ended" if ended else ""


def _wait_to_be_ended() -> None:
    signal.alarm(int(TIMEOUT_S) * 3)
    while True:
        signal.pause()


def _connects(lab: Lab) -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        lab.run(f"import socket; socket.create_connection(('127.0.0.1', {listener.getsockname()[1]}), 3)")
        return "a service of this machine was reached" if _visited(listener) else ""


def _unix_socket(lab: Lab) -> str:
    with socket.socket(socket.AF_UNIX) as listener:
        place = str(lab.outside / "door")
        try:
            listener.bind(place)
        except OSError:
            return ""  # the temporary folder's path is too long for a socket: there is nothing to be reached
        listener.listen()
        lab.run(f"import socket; socket.socket(socket.AF_UNIX).connect({place!r})")
        return "a unix socket outside was reached" if _visited(listener) else ""


def _visited(listener: socket.socket) -> bool:
    listener.settimeout(0)
    try:
        listener.accept()[0].close()
    except OSError:
        return False
    return True


_DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open({pid!r}, "w").write("here")
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)", {marker!r}])
time.sleep(0.3)
"""


def _stays(lab: Lab) -> str:
    marker = f"signalbox-probe-{os.getpid()}"
    lab.run(_DAEMON.format(pid=str(lab.home / "pid"), marker=marker))
    if not (lab.home / "pid").exists():
        return "the probe could not start a daemon"
    lives = any(marker in (process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))
    return "a process outlived the run" if lives else ""


_CROWD = """
import os, time
for _ in range(400):
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
time.sleep(30)
"""


def _too_many(lab: Lab) -> str:
    receipt = lab.run(_CROWD)
    return "" if receipt.ending == "limits" else f"400 processes ended as {receipt.ending}"


def _too_much_memory(lab: Lab) -> str:
    receipt = lab.run("x = bytearray(b'x') * (600 << 20); import time; time.sleep(30)")
    return "" if receipt.ending == "limits" else f"600 MiB of memory ended as {receipt.ending}"


def _too_much_disk(lab: Lab) -> str:
    receipt = lab.run("f = open('big', 'wb'); f.write(bytes(80 << 20)); f.flush(); import time; time.sleep(30)")
    return "" if receipt.ending in {"disk", "limits"} else f"80 MiB on disk ended as {receipt.ending}"


PROBES: dict[str, Callable[[Lab], str]] = {
    "honest work is possible": _writes_inside,
    "nothing outside is written": _writes_outside,
    "no link leads outside": _links_outside,
    "nothing outside is read": _reads_outside,
    "the harness's environment is closed": _reads_the_harness,
    "no process outside is signalled": _signals,
    "no service is reached over TCP": _connects,
    "no service is reached over a unix socket": _unix_socket,
    "no process stays behind": _stays,
    "processes are bounded": _too_many,
    "memory is bounded": _too_much_memory,
    "disk is bounded": _too_much_disk,
}
"""What is tried, and how; a probe gives one sentence about what got through, or an empty string."""


@contextmanager
def lab(folder: Path, level: Level) -> Iterator[Lab]:
    """A lab that is made, used once, and thrown away."""
    from worktrees.checkout import remove

    place = Lab(folder=folder, level=level)
    place.make()
    try:
        yield place
    finally:
        remove(folder)
