"""Alembic's revisions of a tree, read from their files without running them."""

from __future__ import annotations

import ast
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gates.source.meaning import meaning
from gates.source.measures import UnparsableError, parse
from gates.source.python_code import read_all
from tickets.globs import matches
from worktrees.listings import listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from worktrees.git import Repository

REGULAR = frozenset({"100644", "100755"})


class UnreadableRevisionError(Exception):
    """A file among the revisions that does not say plainly which revision it is."""


@dataclass(frozen=True, kw_only=True)
class Revision:
    id: str
    path: str
    down: tuple[str, ...]
    """Ids of the revisions that it follows."""
    meaning: str
    """The same text for a file that does the same."""

    @property
    def script_location(self) -> str:
        """Alembic's folder, above the one of the revisions."""
        return posixpath.dirname(posixpath.dirname(self.path))


def revisions(repository: Repository, commit: str, globs: Sequence[str]) -> tuple[Revision, ...]:
    """Read the revisions of a commit; raise UnreadableRevisionError where one cannot be read."""
    files = listing(repository, commit)
    fitting = files.chosen(("revisions", *globs), lambda path: bool(matches(path, globs)))
    paths = sorted(path for path in fitting if files.files[path].mode in REGULAR)
    texts = read_all(repository, commit, paths)
    return tuple(_revision(path, text) for path, text in texts.items() if "down_revision" in text)


def heads(known: Iterable[Revision]) -> list[str]:
    """Name the revisions that no other one follows."""
    every = list(known)
    followed = {down for one in every for down in one.down}
    return sorted({one.id for one in every} - followed)


def _revision(path: str, text: str) -> Revision:
    try:
        tree = parse(text)
    except UnparsableError as error:
        raise UnreadableRevisionError(f"{path} is not valid Python: {error}") from error
    values = dict(_assigned(tree))
    revision, down = values.get("revision"), values.get("down_revision")
    followed = (down,) if isinstance(down, str) else down or ()
    if not isinstance(revision, str) or not isinstance(followed, tuple | list):
        raise UnreadableRevisionError(f"{path} does not name its revision and down_revision as plain strings")
    return Revision(id=revision, path=path, down=tuple(str(one) for one in followed), meaning=meaning(tree))


def _assigned(tree: ast.Module) -> Iterator[tuple[str, object]]:
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
                yield target.id, _literal(node.value)


def _literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return NotImplemented
