"""Simulated merges: nothing is checked out, no ref moves."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worktrees.git import checked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from worktrees.git import Repository


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
    return conflict(fields[0], paths=fields[1:end], messages=fields[end + 1 :])


def conflict(tree: str, *, paths: Iterable[str], messages: Iterable[str]) -> Conflict:
    """Make the value of what git says about a merge that did not go by itself."""
    text = [message.strip() for message in messages if "CONFLICT" in message]
    return Conflict(paths=tuple(dict.fromkeys(paths)), message="; ".join(text), tree=tree)


def commit_tree(
    repository: Repository, tree: str, *, parents: tuple[str, ...], message: str, env: Mapping[str, str] | None = None
) -> str:
    """Write a commit object; no ref moves. `env` says in git's words who writes it and when: by default the person, now."""
    words = [word for parent in parents for word in ("-p", parent)]
    identity = repository.identity().environment() if env is None else env
    return repository.plumb("commit-tree", tree, *words, stdin=message.encode(), env=identity).text


def reverse(repository: Repository, head: str, done: str, before: str) -> Merged | Conflict:
    """Take back on `head` what was done between two commits, and nothing else; a conflict is a value."""
    # commits of our own make `done` the base of the merge: older versions of git cannot be told one
    base = commit_tree(repository, repository.tree(done), parents=(), message="what was done\n")
    ours, theirs = (
        commit_tree(repository, repository.tree(commit), parents=(base,), message="a side\n")
        for commit in (head, before)
    )
    return merge(repository, ours, theirs)
