"""Claude Code's program: which file it really is, which version, and whether it was replaced meanwhile."""

from __future__ import annotations

import functools
import os
import platform
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from worktrees.confinement import Confinement
from worktrees.process import Bounds, Launch, run

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST = (2, 1, 295)
"""Since this version a gate that fails can be told to refuse."""
UPGRADE = "npm install -g @anthropic-ai/claude-code@latest"
VERSION_S = 20.0
_VERSION = re.compile(r"\b(\d+)\.(\d+)\.(\d+)\b")
_NATIVE = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"MZ")
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_BESIDE = 4
"""Folders above npm's stub that are searched for the platform's own package."""

Mark = tuple[int, int, int, int]


class UnfitError(Exception):
    """The client cannot be started here; the message is one sentence that says what is missing and how to get it."""


@dataclass(frozen=True, kw_only=True)
class Program:
    command: tuple[str, ...]
    version: str
    mark: Mark
    """Tells the same file from one that took its place."""

    @property
    def folder(self) -> Path:
        return Path(self.command[0]).parent

    def replaced(self) -> bool:
        return _mark(self.command) != self.mark


def program(command: tuple[str, ...], root: Path) -> Program:
    """Find Claude Code and ask for its version; raise UnfitError where it cannot be used."""
    found = (str(_located(command, root)), *command[1:])
    mark = _mark(found)
    return Program(command=found, version=fit(_version(found, mark)), mark=mark)


def fit(version: str) -> str:
    """Give the bare version; raise UnfitError for one that is too old, or is none."""
    match = _VERSION.search(version)
    if match is None:
        raise UnfitError(
            f"what is there as Claude Code does not name a version ({version[:80]!r}); install it with `{UPGRADE}`"
        )
    if tuple(int(part) for part in match.groups()) < LEAST:
        least = ".".join(map(str, LEAST))
        raise UnfitError(f"Claude Code {match[0]} is too old, {least} is the oldest that is used; run `{UPGRADE}`")
    return match[0]


def _located(command: tuple[str, ...], root: Path) -> Path:
    name = command[0] if command else "claude"
    inside = root / name
    found = str(inside) if "/" in name and inside.exists() else shutil.which(name)
    if found is None:
        raise UnfitError(f"{name!r} is neither on the PATH nor an executable file; install it with `{UPGRADE}`")
    # of an interpreter the link counts: it knows by its name which environment it is of
    return Path(found).absolute() if command[1:] else _native(Path(found).resolve())


def _native(path: Path) -> Path:
    """Give the platform's binary where npm left a stub or a wrapper in its place; a program of another kind stays itself."""
    with path.open("rb") as stream:
        if stream.read(4) in _NATIVE:
            return path
    return next((each for each in _packaged(path) if os.access(each, os.X_OK)), path)


def _packaged(path: Path) -> Iterator[Path]:
    system = {"linux": "linux", "darwin": "darwin"}.get(sys.platform, "")
    machine = _MACHINES.get(platform.machine().lower(), "")
    for parent in list(path.parents)[:_BESIDE]:
        for scope in (parent, parent / "@anthropic-ai", parent / "node_modules" / "@anthropic-ai"):
            yield from (scope / f"claude-code-{system}-{machine}{libc}" / "claude" for libc in ("", "-musl"))


def _mark(command: tuple[str, ...]) -> Mark:
    """Take the first two words: with an interpreter in front the client is the second."""
    stats = [os.stat(word) for word in command[:2] if os.path.isfile(word)]  # noqa: PTH113, PTH116 - words, not yet paths
    return (
        sum(stat.st_size for stat in stats),
        sum(stat.st_mtime_ns for stat in stats),
        sum(stat.st_ino for stat in stats),
        len(stats),
    )


@functools.cache
def _version(command: tuple[str, ...], mark: Mark) -> str:  # noqa: ARG001 - another file is asked again
    """Ask once per process and file."""
    with tempfile.TemporaryDirectory(prefix="signalbox-version-") as folder:
        home = Path(folder).resolve()
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": folder,
            "TMPDIR": folder,
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }
        what = Launch(
            command=(*command, "--version"),
            cwd=home,
            env=environment,
            confinement=Confinement(level="none", write=(home,)),
        )
        receipt = run(what, log=home / "log", bounds=Bounds(timeout_s=VERSION_S, output_bytes=1 << 16))
        if receipt.exit != 0:
            raise UnfitError(
                f"`{command[0]} --version` did not end well ({receipt.reason or f'exit code {receipt.exit}'}); "
                f"install Claude Code with `{UPGRADE}`"
            )
        return Path(receipt.log).read_text(encoding="utf-8", errors="replace").strip()
