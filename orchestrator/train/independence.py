"""Which waiting changes are provably independent of each other, so that one run may judge them together.

Two are related when they touch the same file, when one works in a folder that the other renamed or whose data it changed, when one
changes a module that the other's modules lead to by imports, and when both add to one history of migrations. A change of what everything
is judged by (configuration of tests and tools, lock files, hooks of the interpreter) stands alone. This decides only what rides together:
no tree lands without its own pass, so a relation that nobody can see costs runs, never a red target.
"""

from __future__ import annotations

import ast
import posixpath
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from gates.declared.lockfiles import BY_NAME as LOCK_FILES
from gates.declared.manifests import is_manifest
from gates.source.measures import UnparsableError, parse
from gates.source.module_imports import Imported, Modules
from gates.source.python_code import read_all
from gates.testing.protected import whole
from tickets.policy import POLICY_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from worktrees.changes import ChangeSet
    from worktrees.git import Repository

MOST_MODULES = 2000
"""Modules that are read to follow the imports of one change; one that leads further is related to every change of Python."""
REMEMBERED = 50_000
"""Files whose imports are kept in memory."""
_SETTINGS = frozenset({".toml", ".ini", ".cfg", ".yaml", ".yml", ".json"})
_READ_BY_GIT = frozenset({".gitattributes", ".gitmodules"})
_WORDS = frozenset({".md", ".rst", ".txt"})
_HISTORIES = frozenset({"migrations", "alembic"})


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What one change touches, and what it stands on."""

    paths: frozenset[str]
    """Everything changed; of a rename both names."""
    folders: frozenset[str]
    """Folders in which nobody else may work: those it renamed in, those whose data it changed, histories of migrations."""
    places: frozenset[str]
    """Folders around all of its paths."""
    modules: frozenset[str]
    """Python files among the paths."""
    reaches: frozenset[str] | None
    """Python files that its modules lead to by imports, themselves left out; None where they are too many to follow."""
    alone: bool


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of all waiting changes."""

    related: Mapping[str, frozenset[str]]
    alone: frozenset[str]


class Relations:
    """Remembers the facts of every change: they do not change, because a change is a commit on a base."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._facts: dict[tuple[str, str], Facts] = {}
        self._ties: set[frozenset[str]] = set()
        self._last: tuple[object, Known] | None = None

    def among(self, changes: Mapping[str, ChangeSet]) -> Known:
        """Relate the waiting changes to each other."""
        key = (tuple((name, change.base, change.commit) for name, change in changes.items()), frozenset(self._ties))
        if self._last is None or self._last[0] != key:
            self._last = (key, self._related(changes))
        return self._last[1]

    def tie(self, names: Iterable[str]) -> None:
        """Relate changes of which something else showed that they are not independent."""
        self._ties.add(frozenset(names))

    def _related(self, changes: Mapping[str, ChangeSet]) -> Known:
        wanted = {(change.base, change.commit) for change in changes.values()}
        self._facts = {key: facts for key, facts in self._facts.items() if key in wanted}
        facts = {name: self._facts_of(change) for name, change in changes.items()}
        found = related(facts)
        for tied in self._ties:
            for name in tied & found.keys():
                found[name] |= tied - {name}
        both = {name: frozenset(others & facts.keys()) for name, others in found.items()}
        return Known(related=both, alone=frozenset(name for name, each in facts.items() if each.alone))

    def _facts_of(self, change: ChangeSet) -> Facts:
        key = (change.base, change.commit)
        if key not in self._facts:
            self._facts[key] = facts_of(self._repository, change)
        return self._facts[key]


# relations, by an inverted index


def related(facts: Mapping[str, Facts]) -> dict[str, set[str]]:
    """Find for each change those that it is not provably independent of; costs the sum of what they touch."""
    found: dict[str, set[str]] = {name: set() for name in facts}
    touching = _index((name, each.paths) for name, each in facts.items())
    working = _index((name, each.places) for name, each in facts.items())
    changed = _index((name, each.modules) for name, each in facts.items())
    for name, each in facts.items():
        near = [touching[path] for path in each.paths] + [working[folder] for folder in each.folders]
        reached = changed.keys() if each.reaches is None else each.reaches & changed.keys()
        near += [changed[path] for path in reached] if each.modules else []
        for other in set[str]().union(*near) - {name}:
            found[name].add(other)
            found[other].add(name)
    return found


def _index(rows: Iterable[tuple[str, Iterable[str]]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for name, keys in rows:
        for key in keys:
            found[key].add(name)
    return found


# facts


def facts_of(repository: Repository, change: ChangeSet) -> Facts:
    """Read what the change touches; of Python files also what they import, there and in the tree of its base."""
    paths = frozenset(path for each in change.landing for path in each.paths)
    modules = frozenset(path for path in paths if path.endswith(".py"))
    moved = {posixpath.dirname(path) for each in change.landing if each.kind == "renamed" for path in each.paths}
    data = {posixpath.dirname(path) for path in paths - modules if posixpath.splitext(path)[1] not in _WORDS}
    histories = {folder for path in paths if (folder := _history(path))}
    alone = any(is_input_of_all(path) for path in paths) or any(each.kind == "submodule" for each in change.landing)
    return Facts(
        paths=paths,
        folders=frozenset((moved | data | histories) - {""}),
        places=frozenset(folder for path in paths for folder in _around(path)),
        modules=modules,
        reaches=Imports(repository, change).reached() if modules and not alone else frozenset(),
        alone=alone,
    )


def is_input_of_all(path: str) -> bool:
    """Say whether gates read the file for every change: one that touches it is judged by itself."""
    name = posixpath.basename(path)
    if path == POLICY_FILE or name in LOCK_FILES or name in _READ_BY_GIT or name.endswith(".lock"):
        return True
    if whole(path) or is_manifest(path) or name in {"pyproject.toml", "setup.cfg", "setup.py"}:
        return True
    return "/" not in path and (name.startswith(".") or posixpath.splitext(name)[1] in _SETTINGS)


def _history(path: str) -> str:
    """Give the folder of migrations that the path is in, or ""."""
    return next((folder for folder in _around(path) if posixpath.basename(folder) in _HISTORIES), "")


def _around(path: str) -> Iterator[str]:
    """Give the folders around a path, the nearest first, without the root."""
    while path := posixpath.dirname(path):
        yield path


# what imports lead to


class Imports:
    """Follows imports from the modules of one change through the tree of its base; every blob is parsed once, whoever asks."""

    def __init__(self, repository: Repository, change: ChangeSet) -> None:
        self._repository, self._change = repository, change
        self._tree = _tree(repository, repository.tree(change.base))
        self._own = {path for each in change.landing for path in each.paths if path.endswith(".py")}

    def reached(self) -> frozenset[str] | None:
        """Give the files that the change's modules lead to, or None where they are more than anybody wants to follow."""
        seen: set[str] = set()
        level = dict(read_all(self._repository, self._change.commit, sorted(self._own)))
        imports = {path: _imports(text) for path, text in level.items()}
        while imports:
            found = {file for path, said in imports.items() for file in self._tree.leads_to(path, said)}
            new = found - seen - self._own
            seen |= new
            if len(seen) > MOST_MODULES:
                return None
            imports = self._tree.imports(self._repository, sorted(new))
        return frozenset(seen)


@dataclass(frozen=True)
class Tree:
    """The Python files of one tree."""

    modules: Modules
    oids: Mapping[str, str]

    def leads_to(self, path: str, imports: Sequence[Imported]) -> Iterator[str]:
        """Give the files that a module imports, the packages around it included."""
        yield from self.modules.packages(path)
        for each in imports:
            yield from self.modules.files(path, each)

    def imports(self, repository: Repository, paths: Sequence[str]) -> dict[str, tuple[Imported, ...]]:
        """Read what these files import; one that did not change since another tree is not read again."""
        if len(_PARSED) > REMEMBERED:
            _PARSED.clear()
        unread = [path for path in paths if self.oids[path] not in _PARSED]
        for path, text in read_all(repository, self.modules.commit, unread).items():
            _PARSED[self.oids[path]] = _imports(text)
        return {path: _PARSED[self.oids[path]] for path in paths if self.oids[path] in _PARSED}


_PARSED: dict[str, tuple[Imported, ...]] = {}
"""By blob: what it imports."""


@lru_cache(maxsize=4)
def _tree(repository: Repository, tree: str) -> Tree:
    oids = {entry.path: entry.oid for entry in repository.entries(tree) if entry.path.endswith(".py")}
    return Tree(Modules(repository, tree), oids)


def _imports(text: str) -> tuple[Imported, ...]:
    """Give every import of a file, those in functions too: tests run them. What is no Python imports nothing."""
    try:
        tree = parse(text)
    except UnparsableError:
        return ()
    place = ast.Pass()
    found: dict[tuple[str, int], None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(alias.name, 0): None for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = [(node.module or "", "" if alias.name == "*" else alias.name) for alias in node.names]
            found |= {(".".join(filter(None, part)), node.level): None for part in parts}
    return tuple(Imported(name=name, level=level, node=place) for name, level in found)
