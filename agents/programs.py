"""A client's program: where it is, which version it says it is, and whether it was replaced meanwhile."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from worktrees.confinement import Confinement
from worktrees.process import Bounds, Launch, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERSION_S = 20.0
_NUMBER = re.compile(r"\b(\d+)\.(\d+)\.(\d+)\b")

Version = tuple[int, ...]
Mark = tuple[tuple[int, ...], ...]


def located(command: Sequence[str], root: Path) -> tuple[str, ...]:
    """Give the command as it is started: a program with a `/` in its name is looked up from the repository first."""
    inside = root / command[0]
    first = str(inside) if "/" in command[0] and inside.exists() else command[0]
    return (first, *command[1:])


def found(command: Sequence[str], root: Path) -> str | None:
    """Give the path of the command's program; None where there is none that can be started."""
    return shutil.which(located(command, root)[0])


def absent(command: Sequence[str]) -> str:
    return f"{command[0]!r} is neither on the PATH nor an executable file"


def mark(command: Sequence[str]) -> Mark:
    """Tell the same program from one that took its place; with an interpreter in front the client is the second word."""
    stats = [os.stat(word) for word in command[:2] if os.path.isfile(word)]  # noqa: PTH113, PTH116 - words, not yet paths
    return tuple((each.st_dev, each.st_ino, each.st_size, each.st_mtime_ns) for each in stats)


def number(said: str) -> Version | None:
    """Read the first version that is named."""
    match = _NUMBER.search(said)
    return tuple(map(int, match.groups())) if match else None


def dotted(version: Version) -> str:
    return ".".join(map(str, version))


def version_said(command: Sequence[str], variables: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Give what the program prints when it is asked for its version, in a home of its own, and what went wrong."""
    with tempfile.TemporaryDirectory(prefix="signalbox-version-") as folder:
        home = Path(folder).resolve()
        own = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "TMPDIR": str(home)}
        what = Launch(
            command=(*command, "--version"),
            cwd=home,
            env={**own, **(variables or {})},
            confinement=Confinement(level="none", write=(home,)),
        )
        receipt = run(what, log=home / "log", bounds=Bounds(timeout_s=VERSION_S, output_bytes=1 << 16))
        log = home / "log"
        said = log.read_text(encoding="utf-8", errors="replace").strip() if log.exists() else ""
    return said, "" if receipt.exit == 0 else receipt.reason or f"exit code {receipt.exit}"
