"""Where each value of a configuration comes from, what it replaced, and how two configurations differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from experiment_hub.configuration.document import Document, differences
from experiment_hub.configuration.keys import leaves
from experiment_hub.configuration.schema import ExperimentConfig

DEFAULT = "the hub's default"


@dataclass(frozen=True)
class Earlier:
    value: Any
    origin: str


@dataclass(frozen=True)
class Provenance:
    key: str
    value: Any
    origin: str
    """`file:line`, the override, or DEFAULT where the file leaves an optional key out."""
    replaces: tuple[Earlier, ...]
    """Latest first; empty where nothing stood before."""


@dataclass(frozen=True)
class Change:
    key: str
    a: Any
    b: Any
    a_origin: str
    b_origin: str
    """`-` where the side lacks the key."""


def histories(stages: Sequence[Document]) -> list[Provenance]:
    """Of the stages that `document.stages` gives; the last one must be valid, else ConfigurationError."""
    final = stages[-1]
    typed = final.parse(ExperimentConfig, final.data).model_dump(mode="json")
    given = dict(leaves(final.data))
    absent = [(path, value) for path, value in leaves(typed) if path not in given and not _below(path, given)]
    known = [_history(path, value, stages) for path, value in given.items()]
    return known + [Provenance(".".join(path), value, DEFAULT, ()) for path, value in absent]


def changes(one: Document, other: Document) -> list[Change]:
    return [
        Change(key, *pair, *(_origin(side, key) for side in (one, other)))
        for key, pair in differences(one.data, other.data).items()
    ]


def _history(path: tuple[str, ...], value: Any, stages: Sequence[Document]) -> Provenance:
    seen: list[Earlier] = []
    for stage in stages:
        values = dict(leaves(stage.data))
        if path in values and (not seen or seen[0].origin != stage.where(path)):
            seen.insert(0, Earlier(values[path], stage.where(path)))
    return Provenance(".".join(path), value, seen[0].origin, tuple(seen[1:]))


def _origin(document: Document, key: str) -> str:
    found = next((path for path, _ in leaves(document.data) if ".".join(path) == key), None)
    return "-" if found is None else document.where(found)


def _below(path: tuple[str, ...], given: dict[tuple[str, ...], Any]) -> bool:
    """Whether an ancestor was given as one value, such as an explicit null."""
    return any(path[:length] in given for length in range(1, len(path)))
