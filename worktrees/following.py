"""The person's own checkouts of the target: they follow a landing, and nothing of the person's is touched."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from worktrees.git import call, environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from worktrees.git import Repository, Result

LOCK_PATIENCE_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Follower:
    """A worktree of the person's that has the target checked out."""

    path: Path
    changed: tuple[str, ...]
    """Tracked files with uncommitted changes."""
    obstacle: str
    """Why the tree cannot follow without touching what is the person's; empty where it can."""


def followers(repository: Repository, branch: str, *, old: str, new: str) -> list[Follower]:
    """Find the worktrees that have the branch checked out, and whether each can follow from `old` to `new`."""
    ref = f"refs/heads/{branch}"
    return [
        _follower(path, old, new)
        for path, checked_out in repository.worktrees()
        if checked_out == ref and path.is_dir()
    ]


def _follower(path: Path, old: str, new: str) -> Follower:
    _in_tree(path, "update-index", "-q", "--refresh")
    listing = _in_tree(path, "diff-index", "--name-only", "-z", old).out
    changed = tuple(name for name in os.fsdecode(listing).split("\0") if name)
    rehearsal = _in_tree(path, "read-tree", "-m", "-u", "--dry-run", old, new)
    lines = os.fsdecode(rehearsal.err).strip().splitlines()
    obstacle = "; ".join(lines[:3]) if rehearsal.code else _in_the_way(path, old, new)
    return Follower(path=path, changed=changed, obstacle=obstacle)


def _in_the_way(path: Path, old: str, new: str) -> str:
    """Name a file of the person's that git ignores and the landing would replace: `read-tree` takes it for worthless."""
    there = [place for name in _added(path, old, new) for place in _in_its_place(path, name)]
    tracked = set(_in_tree(path, "ls-files", "-z").out.split(b"\0")) if there else set()
    for place in there:
        if os.fsencode(place) not in tracked:
            return f"{place} is there, ignored by git, and would be overwritten"
    return ""


@lru_cache(maxsize=16)
def _added(path: Path, old: str, new: str) -> tuple[str, ...]:
    """List the files that come with a landing; two commits differ by the same for ever."""
    listing = _in_tree(path, "diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=A", old, new).out
    return tuple(filter(None, os.fsdecode(listing).split("\0")))


def _in_its_place(path: Path, name: str) -> Iterator[str]:
    """Give what stands where a file is to come: something of its name, or a file where it needs a folder."""
    for place in (PurePosixPath(name), *PurePosixPath(name).parents[:-1]):
        there = path / place
        folder = there.is_dir() and not there.is_symlink() and str(place) != name
        if os.path.lexists(there) and not folder:
            yield str(place)


def _in_tree(path: Path, *arguments: str) -> Result:
    """Run git in the person's own worktree, waiting a moment where they are running git there themselves."""
    # their configuration decides how files look there (line ends, large files); hooks stay off
    person = {name: os.environ[name] for name in ("HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL") if name in os.environ}
    env = {**environment(), "GIT_CONFIG_NOSYSTEM": "0", **person}
    if "GIT_CONFIG_GLOBAL" not in person:
        del env["GIT_CONFIG_GLOBAL"]
    deadline = time.monotonic() + LOCK_PATIENCE_S
    while True:
        answer = call(arguments, cwd=path, env=env)
        if answer.code == 0 or b"index.lock" not in answer.err or time.monotonic() > deadline:
            return answer
        time.sleep(0.1)


def follow(follower: Follower, *, old: str, new: str) -> str:
    """Bring a worktree from `old` to `new`; uncommitted changes elsewhere stay as they are. Return what went wrong."""
    if obstacle := _in_the_way(follower.path, old, new):
        return obstacle
    answer = _in_tree(follower.path, "read-tree", "-m", "-u", old, new)
    return os.fsdecode(answer.err).strip() if answer.code else ""
