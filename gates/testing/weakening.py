"""Two versions of the test files of a change: what checks less than it did. Moved, split, renamed and merged checks are none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gates.testing.assertions import facts
from gates.testing.strength import looser, same_subject

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator, Mapping, Sequence

    from gates.testing.assertions import Facts, Function

_LEAST = 0.01
_TOLERANCE_NAME = re.compile(r"(?i)(?:^|_)(?:tol|tolerance|eps|epsilon|delta|atol|rtol|slack|margin)(?:_|$)")


@dataclass(frozen=True, kw_only=True)
class TestFile:
    """One file of tests as it was and as it is; empty texts where it was or is not there."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    path: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class Weakening:
    rule: str
    """`weakened`, `loosened`, `skipped`, `mocked` or `expectation`."""
    path: str
    line: int
    what: str


@dataclass(frozen=True, kw_only=True)
class _Pair:
    path: str
    before: Facts
    after: Facts


def weakenings(files: Sequence[TestFile], defined: frozenset[str]) -> Iterator[Weakening]:
    """Compare all test files of one change; `defined` are the names that the product files of the change define."""
    pairs = [pair for file in files if (pair := _pair(file))]
    moved = _moved(pairs)
    for pair in pairs:
        yield from _of_module(pair)
        for name, was in pair.before.functions.items():
            now = pair.after.functions.get(name)
            if now is not None:
                yield from _of_function(pair.path, name, was, now, moved)
                yield from _mocked(pair.path, name, was, now, defined)


def _pair(file: TestFile) -> _Pair | None:
    before, after = facts(file.before), facts(file.after)
    return None if before is None or after is None else _Pair(path=file.path, before=before, after=after)


def _moved(pairs: Sequence[_Pair]) -> dict[str, float]:
    """Give the checks that some function has gained, by text: what another one lost of them has only moved."""
    gained: dict[str, float] = {}
    called = {name for pair in pairs for function in pair.after.functions.values() for name in function.uses}
    for pair in pairs:
        for name, now in pair.after.functions.items():
            if not now.test and name.rpartition(".")[2] not in called:
                continue  # what nobody calls checks nothing
            was = pair.before.functions.get(name)
            for text, figure in now.checks.items():
                more = figure - (was.checks.get(text, 0.0) if was else 0.0)
                gained[text] = gained.get(text, 0.0) + max(more, 0.0)
    return gained


def _of_module(pair: _Pair) -> Iterator[Weakening]:
    if not pair.before.functions:
        return
    for mark in pair.after.skips - pair.before.skips:
        yield Weakening(rule="skipped", path=pair.path, line=0, what=f"now says `{mark}` for tests that were there")
    for name, number in pair.after.bounds.items():
        was = pair.before.bounds.get(name)
        if was is not None and number > was and _TOLERANCE_NAME.search(name):
            yield Weakening(
                rule="loosened", path=pair.path, line=0, what=f"allows more: {name} was {was:g} and is {number:g}"
            )


def _of_function(path: str, name: str, was: Function, now: Function, moved: dict[str, float]) -> Iterator[Weakening]:
    if now.skips - was.skips and now.test:
        marks = ", ".join(sorted(now.skips - was.skips))
        yield Weakening(
            rule="skipped", path=path, line=now.line, what=f"{name} can be skipped or forgiven now ({marks})"
        )
    lost = _lost(was, now)
    missing = was.strength - now.strength
    for text in lost:
        found = min(moved.get(text, 0.0), was.checks[text])
        missing -= found
        moved[text] = moved.get(text, 0.0) - found
    if missing > _LEAST and not (now.unknown_cases and not was.unknown_cases and now.strength > 0):
        gone = "; ".join(f"`{text}`" for text in lost[:3]) or "fewer cases"
        yield Weakening(
            rule="weakened",
            path=path,
            line=now.line,
            what=f"{name} checks less than it did: {gone} is gone or proves less",
        )
    else:
        yield from _changed(path, name, (was, now), lost)


def _lost(was: Function, now: Function) -> list[str]:
    return [text for text, figure in was.checks.items() if now.checks.get(text, 0.0) < figure - _LEAST]


def _changed(path: str, name: str, versions: tuple[Function, Function], lost: Sequence[str]) -> Iterator[Weakening]:
    """Hold each check that is gone against the new one about the same subject."""
    was, now = versions
    new = {text: node for text, node in now.nodes.items() if text not in was.checks}
    for text in lost:
        match = _partner(was.nodes[text], new)
        if match is None:
            continue
        after = new.pop(match)
        loose = looser(was.nodes[text], after)
        rule = "loosened" if loose else "expectation"
        what = f"{name} {'allows more' if loose else 'expects something else'}: `{text}` became `{match}`"
        if loose or not _tighter(was.nodes[text], after):
            yield Weakening(rule=rule, path=path, line=after.lineno, what=what)


def _partner(node: ast.expr, new: Mapping[str, ast.expr]) -> str | None:
    return next((text for text, other in new.items() if same_subject(node, other)), None)


def _tighter(before: ast.expr, after: ast.expr) -> bool:
    return looser(after, before)


def _mocked(path: str, name: str, was: Function, now: Function, defined: frozenset[str]) -> Iterator[Weakening]:
    for replaced in sorted((now.replaces - was.replaces) & was.uses & defined):
        yield Weakening(
            rule="mocked", path=path, line=now.line, what=f"{name} replaces `{replaced}`, which it tested before"
        )
