"""Globs of scopes: `/`-separated, relative to the root, `*` within a segment, `**` across segments, case-sensitive."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from wcmatch import glob

if TYPE_CHECKING:
    from collections.abc import Iterable

FLAGS = glob.GLOBSTAR | glob.DOTGLOB | glob.CASE | glob.FORCEUNIX


def normalise(pattern: str) -> str:
    """Give the pattern in its one spelling; raise ValueError when it leaves the repository or says nothing."""
    if not pattern.strip():
        raise ValueError("a path or glob, not an empty string")
    if "\\" in pattern or "\0" in pattern or "\n" in pattern:
        raise ValueError(f"`/` between segments and no control characters, not {pattern!r}")
    if pattern.startswith(("/", "~")) or re.match(r"[A-Za-z]:", pattern):
        raise ValueError(f"a path relative to the repository's root, not {pattern!r}")
    segments = [segment for segment in pattern.split("/") if segment not in {"", "."}]
    if ".." in segments:
        raise ValueError(f"a path inside the repository, not {pattern!r} (it has `..`)")
    if not segments:
        raise ValueError(f"a path or glob below the root, not {pattern!r}")
    if any(segment.lower() == ".git" for segment in segments):
        raise ValueError(f"a path outside .git, not {pattern!r}")
    tail = ["**"] if pattern.endswith("/") else []
    return "/".join([*segments, *tail])


def is_literal(pattern: str) -> bool:
    return not glob.is_magic(pattern, flags=FLAGS)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    included, _ = glob.translate(pattern, flags=FLAGS)
    return re.compile(included[0])


def matches(path: str, patterns: Iterable[str]) -> str | None:
    """Return the first pattern that the normalised path matches, or None."""
    return next((pattern for pattern in patterns if _compiled(pattern).match(path)), None)


def overlap(one: Iterable[str], other: Iterable[str]) -> tuple[str, str] | None:
    """Return the first pair of patterns that some path could match both of, or None.

    Errs on the side of an overlap: a character class counts as any character.
    """
    others = list(other)
    for a in one:
        for b in others:
            if _segments_meet(tuple(a.split("/")), tuple(b.split("/"))):
                return a, b
    return None


@lru_cache(maxsize=4096)
def _segments_meet(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    if not a or not b:
        return all(segment == "**" for segment in (*a, *b))
    if a[0] == "**":
        return _segments_meet(a[1:], b) or _segments_meet(a, b[1:])
    if b[0] == "**":
        return _segments_meet(b, a)
    return _characters_meet(_simple(a[0]), _simple(b[0])) and _segments_meet(a[1:], b[1:])


def _simple(segment: str) -> str:
    return re.sub(r"\[[^\]]*\]", "?", segment)


@lru_cache(maxsize=4096)
def _characters_meet(a: str, b: str) -> bool:
    if not a or not b:
        return set(a + b) <= {"*"}
    if a[0] == "*":
        return _characters_meet(a[1:], b) or _characters_meet(a, b[1:])
    if b[0] == "*":
        return _characters_meet(b, a)
    return (a[0] == b[0] or "?" in {a[0], b[0]}) and _characters_meet(a[1:], b[1:])
