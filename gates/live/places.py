"""Where a path lies, by its text alone: in the tree, in the agent's own folders, or elsewhere. No file is looked at."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["tree", "own", "device", "elsewhere", "unknown"]
_DEVICES = re.compile(r"/dev/(?:null|zero|stdout|stderr|stdin|tty|fd/.*|u?random)|/proc/self/fd/\d+")
_HARNESS_KNOWS = re.compile(r"\$(HOME|TMPDIR|PWD)(?=/|$)")


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The agent's folders, absolute and normalised."""

    root: str
    """Of the tree it works in."""
    home: str
    temporary: str


@dataclass(frozen=True, kw_only=True)
class Place:
    kind: Kind
    path: str
    """In the tree: relative to its root (`.` for the root itself); else absolute."""


def locate(path: str, ground: Ground, cwd: str | None = "") -> Place:
    """Say where a path lies that a program in `cwd` (absolute, relative to the root, or None for unknown) would take."""
    absolute = _absolute(path, ground, cwd)
    if not absolute:
        return Place(kind="unknown", path=path)
    if _DEVICES.fullmatch(absolute):
        return Place(kind="device", path=absolute)
    if (inside := _below(absolute, ground.root)) is not None:
        return Place(kind="tree", path=inside or ".")
    if any(_below(absolute, folder) is not None for folder in (ground.home, ground.temporary)):
        return Place(kind="own", path=absolute)
    return Place(kind="elsewhere", path=absolute)


def _absolute(path: str, ground: Ground, cwd: str | None) -> str:
    path = _spelled(path, ground, cwd)
    if not path.startswith("/"):
        if cwd is None:
            return ""
        path = posixpath.join(ground.root, _spelled(cwd, ground, ""), path)
    return "/" + posixpath.normpath(path).lstrip("/")


def _spelled(path: str, ground: Ground, cwd: str | None) -> str:
    folders = {"HOME": ground.home, "TMPDIR": ground.temporary, "PWD": cwd or "."}
    # after `cd ~/x` the folder reads `src/$HOME/x`: what stands before an absolute name is gone
    found = list(_HARNESS_KNOWS.finditer(path))
    if not found or (found[-1].start() and path[found[-1].start() - 1] != "/"):
        return path
    return folders[found[-1][1]] + path[found[-1].end() :]


def _below(path: str, folder: str) -> str | None:
    if path == folder:
        return ""
    return path.removeprefix(f"{folder}/") if path.startswith(f"{folder}/") else None
