"""The change with its findings at their very lines, as rows that a page can draw."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from gates.reports.diff import HUNK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gates.reports.words import Report

UNFOLDED = 200
"""Rows of a file that are shown at once; a longer one without findings is folded."""


@dataclass(frozen=True, kw_only=True)
class Note:
    """A finding as it stands under a line."""

    gate: str
    verdict: str
    finding: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Row:
    kind: Literal["same", "added", "deleted", "gap"]
    old: int = 0
    new: int = 0
    text: str = ""
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, kw_only=True)
class File:
    """One changed file."""

    path: str
    old_path: str
    kind: str
    added: int
    deleted: int
    why_not: str
    """Why there are no rows."""
    rows: tuple[Row, ...]
    notes: tuple[Note, ...] = field(default=())
    """Findings on the file as a whole, or at lines that are not among the rows."""

    @property
    def shown(self) -> bool:
        """Whether its lines are unfolded from the start."""
        return bool(self.notes) or len(self.rows) <= UNFOLDED or any(row.notes for row in self.rows)


def files(report: Report) -> list[File]:
    """Give every file that would land, in the order of its changes; the report is a presentable one."""
    sizes = {change["path"]: change for change in report["changes"]}
    notes = _notes(report)
    return [_file(patch, sizes.get(patch["path"], {}), notes.get(patch["path"], [])) for patch in report["diff"]]


def _notes(report: Report) -> dict[str, list[Note]]:
    found: dict[str, list[Note]] = {}
    for gate in report["gates"]:
        for finding in gate["findings"]:
            note = Note(gate=gate["name"], verdict=gate["verdict"], finding=finding)
            found.setdefault(finding["path"], []).append(note)
    return found


def _file(patch: dict[str, str], change: dict[str, Any], notes: list[Note]) -> File:
    rows = tuple(_rows(patch["hunks"], notes))
    placed = {id(note) for row in rows for note in row.notes}
    return File(
        path=patch["path"],
        old_path=patch["old_path"],
        kind=change.get("kind", ""),
        added=change.get("added", 0),
        deleted=change.get("deleted", 0),
        why_not=patch["note"],
        rows=rows,
        notes=tuple(note for note in notes if id(note) not in placed),
    )


def _rows(hunks: str, notes: list[Note]) -> Iterator[Row]:
    old = new = 0
    for line in hunks.split("\n"):
        if head := HUNK.match(line):
            old, new = int(head[1]), int(head[2])
            if new > 1:
                yield Row(kind="gap", new=new, text=line[head.end() :].strip())
        elif line.startswith("+"):
            yield Row(kind="added", new=new, text=line[1:], notes=_at(notes, new))
            new += 1
        elif line.startswith("-"):
            yield Row(kind="deleted", old=old, text=line[1:])
            old += 1
        elif line.startswith(" "):
            yield Row(kind="same", old=old, new=new, text=line[1:], notes=_at(notes, new))
            old, new = old + 1, new + 1


def _at(notes: list[Note], line: int) -> tuple[Note, ...]:
    return tuple(note for note in notes if note.finding["line"] == line)
