"""Claude Code's program: which file it really is, which version, and whether it was replaced meanwhile."""

from __future__ import annotations

import functools
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agents.programs import absent, dotted, found, mark, number, version_said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.programs import Mark

LEAST = (2, 1, 295)
"""Since this version a gate that fails can be told to refuse."""
UPGRADE = "npm install -g @anthropic-ai/claude-code@latest"
_NATIVE = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"MZ")
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_BESIDE = 4
"""Folders above npm's stub that are searched for the platform's own package."""

_QUIET = {"DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}


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
        return mark(self.command) != self.mark


def program(command: tuple[str, ...], root: Path) -> Program:
    """Find Claude Code and ask for its version; raise UnfitError where it cannot be used."""
    whole = (str(_located(command, root)), *command[1:])
    now = mark(whole)
    return Program(command=whole, version=fit(_version(whole, now)), mark=now)


def fit(version: str) -> str:
    """Give the bare version; raise UnfitError for one that is too old, or is none."""
    named = number(version)
    if named is None:
        raise UnfitError(
            f"what is there as Claude Code does not name a version ({version[:80]!r}); install it with `{UPGRADE}`"
        )
    if named < LEAST:
        raise UnfitError(
            f"Claude Code {dotted(named)} is too old, {dotted(LEAST)} is the oldest that is used; run `{UPGRADE}`"
        )
    return dotted(named)


def _located(command: tuple[str, ...], root: Path) -> Path:
    named = command or ("claude",)
    place = found(named, root)
    if place is None:
        raise UnfitError(f"{absent(named)}; install it with `{UPGRADE}`")
    # of an interpreter the link counts: it knows by its name which environment it is of
    return Path(place).absolute() if command[1:] else _native(Path(place).resolve())


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


@functools.cache
def _version(command: tuple[str, ...], mark: Mark) -> str:  # noqa: ARG001 - another file is asked again
    """Ask once per process and file."""
    said, trouble = version_said(command, _QUIET)
    if trouble:
        raise UnfitError(f"`{command[0]} --version` did not end well ({trouble}); install Claude Code with `{UPGRADE}`")
    return said
