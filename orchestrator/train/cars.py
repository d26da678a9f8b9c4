"""What rides in the train: a ticket's change that passed in its own tree, and what is predicted of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worktrees.changes import ChangeSet
from worktrees.merge import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from memory.records import AttemptRow, TicketRow
    from orchestrator.workspace import Workspace
    from worktrees.engine import MergeEngine


@dataclass(frozen=True, kw_only=True)
class Car:
    """One ticket in the train."""

    row: TicketRow
    attempt: AttemptRow
    changes: ChangeSet
    """What the attempt did, against its own base."""
    seq: int
    """Order of its first admission."""
    joined_at: str

    @property
    def id(self) -> str:
        return self.row.id

    @property
    def author(self) -> str:
        return str((self.attempt.outcome or {}).get("agent", ""))


@dataclass(frozen=True, kw_only=True)
class Part:
    """One member's own change, on the tree that its candidate makes."""

    car: Car
    changes: ChangeSet


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the target would become, as commits that nobody sees."""

    before: str
    """The head that this one is judged on: the target's with everything ahead merged."""
    after: str
    tree: str
    parts: tuple[Part, ...]
    """The members, each seen as the last one to be merged."""
    whole: ChangeSet
    """What all members do together."""
    key: str
    """Names content and rules, not places: the same key is never judged twice."""


@dataclass(frozen=True, kw_only=True)
class Passed:
    """A candidate that passed, with its proof."""

    prediction: Prediction
    reports: Mapping[str, dict[str, Any]]
    """By ticket."""
    hashes: Mapping[str, str]
    """Of the reports, by ticket."""


@dataclass(frozen=True)
class Clash:
    """Two changes that cannot be merged as text; the head itself where `ahead` is empty."""

    ticket: str
    ahead: str
    conflict: Conflict
    onto: str
    """Commit that the ticket's could not be merged onto."""


class Mixed(Exception):  # noqa: N818 - no error: the members of a batch turned out to depend on their order
    """The members of a batch give another tree in another order: they are judged one by one."""


class Predictor:
    """Merges cars onto heads, each combination once: a merge costs milliseconds, the whole train is rebuilt at every event."""

    def __init__(self, workspace: Workspace, engine: MergeEngine) -> None:
        self._workspace, self._engine = workspace, engine
        self._made: dict[tuple[str, str], str | Conflict] = {}
        self._sets: dict[tuple[str, str], ChangeSet] = {}

    def merged(self, onto: str, car: Car) -> str | Conflict:
        """Give the commit that the car makes of a head, or the conflict."""
        key = (onto, car.changes.commit)
        if key not in self._made:
            self._made[key] = self._merge(onto, car)
        return self._made[key]

    def _merge(self, onto: str, car: Car) -> str | Conflict:
        found = self._engine.merge(onto, car.changes.commit)
        if isinstance(found, Conflict):
            return found
        parents = (onto, car.changes.commit)
        return self._engine.commit(found.tree, parents=parents, message=f"rehearsal of {car.id}\n", rehearsal=True)

    def chain(self, head: str, cars: Sequence[Car]) -> str | Clash:
        """Merge the cars one after another; the last commit, or the first clash."""
        onto, names = head, ""
        for car in cars:
            made = self.merged(onto, car)
            if isinstance(made, Conflict):
                return Clash(ticket=car.id, ahead=self._other_side(head, names, car), conflict=made, onto=onto)
            onto, names = made, f"{names} {car.id}".strip()
        return onto

    def _other_side(self, head: str, ahead: str, car: Car) -> str:
        """Name the nearest car that it clashes with; nobody where it clashes with the head itself."""
        if isinstance(self.merged(head, car), Conflict):
            return ""
        return ahead.rpartition(" ")[2]

    def predict(self, head: str, ahead: Sequence[Car], members: Sequence[Car]) -> Prediction | Clash:
        """Say what the target would become; raise Mixed where the order of a batch's members matters."""
        before = self.chain(head, ahead)
        if isinstance(before, Clash):
            return before
        after = self.chain(before, members)
        if isinstance(after, Clash):
            return after
        tree = self._engine.tree(after)
        parts = self._parts(before, after, members, tree)
        return Prediction(
            before=before,
            after=after,
            tree=tree,
            parts=parts,
            whole=self._set(before, after),
            key=self._key(before, tree, parts),
        )

    def _parts(self, before: str, after: str, members: Sequence[Car], tree: str) -> tuple[Part, ...]:
        if len(members) == 1:
            return (Part(car=members[0], changes=self._own(before, after, members[0])),)
        found = []
        for car, base in self._bases(before, members):
            made = self.merged(base, car)
            if isinstance(made, Conflict) or self._engine.tree(made) != tree:
                raise Mixed
            found.append(Part(car=car, changes=self._own(base, made, car)))
        return tuple(found)

    def _bases(self, onto: str, members: Sequence[Car]) -> Iterator[tuple[Car, str]]:
        """Give each member with the commit of all others; halving the members merges each with few of them."""
        if len(members) == 1:
            yield members[0], onto
            return
        middle = len(members) // 2
        for some, others in ((members[:middle], members[middle:]), (members[middle:], members[:middle])):
            base = self.chain(onto, others)
            if isinstance(base, Clash):
                raise Mixed
            yield from self._bases(base, some)

    def _own(self, base: str, commit: str, car: Car) -> ChangeSet:
        evidence = [change for change in car.changes.changes if change not in car.changes.landing]
        made = self._set(base, commit)
        changes = tuple(sorted((*made.changes, *evidence), key=lambda change: change.path))
        return ChangeSet(base=base, commit=commit, tree=made.tree, changes=changes)

    def _set(self, base: str, commit: str) -> ChangeSet:
        if (base, commit) not in self._sets:
            self._sets[base, commit] = self._engine.changes(base, commit)
        return self._sets[base, commit]

    def _key(self, before: str, tree: str, parts: Sequence[Part]) -> str:
        workspace = self._workspace
        words = [workspace.policy_at(before).sha256, self._engine.tree(before), tree]
        for part in parts:
            row, attempt = part.car.row, part.car.attempt
            words += [row.sha256, str(attempt.number), part.car.changes.commit]
            words += sorted(grant.identity for grant in workspace.grants.in_force(row) if grant.in_force())
        return hashlib.sha256("\0".join(words).encode()).hexdigest()

    def forget(self, keep: str) -> None:
        """Drop what stands on heads that are gone, once it is much."""
        if len(self._made) > MEMORY:
            self._made = {key: made for key, made in self._made.items() if key[0] == keep}
            self._sets.clear()


MEMORY = 4096
