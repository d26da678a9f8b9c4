"""What a mirror must be able to do: show a run in another tracker, while it runs or afterwards."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from experiment_hub.tracking.series.tail import Point


@dataclass(frozen=True)
class Shown:
    """A run as other trackers know runs."""

    id: str
    name: str
    project: str
    parameters: Mapping[str, Any]
    """By dotted key."""
    tags: tuple[str, ...]
    notes: str | None
    created: float
    """Seconds since the epoch."""


class Sink(Protocol):
    """One run in the other tracker."""

    def points(self, points: Iterable[Point]) -> None: ...

    def artifact(self, name: str, path: Path) -> None:
        """A file or folder; a tracker that takes none leaves it out."""

    def close(self, state: str, ended: float | None) -> None: ...


@runtime_checkable
class Mirror(Protocol):
    """An extension: `MIRROR` of a module in `tracking/mirrors/`, or of another distribution by entry point."""

    name: str

    def open(self, run: Shown, target: str) -> Sink:
        """`target` is what the other tracker writes to: a folder or a URL. Raises MissingExtraError."""
