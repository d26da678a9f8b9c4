"""What a process tree may touch. The rules are kept by the kernel, not by the good will of the tree."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from worktrees import landlock

if TYPE_CHECKING:
    from worktrees.layer import Layer

Level = Literal["bubblewrap", "landlock", "none"]
LEVELS: tuple[Level, ...] = ("bubblewrap", "landlock", "none")
"""The strongest first."""

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/nix/store", "/sys/devices/system")
# of /etc what programs need to run; the rest of it holds keys, password hashes and settings of other services
ETC = (
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/fonts",
    "/etc/group",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl",
    "/etc/terminfo",
    "/etc/timezone",
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")
# POSIX semaphores and shared memory are files in here: without it multiprocessing.Lock and torch's data loaders fail.
# It is shared with every other process of the user, so it gets files only: no folders, links, sockets or programs.
_SHARED_MEMORY = "/dev/shm"  # noqa: S108  # the place POSIX shared memory has; no temporary file of ours is put there
_LISTENS = 0x10000  # a flag in /proc/net/unix


@dataclass(frozen=True, kw_only=True)
class Opening:
    """The way out: nothing but the ports of one gateway of the harness."""

    sockets: Path
    """Folder with one unix socket for each port, named after it."""
    ports: tuple[int, ...]
    """On the loopback: of the tree itself where it has one, else of the machine."""


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """Folders (or single files) open to one process tree, and its way out to the network, if any.

    Everything else is closed, but for parts of the system and the interpreter of the harness (read), and devices such
    as /dev/null. "bubblewrap" gives namespaces of its own: users, mounts, processes, IPC, network. "landlock" shares
    these with the machine: `gaps` says what that leaves open.
    What may be written is named by its real path: a link there, maybe planted by an earlier run, stops the start.
    The caller points HOME and TMPDIR of the tree into a folder of `write`.
    """

    level: Level
    write: tuple[Path, ...]
    read: tuple[Path, ...] = ()
    layers: tuple[Layer, ...] = ()
    """Trees that are written copy-on-write; of level "bubblewrap" alone."""
    opening: Opening | None = None
    room: Path | None = None
    """Folder of all trees of one harness: a unix socket below is another tree's, not a service of the machine."""

    def __post_init__(self) -> None:
        relative = [str(path) for path in (*self.write, *self.read) if not path.is_absolute()]
        if relative:
            raise ValueError(f"a confinement needs absolute paths, not {', '.join(relative)}")
        if self.layers and self.level != "bubblewrap":
            raise ValueError(f"a layer needs namespaces of its own; the level {self.level} has none")

    @property
    def visible(self) -> tuple[Path, ...]:
        """Where programs can be started from, the layers first."""
        system = (Path(path).resolve() for path in (*SYSTEM, *interpreter()))
        return (*(layer.at for layer in self.layers), *self.write, *self.read, *system)

    def rules(self) -> list[tuple[str, int]]:
        """Paths with their Landlock rights; what the caller named must exist, the system's part is taken as found."""
        named = [(str(path), landlock.WRITE) for path in self.write]
        named += [(str(path), landlock.READ) for path in self.read]
        system = [(path, landlock.READ) for path in (*SYSTEM, *ETC, "/proc", *interpreter())]
        system += [(path, landlock.DEVICE) for path in _DEVICES]
        system.append((_SHARED_MEMORY, landlock.SHARED_MEMORY))
        return named + [(path, rights) for path, rights in system if os.path.lexists(path)]


def interpreter() -> tuple[str, ...]:
    """Folders of the harness's Python and its environment; they may lie in a home folder that stays closed (pyenv)."""
    return tuple(sorted({sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}))


def doors(confinement: Confinement) -> list[str]:
    """List the unix sockets that the tree could reach though they are not its own: Landlock would not stop it."""
    if landlock.abi() < landlock.ABI_SCOPE:
        return ["abstract sockets"]
    own = [*confinement.write, *([confinement.room] if confinement.room else [])]
    rows = (line.split(maxsplit=7) for line in Path("/proc/net/unix").read_text(errors="replace").splitlines()[1:])
    paths = {row[7] for row in rows if len(row) > 7 and int(row[3], 16) & _LISTENS and row[7].startswith("/")}  # noqa: PLR2004 - the column of the path
    return [
        path for path in paths if os.access(path, os.W_OK) and not any(Path(path).is_relative_to(one) for one in own)
    ]
