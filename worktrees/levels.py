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
_LAYERS: dict[int, str] = {}
"""What was found out on each file system, by its device."""
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
    """Try the exact combination: all namespaces, the filter, and that its neighbour is out of sight."""
    if sys.platform != "linux":
        return "namespaces are Linux's own"
    if shutil.which(bubblewrap.PROGRAM) is None:
        return f"{bubblewrap.PROGRAM} is not installed (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap)"
    with tempfile.TemporaryDirectory(prefix="signalbox-probe-") as place:
        folder = Path(place).resolve()
        (folder / "at").mkdir()
        (folder / "at" / "old").write_text("old", encoding="ascii")
        return _tried(folder, Confinement(level="bubblewrap", write=(folder / "at",)))


def layer_trouble(folder: Path) -> str:
    """Say why trees below the folder cannot be private layers: not every file system can hold one."""
    if why := trouble("bubblewrap"):
        return why
    folder.mkdir(parents=True, exist_ok=True)
    device = folder.stat().st_dev
    if device not in _LAYERS:
        _LAYERS[device] = _layer_trouble(folder)
    return _LAYERS[device]


def _layer_trouble(folder: Path) -> str:
    with tempfile.TemporaryDirectory(dir=folder, prefix=".probe-") as name:
        place = Path(name).resolve()
        layer = Layer(lower=place / "lower", upper=place / "upper", work=place / "work", at=place / "at")
        layer.make()
        for each in (layer.lower, layer.at):
            each.mkdir()
        (layer.lower / "old").write_text("old", encoding="ascii")
        why = _tried(place, Confinement(level="bubblewrap", write=(), layers=(layer,)))
        shutil.rmtree(layer.work / "work", ignore_errors=True)  # the kernel's own, without any rights
        return why or ("" if (layer.lower / "old").is_file() else "what is below a layer was changed")


def _tried(folder: Path, confinement: Confinement) -> str:
    """Run the probe in the folder `at`; say what went wrong."""
    at = folder / "at"
    script = f"grep -q old old && rm old && echo new > new && test ! -e {folder}/log && test $(ls /proc | grep -c '^[0-9]') -lt 8"
    launch = Launch(command=["sh", "-c", script], cwd=at, env={"PATH": "/usr/bin:/bin"}, confinement=confinement)
    receipt = run(launch, log=folder / "log", bounds=Bounds(timeout_s=PROBE_TIMEOUT_S))
    if receipt.exit == 0:
        return ""
    said = (folder / "log").read_text(errors="replace").strip().splitlines() if (folder / "log").is_file() else []
    return receipt.reason or (said[-1] if said else f"the probe ended with exit code {receipt.exit}")
