"""What a place for content must be able to do; names, hashes, folders and checks are the hub's, not the store's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable


@dataclass(frozen=True)
class Staged:
    """A complete copy of some content in a store's staging folder, already hashed; nobody else writes to it."""

    digest: str
    size: int
    path: Path


@dataclass(frozen=True)
class Stored:
    digest: str
    size: int


class Store(Protocol):
    """Whole contents by digest. Raises StoreGoneError where the place cannot be reached, written, or is full."""

    place: str
    """For people, without secrets."""
    staging: Path
    """A local folder for copies on their way in; on the store's own file system where it has one."""
    distant: bool
    """Reading is slow or costs money, so the hub keeps a local cache."""

    def owner(self, token: str) -> str:
        """The token that was written there first: this one, if there was none."""

    def add(self, staged: Sequence[Staged]) -> None:
        """Returns once all of it is there for good and was compared; leaves the staged files alone; content that is there already but differs is replaced."""

    def open(self, digest: str) -> BinaryIO:
        """Raises CorruptError where there is no such content."""

    def size(self, digest: str) -> int | None:
        """None where there is no such content."""

    def remove(self, digests: Sequence[str]) -> None:
        """What is gone already is no error."""

    def listing(self) -> Iterator[Stored]:
        """Everything that is there, in any order."""

    def tidy(self) -> int:
        """Remove what interrupted writers left behind a day ago or earlier; gives bytes."""


@runtime_checkable
class StoreKind(Protocol):
    """An extension: `STORE` of a module in `artifacts/stores/`, or of another distribution by entry point."""

    name: str
    schemes: frozenset[str]
    """Of URLs that it opens; an empty set takes every scheme that no other kind names."""

    def open(self, url: str, home: Path) -> Store: ...
