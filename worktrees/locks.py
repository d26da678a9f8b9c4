"""Lock files that a crash left behind: removed on evidence of death, never by age alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from worktrees.git import Repository

NAMES = ("*.lock", "packed-refs.new")
"""A killed `git pack-refs` leaves `packed-refs.new`, after which every later one fails."""
SLACK_S = 60.0


def remove_stale(repository: Repository, *, since: float) -> list[str]:
    """Remove locks made since our last journalled step, as long as no git is at work here; give their paths.

    `since` is in seconds since the epoch. An older lock is not ours, and a living git may be its owner.
    """
    if _git_is_at_work(repository):
        return []
    found = [lock for lock in _locks(repository.common) if _made(lock) >= since - SLACK_S]
    for lock in found:
        lock.unlink(missing_ok=True)
    return [str(lock) for lock in found]


def _locks(common: Path) -> Iterator[Path]:
    for folder in (common, common / "worktrees"):
        for name in NAMES:
            yield from folder.glob(name if folder == common else f"*/{name}")
    yield from (common / "refs").rglob("*.lock")


def _made(lock: Path) -> float:
    try:
        return lock.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _git_is_at_work(repository: Repository) -> bool:
    """Look for a git process that stands in one of the repository's folders or names one on its command line."""
    places = [str(repository.root), str(repository.common), *(str(path) for path, _ in repository.worktrees())]
    for process in psutil.process_iter(["name", "cwd", "cmdline", "environ"]):
        if process.info["name"] == "git":
            facts = process.info
            words = [facts["cwd"] or "", *(facts["cmdline"] or ()), (facts["environ"] or {}).get("GIT_DIR", "")]
            if any(word.startswith(place) for word in words for place in places):
                return True
    return False
