"""Simulated merges and landings: the target only ever moves by compare-and-swap; nothing is checked out to merge."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worktrees.durable import sync
from worktrees.git import call, checked, environment

if TYPE_CHECKING:
    from pathlib import Path

    from worktrees.git import Repository, Result


@dataclass(frozen=True, kw_only=True)
class Merged:
    tree: str


@dataclass(frozen=True, kw_only=True)
class Conflict:
    paths: tuple[str, ...]
    message: str


def merge(repository: Repository, ours: str, theirs: str) -> Merged | Conflict:
    """Merge two commits in memory; a conflict is a value."""
    arguments = ("merge-tree", "--write-tree", "-z", "--name-only", "--messages", ours, theirs)
    answer = repository.plumb_ask(*arguments)
    fields = os.fsdecode(answer.out).split("\0")
    if answer.code == 0:
        return Merged(tree=fields[0])
    if answer.code != 1:
        checked(arguments, answer)
    end = fields.index("", 1)
    text = [field for field in fields[end + 1 :] if "CONFLICT" in field]
    return Conflict(paths=tuple(dict.fromkeys(fields[1:end])), message="; ".join(line.strip() for line in text))


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
    return [_follower(path, old, new) for path, checked_out in repository.worktrees() if checked_out == ref and path.is_dir()]


def _follower(path: Path, old: str, new: str) -> Follower:
    _in_tree(path, "update-index", "-q", "--refresh")
    listing = _in_tree(path, "diff-index", "--name-only", "-z", old).out
    changed = tuple(name for name in os.fsdecode(listing).split("\0") if name)
    rehearsal = _in_tree(path, "read-tree", "-m", "-u", "--dry-run", old, new)
    lines = os.fsdecode(rehearsal.err).strip().splitlines()
    return Follower(path=path, changed=changed, obstacle="; ".join(lines[:3]) if rehearsal.code else "")


def _in_tree(path: Path, *arguments: str) -> Result:
    # the person's own worktree: their configuration decides how files look there (line ends, large files)
    person = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    return call(arguments, cwd=path, env={**environment(), "HOME": person.get("HOME", os.devnull), "GIT_CONFIG_NOSYSTEM": "0", "GIT_CONFIG_GLOBAL": person.get("GIT_CONFIG_GLOBAL", _global(person))})


def _global(person: dict[str, str]) -> str:
    return os.path.join(person.get("HOME", "/nonexistent"), ".gitconfig")  # noqa: PTH118 - a value for git, not a path we open


def follow(follower: Follower, *, old: str, new: str) -> str:
    """Bring a worktree from `old` to `new`; uncommitted changes elsewhere stay as they are. Return what went wrong."""
    answer = _in_tree(follower.path, "read-tree", "-m", "-u", old, new)
    return os.fsdecode(answer.err).strip() if answer.code else ""


def land(repository: Repository, branch: str, *, old: str, new: str, reason: str) -> bool:
    """Move the branch from `old` to `new`; False when it was not at `old` any more. Objects are on disk before the ref."""
    sync(repository.common)
    moved = repository.move(f"refs/heads/{branch}", new=new, old=old, reason=reason)
    if moved:
        sync(repository.common)
    return moved
