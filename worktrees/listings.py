"""The files of trees that lie near each other: each listing is made of an earlier one, at the cost of what differs."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worktrees.deltas import FOLDER, Trees
from worktrees.git import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, KeysView

    from worktrees.deltas import Delta
    from worktrees.git import Repository

KEPT = 6
"""Listings that are kept in memory; each takes a few megabytes in a large repository."""


@dataclass(frozen=True)
class Listing:
    """Every file of one tree, submodules included; in no order."""

    files: dict[str, Entry]
    """By path; shared by all who ask, so nobody changes it."""
    _chosen: dict[Hashable, frozenset[str]] = field(default_factory=dict, repr=False)
    _choices: dict[Hashable, Callable[[str], bool]] = field(default_factory=dict, repr=False)

    @property
    def paths(self) -> KeysView[str]:
        return self.files.keys()

    def chosen(self, name: Hashable, choice: Callable[[str], bool]) -> frozenset[str]:
        """Give the paths that fit; a choice with the same name is one and the same, and a path is asked about once."""
        found = self._chosen.get(name)
        if found is None:
            found = self._chosen[name] = frozenset(filter(choice, self.files))
            self._choices[name] = choice
        return found

    def followed(self, delta: Delta) -> Listing:
        """Give the listing of a tree that differs by this from ours."""
        gone = {path for path, mode in delta.gone.items() if mode != FOLDER}
        files = dict(self.files)
        for path in gone:
            files.pop(path, None)
        made = {path: Entry(path=path, mode=mode, oid=oid) for path, (mode, oid) in delta.files.items()}
        files |= made
        choices = dict(self._choices)
        chosen = {
            name: (self._chosen[name] - gone) | frozenset(filter(choice, made)) for name, choice in choices.items()
        }
        return Listing(files, chosen, choices)


_known: OrderedDict[tuple[Repository, str], Listing] = OrderedDict()
_lock = threading.Lock()


def listing(repository: Repository, revision: str) -> Listing:
    """List the files of a commit or a tree."""
    tree = repository.tree(revision)
    with _lock:
        found = _known.get((repository, tree)) or _near(repository, tree) or _whole(repository, tree)
        _known[repository, tree] = found
        _known.move_to_end((repository, tree))
        while len(_known) > KEPT:
            _known.popitem(last=False)
    return found


def _near(repository: Repository, tree: str) -> Listing | None:
    """Make it of the listing that was used last, where there is one and the trees have most in common."""
    for other, old in reversed(_known):
        if other == repository:
            delta = Trees.of(repository).difference(old, tree)
            known = _known[other, old]
            return known.followed(delta) if delta is not None and len(delta) * 4 <= len(known.files) else None
    return None


def _whole(repository: Repository, tree: str) -> Listing:
    return Listing({entry.path: entry for entry in repository.entries(tree)})
