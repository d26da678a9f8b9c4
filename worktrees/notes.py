"""Git notes on many commits, written by one process."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from worktrees.git import GitError
from worktrees.objects import zone_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worktrees.git import Repository

TRIES = 3


def attach(repository: Repository, ref: str, notes: Mapping[str, str]) -> None:
    """Put a text on each commit, in the place of one that is there; raise GitError where that fails.

    What was written is looked for: a person's garbage collection may take it in the moment before the ref holds it.
    """
    for _ in range(TRIES - 1):
        with suppress(GitError):
            _write(repository, ref, notes)
            if (tip := repository.tip(ref)) and _whole(repository, tip):
                return
    _write(repository, ref, notes)


def _write(repository: Repository, ref: str, notes: Mapping[str, str]) -> None:
    person, moment = repository.identity(), int(time.time())
    before = _sound(repository, ref)
    head = f"commit {ref}\ncommitter {person.name} <{person.email}> {moment} {zone_of(moment)}\n".encode()
    parts = [head, _data("Notes of the merge train\n"), f"from {before}\n".encode() if before else b""]
    for commit, text in notes.items():
        parts += [f"N inline {commit}\n".encode(), _data(text)]
    # by force only where the ref holds what is not there any more
    force = () if before == repository.tip(ref) else ("--force",)
    repository.git("fast-import", "--quiet", "--done", *force, stdin=b"".join([*parts, b"done\n"]))


def _sound(repository: Repository, ref: str) -> str | None:
    """Give the newest commit of the ref that is there: somebody may have cleaned the last one up before its ref held it."""
    tip = repository.tip(ref)
    if tip is None or _whole(repository, tip):
        return tip
    earlier = repository.ask("log", "--walk-reflogs", "--format=%H", ref).text.split()
    return next((commit for commit in earlier if _whole(repository, commit)), None)


def _whole(repository: Repository, commit: str) -> bool:
    return repository.plumb_ask("rev-list", "--objects", "--quiet", "--max-count=1", commit).code == 0


def _data(text: str) -> bytes:
    data = text.encode(errors="surrogateescape")
    return b"data %d\n%s\n" % (len(data), data)
