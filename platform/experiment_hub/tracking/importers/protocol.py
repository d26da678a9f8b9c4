"""What an importer must be able to do: tell the runs of another tracker's store."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from experiment_hub.tracking.series.tail import Point


@dataclass(frozen=True)
class Foreign:
    """A run of another tracker."""

    id: str
    """Unique in that tracker's store; the same run is imported once."""
    name: str
    project: str
    state: str
    """finished, failed or killed."""
    created: float
    ended: float | None
    """Seconds since the epoch."""
    points: Iterable[Point]
    """Read when it is the run's turn, so that a large store does not fill the memory."""
    config: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    notes: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else is known, for the run's environment."""
    artifacts: tuple[tuple[str, Path], ...] = ()
    """Name and place of files and folders that are on this machine."""


@runtime_checkable
class Importer(Protocol):
    """An extension: `IMPORTER` of a module in `tracking/importers/`, or of another distribution by entry point."""

    name: str

    def runs(self, source: str) -> Iterator[Foreign]:
        """Raises BadInputError for a source that is none, MissingExtraError."""
