"""The words of the train: what waits, what would be judged, what is known, and what is to be done next. All of them are values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change that passed in its own tree and waits to land."""

    id: str
    seq: int
    """Order of its first admission; kept when it is judged again."""
    author: str = ""
    """Whose failures are counted together: the agent that made it."""
    excludes: frozenset[str] = frozenset()
    """Waiting changes that it conflicts with as text: no candidate may hold both."""
    related: frozenset[str] = frozenset()
    """Waiting changes that it is not provably independent of: they never share one run."""
    alone: bool = False
    """It changes what it is judged by, or an input of everything: it never shares a run."""


@dataclass(frozen=True)
class Candidate:
    """What the target would become: the head, what is ahead in this order, then the members, which one run judges together."""

    ahead: tuple[str, ...]
    members: tuple[str, ...]

    @property
    def changes(self) -> tuple[str, ...]:
        return self.ahead + self.members

    def after(self, landed: tuple[str, ...]) -> Candidate | None:
        """Give the same tree as it is called once these have landed; None where it did not stand on them, or is all landed.

        Members may be among the landed: what was found about (a, b) is known of b alone once a has landed.
        """
        if self.changes[: len(landed)] != landed or len(landed) >= len(self.changes):
            return None
        return Candidate(self.ahead[len(landed) :], self.members[max(0, len(landed) - len(self.ahead)) :])


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What runs on one candidate have said so far."""

    passes: int = 0
    fails: int = 0
    inconclusive: int = 0
    """Crashes, time-outs, missing tools: never somebody's fault."""
    confirmed: bool = False
    """The failing run tried again by itself what failed: a second run would tell nothing new."""
    blamed: frozenset[str] = frozenset()
    """Members that are at fault by themselves, whatever the others do."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What the train has learned from runs so far: enough to choose window and batch."""

    window: int = 16
    """Changes that may stand in the train; grows with every landing, shrinks with every eviction."""
    passed: Mapping[str, int] = field(default_factory=dict)
    """Changes that passed a run, by author."""
    failed: Mapping[str, int] = field(default_factory=dict)
    """Changes that were found guilty, by author."""
    places: tuple[str, ...] = ()
    """Changes that have entered the train, in its order: what stands in it is not reordered by newcomers."""
    overtaken: Mapping[str, int] = field(default_factory=dict)
    """How many later changes entered the train before a waiting one."""

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "places": list(self.places)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Record:
        """Take what `to_json` gave; what an older version did not know of begins anew."""
        known = {name: value for name, value in data.items() if name in {one.name for one in fields(cls)}}
        return cls(**{**known, "places": tuple(data.get("places", ()))})


@dataclass(frozen=True, kw_only=True)
class View:
    """All that a decision depends on; the same view gives the same decision."""

    waiting: tuple[Change, ...]
    known: Mapping[Candidate, Tally]
    """Candidates on the present head only."""
    running: frozenset[Candidate]
    slots: int
    """Runs that may be under way at once."""
    record: Record = Record()
    max_window: int = 8
    """The most changes that stand in the train; the rest waits behind it."""
    max_batch: int = 8
    """The most changes that one run judges together."""
    failing: frozenset[Candidate] = frozenset()
    """Something failed in their runs, which have not ended, or were ended before they could say more: nobody's fault yet."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What is to be done now; an empty one means: wait for a run to end."""

    land: tuple[Candidate, ...] = ()
    """The longest passing prefix, in order; each one moves the target once."""
    evict: Mapping[str, str] = field(default_factory=dict)
    """Guilty changes, each with the reason in a sentence for a person."""
    unjudged: Mapping[str, str] = field(default_factory=dict)
    """Changes that could not be judged in as many tries as are made, and why."""
    cancel: frozenset[Candidate] = frozenset()
    start: tuple[Candidate, ...] = ()
    order: tuple[Candidate, ...] = ()
    """The train as predicted, first to last, for people."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why each waiting change is where it is."""
    record: Record = Record()
    """What is known after this decision."""
