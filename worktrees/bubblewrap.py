"""The strongest level: namespaces of its own through bubblewrap, on a root that holds only what is named."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from worktrees.confinement import ETC, SYSTEM, interpreter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worktrees.confinement import Confinement

PROGRAM = "bwrap"
SHARED_MEMORY_BYTES, TMP_BYTES = 1 << 30, 256 << 20
"""In memory; what is bigger goes to TMPDIR, which is on disk and counted."""
BRIDGE = Path(__file__).with_name("bridge.py")


def arguments(confinement: Confinement, *, cwd: Path) -> list[str]:
    """Give everything before the command, but for the descriptor of the system call filter."""
    program = shutil.which(PROGRAM) or f"/usr/bin/{PROGRAM}"  # when it went away, the start says so
    namespaces = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net"]
    ourselves = ["--unshare-cgroup-try", "--uid", str(os.getuid()), "--gid", str(os.getgid())]
    bounds = ["--cap-drop", "ALL", "--disable-userns", "--die-with-parent", "--hostname", "sandbox"]
    mounts = [*_root(), *(word for mount in _named(confinement) for word in mount)]
    bridge = _bridge(confinement)
    # settings of the kernel (core_pattern starts programs) are files of root, who the owner is when root runs the harness
    sealed = ["--remount-ro", "/proc", "--remount-ro", "/"]
    return [program, *namespaces, *ourselves, *bounds, *mounts, *sealed, "--chdir", str(cwd), "--", *bridge]


def _root() -> list[str]:
    words = ["--proc", "/proc", "--dev", "/dev", "--size", str(SHARED_MEMORY_BYTES), "--tmpfs", "/dev/shm"]  # noqa: S108 - the sandbox's own
    words += ["--size", str(TMP_BYTES), "--tmpfs", "/tmp", "--dir", "/run", "--dir", "/var"]  # noqa: S108 - the sandbox's own
    # no link to the other one: a repository that lies below it is mounted there
    words += ["--size", str(TMP_BYTES), "--tmpfs", "/var/tmp"]  # noqa: S108 - the sandbox's own
    for path in (*SYSTEM, *ETC):
        if os.path.islink(path):  # noqa: PTH114 - /bin on a merged system, /etc/localtime
            words += ["--symlink", os.readlink(path), path]  # noqa: PTH115 - as above
        elif os.path.exists(path):  # noqa: PTH110 - as above
            words += ["--ro-bind", path, path]
    return words


def _named(confinement: Confinement) -> Iterator[tuple[str, str, str]]:
    """Mount what was named, outer folders before inner ones, so that none hides another."""
    mounts = {str(path): "--ro-bind" for path in (*interpreter(), *confinement.read)}
    if confinement.opening:
        mounts |= {str(path): "--ro-bind" for path in (confinement.opening.sockets, BRIDGE)}
    mounts |= dict.fromkeys((str(path) for path in confinement.write), "--bind")
    mounts |= dict.fromkeys((str(layer.at) for layer in confinement.layers), "--bind")
    for path in sorted(mounts, key=lambda one: one.split("/")):
        if mounts[path] == "--bind" or not _within(path, SYSTEM):
            yield mounts[path], path, path


def _within(path: str, folders: tuple[str, ...]) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in folders)


def _bridge(confinement: Confinement) -> list[str]:
    """Start the command behind a helper that carries the loopback's ports to the harness's sockets."""
    if confinement.opening is None or not confinement.opening.ports:
        return []
    return [sys.executable, "-I", "-S", str(BRIDGE), str(confinement.opening.sockets), "--"]
