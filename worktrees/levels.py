"""Which levels of isolation this machine really offers, proven and not believed, and what each leaves open."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from worktrees import bubblewrap, landlock, seccomp
from worktrees.confinement import LEVELS, Confinement, Level
from worktrees.layer import Layer
from worktrees.process import Bounds, Launch, run

PROBE_TIMEOUT_S = 30
_GAPS = (  # first ABI that closes it, and what is open below
    (1, "nothing is confined: the kernel offers no Landlock"),
    (3, "files outside can be emptied with truncate()"),
    (4, "TCP is not restricted"),
    (5, "device ioctls are not restricted"),
    (6, "processes outside can be signalled, and their abstract sockets reached"),
)
_ALWAYS = (
    "the list of processes and their command lines are visible, and that files outside change can be noticed",
    "shared memory and semaphores of the user's other processes (/dev/shm) can be changed and left behind",
    "TCP to an allowed port reaches it on every address",
    "there is no loopback of the tree's own: tests that start a server fail",
    "where a service listens on a unix socket (docker.sock), the tree has no unix sockets at all",
)


@functools.cache
def available() -> Level:
    """Best level that this machine really offers: proven on a short-lived child, asked once per process."""
    return next(level for level in LEVELS if level == "none" or not trouble(level))


@functools.cache
def trouble(level: Level) -> str:
    """Say why a level is not to be had here, or give an empty string: the exact combination is tried, not its parts."""
    if level == "none":
        return ""
    return _bubblewrap_trouble() if level == "bubblewrap" else _landlock_trouble()


def _landlock_trouble() -> str:
    if not landlock.abi():
        return "the kernel offers no Landlock"
    if not seccomp.supported():
        return f"no system call filter is known for this machine ({os.uname().machine})"
    with tempfile.TemporaryDirectory(prefix="signalbox-probe-") as folder:
        Path(folder, "inside").mkdir()
        probe = [sys.executable, "-I", "-S", landlock.__file__, str(Path(folder).resolve())]
        outcome = subprocess.run(
            probe, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_TIMEOUT_S, check=False
        )
    return "Landlock does not hold what it says" if outcome.returncode else ""


def gaps(level: Level) -> tuple[str, ...]:
    """What a level leaves open here, one sentence each."""
    if level == "bubblewrap":
        return ()
    if level == "none":
        return ("nothing is confined: programs have every right of the user who started them",)
    found = landlock.abi()
    return (*(gap for closed_by, gap in _GAPS if found < closed_by), *_ALWAYS)


def _bubblewrap_trouble() -> str:
    """Try the exact combination: a layer, all namespaces, the filter, and that its neighbour is out of sight."""
    if sys.platform != "linux":
        return "namespaces are Linux's own"
    if shutil.which(bubblewrap.PROGRAM) is None:
        return f"{bubblewrap.PROGRAM} is not installed (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap)"
    with tempfile.TemporaryDirectory(prefix="signalbox-probe-") as folder:
        return _tried(Path(folder).resolve())


def _tried(folder: Path) -> str:
    layer = Layer(lower=folder / "lower", upper=folder / "upper", work=folder / "work", at=folder / "at")
    layer.make()
    for place in (layer.lower, layer.at):
        place.mkdir()
    (layer.lower / "old").write_text("old", encoding="ascii")
    confinement = Confinement(level="bubblewrap", write=(), layers=(layer,))
    script = f"grep -q old old && rm old && echo new > new && test ! -e {folder}/lower && test $(ls /proc | grep -c '^[0-9]') -lt 8"
    launch = Launch(command=["sh", "-c", script], cwd=layer.at, env={"PATH": "/usr/bin:/bin"}, confinement=confinement)
    receipt = run(launch, log=folder / "log", bounds=Bounds(timeout_s=PROBE_TIMEOUT_S))
    if receipt.exit == 0 and (layer.upper / "new").is_file() and (layer.lower / "old").is_file():
        return ""
    said = (folder / "log").read_text(errors="replace").strip().splitlines() if (folder / "log").is_file() else []
    return receipt.reason or (said[-1] if said else f"the probe ended with exit code {receipt.exit}")
