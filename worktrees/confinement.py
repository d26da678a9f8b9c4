"""What a process tree may touch. The rules are kept by the kernel, not by the good will of the tree."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from worktrees import landlock

Level = Literal["landlock", "none"]

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/opt", "/nix/store", "/proc", "/sys")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")
# POSIX semaphores and shared memory are files in here: without it multiprocessing.Lock and torch's data loaders fail.
# It is shared with every other process of the user, so it gets files only: no folders, links, sockets or programs.
_SHARED_MEMORY = "/dev/shm"  # noqa: S108  # the place POSIX shared memory has; no temporary file of ours is put there
_NAME_RESOLUTION = ("/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager")  # where /etc/resolv.conf leads
_GAPS = (  # first ABI that closes it, and what is open below
    (1, "nothing is confined: the kernel offers no Landlock"),
    (3, "files outside can be emptied with truncate()"),
    (4, "TCP is not restricted"),
    (5, "device ioctls are not restricted"),
    (6, "processes outside can be signalled, and their abstract sockets reached"),
)


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """Folders (or single files) open to one process tree, and whether it has TCP.

    With level "landlock" everything else is closed, but for the system's own folders and the interpreter of the harness
    (read), and devices such as /dev/null. Landlock knows ports, not addresses: TCP is all or nothing here, and UDP and
    sockets that are files stay reachable. Modes and times of files outside can be changed, their content can not.
    What may be written is named by its real path: a link there, maybe planted by an earlier run, stops the start.
    The caller points HOME and TMPDIR of the tree into a folder of `write`.
    """

    level: Level
    write: tuple[Path, ...]
    read: tuple[Path, ...] = ()
    network: bool = False

    def __post_init__(self) -> None:
        relative = [str(path) for path in (*self.write, *self.read) if not path.is_absolute()]
        if relative:
            raise ValueError(f"a confinement needs absolute paths, not {', '.join(relative)}")

    def rules(self) -> list[tuple[str, int]]:
        """Paths with their Landlock rights; what the caller named must exist, the system's part is taken as found."""
        named = [(str(path), landlock.WRITE) for path in self.write]
        named += [(str(path), landlock.READ) for path in self.read]
        system = [(path, landlock.READ) for path in (*_SYSTEM, *interpreter())]
        system += [(path, landlock.READ) for path in _NAME_RESOLUTION if self.network]
        system += [(path, landlock.DEVICE) for path in _DEVICES]
        system.append((_SHARED_MEMORY, landlock.SHARED_MEMORY))
        return named + [(path, rights) for path, rights in system if os.path.lexists(path)]


def interpreter() -> tuple[str, ...]:
    """Folders of the harness's Python and its environment; they may lie in a home folder that stays closed (pyenv)."""
    return tuple(sorted({sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}))


@functools.cache
def available() -> Level:
    """Best level that this machine really offers: proven on a short-lived child, asked once per process."""
    if not landlock.abi():
        return "none"
    with tempfile.TemporaryDirectory(prefix="signalbox-probe-") as folder:
        Path(folder, "inside").mkdir()
        probe = [sys.executable, "-I", "-S", landlock.__file__, str(Path(folder).resolve())]
        outcome = subprocess.run(probe, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    return "none" if outcome.returncode else "landlock"


def gaps() -> tuple[str, ...]:
    """What the Landlock of this kernel can not refuse yet, one sentence each."""
    found = landlock.abi()
    return tuple(gap for closed_by, gap in _GAPS if found < closed_by)
