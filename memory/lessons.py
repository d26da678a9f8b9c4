"""What of the project's memory fits some words: entries of its page and single dead ends, the most fitting first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from memory.pages import DEAD_ENDS, page

if TYPE_CHECKING:
    from pathlib import Path

READ_BYTES = 4 << 20
_ENTRY = re.compile(r"^## ", re.MULTILINE)
_WORD = re.compile(r"[^\W_]{3,}")
_COMMON = ("add", "and", "are", "attempt", "for", "from", "none", "that", "the", "this", "ticket", "tried", "with")
"""Words that say nothing about what a lesson is about."""


def words(text: str) -> frozenset[str]:
    """Split into words in their plainest form: lower case, without the ending of the plural, names at their underscores."""
    return frozenset(found.lower().removesuffix("s") for found in _WORD.findall(text))


def telling(text: str) -> frozenset[str]:
    """Give the words that say what a text is about."""
    return words(text) - words(" ".join(_COMMON))


def lessons(root: Path, project: str) -> list[str]:
    """List the entries of the page, oldest first, and each dead end by itself; a page that is not there has none."""
    file = page(root, project)
    if not file.is_file():
        return []
    with file.open("rb") as stream:
        text = stream.read(READ_BYTES).decode(errors="replace")
    starts = [match.start() for match in _ENTRY.finditer(text)]
    return [
        lesson
        for start, end in zip(starts, [*starts[1:], len(text)], strict=True)
        for lesson in _lessons(text[start:end].strip())
    ]


def fitting(root: Path, project: str, wanted: str) -> list[str]:
    """Give the lessons that share words with what is wanted; most words first, the newer first among equals."""
    sought = telling(wanted)
    scored = [(len(sought & words(lesson)), place, lesson) for place, lesson in enumerate(lessons(root, project))]
    return [lesson for score, _, lesson in sorted(scored, reverse=True) if score]


def _lessons(entry: str) -> list[str]:
    title = DEAD_ENDS.partition("\n")[0]
    if not entry.startswith(f"{title}\n"):
        return [entry]
    return [f"dead end: {line.removeprefix('- ')}" for line in entry.splitlines() if line.startswith("- ")]
