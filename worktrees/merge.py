"""Simulated merges and landings: the target only ever moves by compare-and-swap; nothing is checked out to merge."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from worktrees.durable import sync
from worktrees.git import call, checked, environment

if TYPE_CHECKING:
    from pathlib import Path

    from worktrees.git import Repository, Result


LOCK_PATIENCE_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Merged:
    tree: str


@dataclass(frozen=True, kw_only=True)
class Conflict:
    paths: tuple[str, ...]
    message: str
    tree: str
    """What git could merge, with both sides of the rest between markers."""


def merge(repository: Repository, ours: str, theirs: str) -> Merged | Conflict:
    """Merge two commits in memory; a conflict is a value."""
    arguments = ("merge-tree", "--write-tree", "-z", "--name-only", "--messages", ours, theirs)
    answer = repository.plumb_ask(*arguments)
    fields = os.fsdecode(answer.out).split("\0")
    if answer.code == 0:
        return Merged(tree=fields[0])
    if answer.code != 1 or not answer.out:
        checked(arguments, answer)
    end = fields.index("", 1)
    text = [field for field in fields[end + 1 :] if "CONFLICT" in field]
    paths = tuple(dict.fromkeys(fields[1:end]))
    return Conflict(paths=paths, message="; ".join(line.strip() for line in text), tree=fields[0])


def commit_tree(repository: Repository, tree: str, *, parents: tuple[str, ...], message: str) -> str:
    """Write a commit object with the person's identity; no ref moves."""
    words = [word for parent in parents for word in ("-p", parent)]
    identity = repository.identity().environment()
    return repository.plumb("commit-tree", tree, *words, stdin=message.encode(), env=identity).text


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
    listing = _in_tree(path, "diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=A", old, new).out
    tracked = set(_in_tree(path, "ls-files", "-z").out.split(b"\0"))
    for name in filter(None, os.fsdecode(listing).split("\0")):
        for place in (PurePosixPath(name), *PurePosixPath(name).parents[:-1]):
            there = path / place
            folder = there.is_dir() and not there.is_symlink() and str(place) != name
            if os.path.lexists(there) and not folder and os.fsencode(str(place)) not in tracked:
                return f"{place} is there, ignored by git, and would be overwritten"
    return ""


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


def land(repository: Repository, branch: str, *, old: str, new: str, reason: str) -> bool:
    """Move the branch from `old` to `new`; False when it was not at `old` any more. Objects are on disk before the ref."""
    sync(repository.common)
    moved = repository.move(f"refs/heads/{branch}", new=new, old=old, reason=reason)
    if moved:
        sync(repository.common)
    return moved
