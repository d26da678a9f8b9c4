"""The Python of a change: read and parsed once for all gates, with what is new against the base.

    for file in changed_files(case):        # regular files that the change leaves behind and that are valid Python
        file.tree, file.before_tree         # ast.Module; the second is None for a new file or one that was no Python
        file.added_lines                    # numbers of lines that stood nowhere in the changed Python at the base
        file.adds(node)                     # whether a node begins, ends or has anything on such a line
    fresh(case, find)                       # what `find` sees in the change and did not see in the base, wherever it stood

`fresh` is the one to prefer for "did the change add it": it compares by what the code says, so line shifts, moves
within and between changed files, renames, re-indentation and formatters add nothing. Trees are shared: never change one.
Files that are not valid Python are left out (`size` names them), and so are those of more than `LARGEST` characters
(`oversized` names the ones that were not that large before).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gates.source.measures import PYTHON, UnparsableError, language, parse
from worktrees.deltas import Trees

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from gates.protocol import Case
    from worktrees.changes import Change, ChangeSet
    from worktrees.git import Repository

REGULAR = frozenset({"added", "modified", "renamed", "mode"})
"""Kinds of change that leave a regular file behind."""
LARGEST = 1_000_000
"""Characters of a file that is parsed; one that is larger is data in the clothes of Python."""


@dataclass(frozen=True, kw_only=True)
class PythonFile:
    """One file of the change, as it is left and as it was."""

    path: str
    text: str
    tree: ast.Module
    before_path: str
    """Where it stood at the base; "" for a new file."""
    before: str | None
    before_tree: ast.Module | None
    added_lines: frozenset[int]

    def adds(self, node: ast.AST) -> bool:
        """Say whether any line of the node is new."""
        first = getattr(node, "lineno", 0)
        return not self.added_lines.isdisjoint(range(first, (getattr(node, "end_lineno", None) or first) + 1))


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Something that a gate looks for, at one place."""

    rule: str
    shown: str
    """What it says, as code in its one spelling: the same words are the same thing, wherever they stand."""
    node: ast.AST
    detail: str = ""
    """What a person is told about it."""

    @property
    def line(self) -> int:
        return getattr(self.node, "lineno", 0)


@dataclass(frozen=True, kw_only=True)
class _Code:
    files: tuple[PythonFile, ...]
    base: tuple[tuple[str, ast.Module], ...]
    oversized: tuple[str, ...]


def changed_files(case: Case) -> tuple[PythonFile, ...]:
    """Give the Python files that the change adds or touches."""
    return _code(case.repository, case.change).files


def base_trees(case: Case) -> tuple[tuple[str, ast.Module], ...]:
    """Give path and tree of every changed Python file as it was at the base, the deleted ones too."""
    return _code(case.repository, case.change).base


def oversized(case: Case) -> tuple[str, ...]:
    """Name the Python files that the change made too large to be parsed."""
    return _code(case.repository, case.change).oversized


def fresh(case: Case, find: Callable[[str, ast.Module], Iterable[Seen]]) -> Iterator[tuple[PythonFile, Seen]]:
    """Give what `find(path, tree)` sees in the changed files beyond what it sees in them at the base."""
    known = Counter((seen.rule, seen.shown) for path, tree in base_trees(case) for seen in find(path, tree))
    found = [(file, seen) for file in changed_files(case) for seen in find(file.path, file.tree)]
    # the ones on lines that stood there already are the old ones; `known` is used up by them first
    for file, seen in sorted(found, key=lambda one: one[0].adds(one[1].node)):
        identity = (seen.rule, seen.shown)
        if known[identity] > 0:
            known[identity] -= 1
        elif file.before is None or file.before_tree is not None or file.adds(seen.node):
            yield file, seen


@lru_cache(maxsize=2)
def _code(repository: Repository, change: ChangeSet) -> _Code:
    """Read and parse a change once, however many gates ask."""
    candidates = [one for one in change.landing if any(_may_be_python(path) for path in one.paths)]
    after = read_all(repository, change.commit, [one.path for one in candidates if one.kind in REGULAR])
    before = read_all(repository, change.base, [_old(one) for one in candidates if one.kind != "added"])
    versions = [_Version(one, after.get(one.path), before.get(_old(one))) for one in candidates]
    added = _added_lines(versions)
    return _Code(
        files=tuple(file for one in versions for file in one.file(added[one.change.path])),
        base=tuple((_old(one.change), one.before_tree) for one in versions if one.before_tree),
        oversized=tuple(one.change.path for one in versions if one.grew_too_large),
    )


class _Version:
    """A changed file's two texts and their trees."""

    def __init__(self, change: Change, text: str | None, before: str | None) -> None:
        self.change, self.text, self.before = change, text, before
        self.tree = _tree(change.path, text)
        self.before_tree = _tree(_old(change), before)
        grew = len(text or "") > LARGEST >= len(before or "")
        self.grew_too_large = grew and language(change.path, text or "") == "python"

    def file(self, added: frozenset[int]) -> Iterator[PythonFile]:
        if self.text is not None and self.tree is not None:
            yield PythonFile(
                path=self.change.path,
                text=self.text,
                tree=self.tree,
                before_path="" if self.before is None else _old(self.change),
                before=self.before,
                before_tree=self.before_tree,
                added_lines=added,
            )


def _old(change: Change) -> str:
    return change.old_path or change.path


def _may_be_python(path: str) -> bool:
    """A file without extension may be a script: its first line tells."""
    return PurePosixPath(path).suffix.lstrip(".").lower() in {*PYTHON, ""}


def _tree(path: str, text: str | None) -> ast.Module | None:
    if text is None or len(text) > LARGEST or language(path, text) != "python":
        return None
    try:
        return parse(text)
    except UnparsableError:
        return None


def _added_lines(versions: list[_Version]) -> dict[str, frozenset[int]]:
    """Number the new lines of each file; one that was taken away elsewhere in the changed Python has only moved."""
    pairs = {one.change.path: (_lines(one.before), _lines(one.text)) for one in versions}
    added, gone = {}, Counter[str]()
    for path, (before, after) in pairs.items():
        codes = SequenceMatcher(None, before, after).get_opcodes()
        gone.update(line for tag, first, last, _, _ in codes if tag != "equal" for line in before[first:last])
        added[path] = [number for tag, _, _, first, last in codes if tag != "equal" for number in range(first, last)]
    return {path: frozenset(_not_moved(pairs[path][1], numbers, gone)) for path, numbers in added.items()}


def _not_moved(lines: list[str], numbers: list[int], gone: Counter[str]) -> Iterator[int]:
    for number in numbers:
        if gone[lines[number]] > 0:
            gone[lines[number]] -= 1
        elif lines[number]:
            yield number + 1


def _lines(text: str | None) -> list[str]:
    return [line.strip() for line in re.split(r"\r\n|\r|\n", text or "")]  # the line ends of Python, and no others


def read_all(repository: Repository, commit: str, paths: Sequence[str]) -> dict[str, str]:
    """Read many text files of a commit; what is not there is left out."""
    found = Trees.of(repository).read(commit, paths)
    return {path: data.decode(errors="replace") for path, data in found.items()}
