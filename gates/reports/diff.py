"""The change as unified diffs, from the object store alone and bounded, for a report that must stand by itself."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from gates.masking import mask
from tickets.globs import matches
from worktrees.deltas import PATCH, Trees

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gates.protocol import Case
    from worktrees.changes import Change

TOTAL_BYTES = 200_000
FILE_LINES = 2_000
FILES = 200
HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
MASKED = "[a secret was found on this line; it is not shown]"


def patches(case: Case, *, secret: frozenset[tuple[str, int]] = frozenset()) -> list[dict[str, str]]:
    """Give `path`, `hunks` and `note` for each file that would land; `note` says why hunks are missing.

    `secret` are paths and lines that are not shown, besides what looks like a secret by itself.
    The same change always gives the same list: reports are hashed.
    """
    reasons = {change.path: _unshown(case, change) for change in case.change.landing}
    wanted = [change for change in case.change.landing if not reasons[change.path]][:FILES]
    texts = _texts(case, wanted)
    left = TOTAL_BYTES
    found = []
    for change in case.change.landing:
        lines = frozenset(line for path, line in secret if path == change.path)
        hunks, note = _masked(texts.get(change.path, ""), lines)
        size = len(hunks.encode(errors="replace"))
        note = note or reasons[change.path] or ("" if hunks else _empty(change))
        if size > left:
            hunks, note, size = "", "the change is too large to be shown whole", 0
        left -= size
        found.append({"path": change.path, "old_path": change.old_path, "hunks": hunks, "note": note})
    return found


def _unshown(case: Case, change: Change) -> str:
    """Say why a file is only named, or nothing where its lines are shown."""
    if change.binary:
        return "not text"
    if matches(change.path, case.limits.generated):
        return "generated"
    if change.added + change.deleted > FILE_LINES:
        return f"{change.added + change.deleted} changed lines are too many to be shown"
    return ""


def _empty(change: Change) -> str:
    if change.added or change.deleted:
        return "the file is too large to be shown"
    named = {"mode": "only the mode changed", "renamed": "only the name changed"}
    return named.get(change.kind, "no line of text changed")


def _texts(case: Case, changes: Sequence[Change]) -> dict[str, str]:
    """Ask git once for the hunks of all files; names come NUL-separated first, so that none can pose as a header."""
    if not changes:
        return {}
    raw, _, patch = _asked(case, changes).partition(b"\0\0")
    sections = iter(re.split(rb"^diff --git .*\n", patch, flags=re.MULTILINE)[1:])
    return {path: "".join(_hunks(next(sections, b"")) for _ in range(count)) for path, count in _named(raw)}


def _asked(case: Case, changes: Sequence[Change]) -> bytes:
    repository, change = case.repository, case.change
    if len(changes) == len(change.landing):
        trees = repository.tree(change.base), repository.tree(change.commit)
        if (found := Trees.of(repository).patch(*trees)) is not None:
            return found
    paths = [path for one in changes for path in one.paths]
    command = [word for word in PATCH if word != "--stdin"]
    return repository.plumb(
        "--literal-pathspecs", *command, "--no-commit-id", change.base, change.commit, "--", *paths
    ).out


def _named(raw: bytes) -> Iterator[tuple[str, int]]:
    """Give each path with the number of its sections: a file that became a link is a deletion and an addition."""
    fields = iter(os.fsdecode(raw).split("\0"))
    for field in fields:
        status = field.rpartition(" ")[2]
        path = next(fields)
        yield (next(fields) if status[:1] in {"R", "C"} else path), 2 if status[:1] == "T" else 1


def _hunks(section: bytes) -> str:
    start = re.search(rb"^@@ ", section, flags=re.MULTILINE)
    return section[start.start() :].decode(errors="replace") if start else ""


def _masked(hunks: str, secret: frozenset[int]) -> tuple[str, str]:
    """Give the hunks without any secret, and why there are none where one goes over several lines."""
    safe = mask(hunks)
    if safe.count("\n") != hunks.count("\n"):
        return "", "it holds a secret of several lines, so none of its lines is shown"
    lines, number = [], 0
    for line in safe.split("\n"):
        if head := HUNK.match(line):
            number = int(head[2]) - 1
        number += line[:1] in {" ", "+"}
        lines.append(f"+{MASKED}" if line[:1] == "+" and number in secret else line)
    return "\n".join(lines), ""
