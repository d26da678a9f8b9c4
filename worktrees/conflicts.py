"""What a merge that does not go by itself is about: who changed the same files, and the lines that both sides want."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worktrees.git import Repository
    from worktrees.merge import Conflict

CONTEXT = 3
"""Lines shown around a conflicted hunk."""
SHOWN_LINES = 400
OURS, THEIRS = "<<<<<<< ", ">>>>>>> "


@dataclass(frozen=True, kw_only=True)
class Meanwhile:
    """One commit of the target that touched the files in conflict."""

    commit: str
    title: str
    ticket: str
    """Empty where a person committed it."""


def meanwhile(repository: Repository, *, base: str, head: str, paths: tuple[str, ...]) -> list[Meanwhile]:
    """List what landed on these files since the base, the newest first."""
    form = "--format=%H%x00%s%x00%(trailers:key=Ticket,valueonly,separator=%x2C)"
    # with -m a landing counts as the change that it brought, not as one that both parents had already
    answer = repository.plumb("log", "-m", "--first-parent", form, "-z", f"{base}..{head}", "--", *paths)
    fields = answer.out.decode(errors="replace").split("\0")
    return [
        Meanwhile(commit=commit.strip(), title=title, ticket=ticket.strip())
        for commit, title, ticket in zip(fields[::3], fields[1::3], fields[2::3], strict=False)
    ]


def hunks(repository: Repository, conflict: Conflict) -> str:
    """Show the lines in conflict, each file under its name; the rest of the files is left out."""
    shown: list[str] = []
    for path in conflict.paths:
        text = (repository.read(conflict.tree, path) or b"").decode(errors="replace")
        found = list(_around(text.splitlines()))
        if found:
            shown += [f"--- {path}", *found]
    if len(shown) > SHOWN_LINES:
        shown = [*shown[:SHOWN_LINES], f"({len(shown) - SHOWN_LINES} more lines in conflict)"]
    return "\n".join(shown)


def _around(lines: list[str]) -> Iterator[str]:
    inside = False
    near: set[int] = set()
    for number, line in enumerate(lines):
        inside = inside or line.startswith(OURS)
        if inside:
            near.update(range(max(0, number - CONTEXT), number + CONTEXT + 1))
        inside = inside and not line.startswith(THEIRS)
    last = -1
    for number in sorted(near & set(range(len(lines)))):
        if number != last + 1:
            yield f"@@ line {number + 1}"
        yield lines[number]
        last = number
