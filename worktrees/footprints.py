"""The paths by which a change may conflict with another one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from worktrees.changes import LANDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from worktrees.changes import Change

Pair = tuple[str, str]


@dataclass(frozen=True)
class Footprint:
    """The paths that a change may conflict by."""

    touched: frozenset[str]
    arrived: frozenset[str]
    """Folders that it puts something new into, those around them included."""
    left: frozenset[str]
    """Folders that it takes something out of: where all of one moved, git moves what others put there, and may ask."""

    @classmethod
    def of(cls, changes: Iterable[Change]) -> Footprint:
        stay = ("modified", "mode")  # of a link or a submodule the kind does not say whether it is new or gone
        found = [change for change in changes if change.kind in LANDS]
        arrived = (change.path for change in found if change.kind not in {*stay, "deleted"})
        left = (change.old_path or change.path for change in found if change.kind not in {*stay, "added"})
        return cls(
            touched=frozenset(chain.from_iterable(change.paths for change in found)),
            arrived=frozenset(chain.from_iterable(map(_folders, arrived))),
            left=frozenset(chain.from_iterable(map(_folders, left))),
        )

    def meets(self, other: Footprint) -> bool:
        """Say whether two changes may conflict: by a path, by a file where the other has a folder, by a folder that moved."""
        return not (
            self.touched.isdisjoint(other.touched)
            and self.touched.isdisjoint(other.arrived)
            and self.arrived.isdisjoint(other.touched)
            and self.arrived.isdisjoint(other.left)
            and self.left.isdisjoint(other.arrived)
        )


def _folders(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
