"""Globs of scopes: `/`-separated, relative to the root, `*` within a segment, `**` across segments, case-sensitive."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from wcmatch import glob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

FLAGS = glob.GLOBSTAR | glob.DOTGLOB | glob.CASE | glob.FORCEUNIX


def normalise(pattern: str) -> str:
    """Give the pattern in its one spelling; raise ValueError when it leaves the repository or says nothing."""
    if not pattern.strip():
        raise ValueError("a path or glob, not an empty string")
    if "\\" in pattern or "\0" in pattern or "\n" in pattern:
        raise ValueError(f"`/` between segments and no control characters, not {pattern!r}")
    segments = [segment for segment in pattern.split("/") if segment not in {"", "."}]
    if pattern.startswith("/") or re.match(r"~|[A-Za-z]:", "/".join(segments)):
        raise ValueError(f"a path relative to the repository's root, not {pattern!r}")
    if ".." in segments:
        raise ValueError(f"a path inside the repository, not {pattern!r} (it has `..`)")
    if not segments:
        raise ValueError(f"a path or glob below the root, not {pattern!r}")
    if any(segment.lower() == ".git" for segment in segments):
        raise ValueError(f"a path outside .git, not {pattern!r}")
    tail = ["**"] if pattern.endswith("/") else []
    return "/".join([*segments, *tail])


_ANYWHERE = ("q", "q.x/.w", "q/v/w.z")
"""Names that nothing but a glob of everything has in common."""


def matches_everything(pattern: str) -> bool:
    return not is_literal(pattern) and all(matches(path, (pattern,)) for path in _ANYWHERE)


def is_literal(pattern: str) -> bool:
    return not glob.is_magic(pattern, flags=FLAGS)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    included, _ = glob.translate(pattern, flags=FLAGS)
    return re.compile(included[0])


def matches(path: str, patterns: Iterable[str]) -> str | None:
    """Return the first pattern that the normalised path matches, or None."""
    # fullmatch: the `$` of wcmatch would let a name end in a newline; a name with brackets in it always names itself
    return next((pattern for pattern in patterns if path == pattern or _compiled(pattern).fullmatch(path)), None)


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
    return _meet(a, b, any_="**", same=lambda one, other: _characters_meet(_simple(one), _simple(other)))


def _simple(segment: str) -> str:
    return re.sub(r"\[.*\]", "*", segment)  # the class, or the brackets themselves


@lru_cache(maxsize=4096)
def _characters_meet(a: str, b: str) -> bool:
    if not {"*", "?"} & {*a, *b}:
        return a == b
    return _meet(a, b, any_="*", same=lambda one, other: one == other or "?" in {one, other})


def _meet(a: Sequence[str], b: Sequence[str], *, any_: str, same: Callable[[str, str], bool]) -> bool:
    """Say whether two rows of parts can stand for the same thing, where `any_` stands for any number of parts."""
    after = [all(part == any_ for part in b[index:]) for index in range(len(b) + 1)]
    for one in reversed(a):
        row = [one == any_ and after[-1]]
        for index in range(len(b) - 1, -1, -1):
            if any_ in {one, b[index]}:
                row.append(after[index] or row[-1])
            else:
                row.append(after[index + 1] and same(one, b[index]))
        after = row[::-1]
    return after[0]
