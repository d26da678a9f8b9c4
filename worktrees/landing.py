"""Landings: the target moves by compare-and-swap to commits that are on disk, and is looked at afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worktrees.deltas import Trees
from worktrees.durable import sync
from worktrees.git import GitError
from worktrees.objects import object_id, parse_commit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from worktrees.git import Repository


@dataclass(frozen=True, kw_only=True)
class Step:
    """One move of the target."""

    old: str
    new: str
    reason: str
    """What the branch's reflog says of it."""


def land(repository: Repository, branch: str, steps: Sequence[Step]) -> int:
    """Move the branch step by step; give how many were made: fewer where somebody else moved it in between.

    Objects are on disk before the first move, the ref is before this returns. Who reads meanwhile sees the old head,
    or that of a step.
    """
    sync(repository.common)
    made = 0
    # one transaction over all would leave a single line in the reflog, with nothing between to go back to
    for step in steps:
        if not repository.move(f"refs/heads/{branch}", new=step.new, old=step.old, reason=step.reason):
            break
        made += 1
    if made:
        sync(repository.common)
    return made


def verify_landing(repository: Repository, *, old: str, new: str, trees: Sequence[str]) -> str:
    """Look at what stands now: these trees, one after the other, and every object of theirs whole. Give what is wrong.

    `git fsck` would go through all of history for the same answer; here the cost is that of what came since `old`.
    """
    try:
        return _wrong_chain(repository, old, new, trees) or "; ".join(_damaged(repository, old, new))
    except GitError as error:
        return str(error)


def _wrong_chain(repository: Repository, old: str, new: str, trees: Sequence[str]) -> str:
    """Go back along the first parents, as far as there were trees to land."""
    at = new
    for tree in reversed(trees):
        (found,) = Trees.of(repository).objects([at])
        head = parse_commit(found[1]) if found and found[0] == "commit" else None
        if head is None or head.tree != tree:
            return f"the trees that landed are not the {len(trees)} that were judged, in order: {at}"
        at = head.parents[0] if head.parents else ""
    return (
        ""
        if at == old
        else f"what landed does not stand on {old}, or it is not the {len(trees)} trees that were judged"
    )


def _damaged(repository: Repository, old: str, new: str) -> Iterator[str]:
    listing = repository.plumb("rev-list", "--objects", "--no-object-names", new, "--not", old).text
    oids = listing.split()
    for oid, found in zip(oids, Trees.of(repository).objects(oids), strict=True):
        if found is None:
            yield f"{oid} is missing"
        elif object_id(*found, digits=len(old))[0] != oid:
            yield f"{oid} holds something else"
