"""Who waits: the cars of the train in order, and what stands between them before any gate runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.sharing import gather
from orchestrator.train.cars import Car, Clash
from orchestrator.train.independence import Relations
from orchestrator.train.model import Change
from tickets.states import State
from worktrees.changes import ChangeSet
from worktrees.footprints import Footprint
from worktrees.overlaps import overlaps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from memory.trains import Trains
    from orchestrator.train.cars import Predictor
    from orchestrator.workspace import Workspace
    from worktrees.engine import MergeEngine

RIDING = frozenset({State.QUEUED, State.LANDING})


@dataclass(frozen=True)
class Unmergeable:
    """A car that conflicts with the target as it stands."""

    car: Car
    clash: Clash


class Roster:
    """The waiting cars; read again at every look, computed anew only for what is new."""

    def __init__(self, workspace: Workspace, trains: Trains, predictor: Predictor, engine: MergeEngine) -> None:
        self._workspace, self._trains = workspace, trains
        self._predictor, self._engine = predictor, engine
        self._relations = Relations(workspace.repository)
        self._cars: dict[str, Car] = {}
        self._clashes: dict[str, frozenset[str]] = {}
        self._fits: dict[str, str] = {}
        """The last head that each is known to merge with."""

    @property
    def cars(self) -> Mapping[str, Car]:
        return self._cars

    def look(self, target: str) -> None:
        """See who came, and who is gone."""
        rows = self._trains.cars(target)
        # what another clone made is fetched first; where it cannot be had yet, the next look may find it
        found = {row.ticket: row for row in rows if gather(self._workspace, row.ticket, row.head)}
        states = self._workspace.records.states_of(found)
        for ticket in [name for name in found if states[name] not in RIDING]:
            self._trains.leave(ticket, f"it is {states[ticket]}")
            del found[ticket]
        self._cars = {
            ticket: self._cars.get(ticket) or self._admit(ticket, row.seq, row.joined_at)
            for ticket, row in found.items()
        }

    def _admit(self, ticket: str, seq: int, joined_at: str) -> Car:
        row = self._workspace.records.ticket(ticket)
        attempt = self._workspace.records.attempts(ticket)[-1]
        changes = ChangeSet.from_json(attempt.changes or {})
        self._clashes.clear()
        return Car(row=row, attempt=attempt, changes=changes, seq=seq, joined_at=joined_at)

    def leave(self, ticket: str, reason: str) -> None:
        self._trains.leave(ticket, reason)
        self._cars.pop(ticket, None)

    def unmergeable(self, head: str) -> list[Unmergeable]:
        """List what cannot be merged onto the target: no gate runs for it."""
        asked = [car for car in self._cars.values() if not self._still_fits(car, head)]
        made = [(car, self._predictor.chain(head, [car])) for car in asked]
        self._fits = dict.fromkeys(self._cars, head)
        return [Unmergeable(car, clash) for car, clash in made if isinstance(clash, Clash)]

    def _still_fits(self, car: Car, head: str) -> bool:
        """Say whether it is known to merge, as far from what the target did since it last did."""
        before = self._fits.get(car.id)
        if before is None or before == head:
            return before == head
        (since,) = self._engine.footprints([(before, head)])
        return not since.meets(Footprint.of(car.changes.landing))

    def changes(self) -> tuple[Change, ...]:
        """Say of each car what it cannot ride with, oldest first."""
        cars = sorted(self._cars.values(), key=lambda car: car.seq)
        known = self._relations.among({car.id: car.changes for car in cars})
        if any(car.id not in self._clashes for car in cars):
            self._find_clashes(cars)
        return tuple(
            Change(
                id=car.id,
                seq=car.seq,
                author=car.author,
                excludes=self._clashes[car.id],
                related=known.related[car.id],
                alone=car.id in known.alone,
            )
            for car in cars
        )

    def _find_clashes(self, cars: Iterable[Car]) -> None:
        heads = {car.id: car.changes for car in cars}
        self._clashes = dict.fromkeys(heads, frozenset())
        for pair in overlaps(self._engine, heads):
            self.clash(pair)

    def clash(self, tickets: Iterable[str]) -> None:
        """Remember that these cannot be merged one after another."""
        together = frozenset(tickets)
        for ticket in together:
            self._fits.pop(ticket, None)  # merged in earnest at the next look
            self._clashes[ticket] = self._clashes.get(ticket, frozenset()) | (together - {ticket})

    def tie(self, tickets: Iterable[str]) -> None:
        """Remember that the order of these matters: they never share a run."""
        self._relations.tie(tickets)
