"""A file on top of another: `base: other.yaml`, or the name of a built-in configuration.

Mappings are merged key by key; lists and single values are replaced. Replaced as a whole are `smoke`, and a section
that names another kind (`model.type`, `data.name`): the keys of the kind before would mean nothing to it.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiment_hub.configuration.keys import SMOKE
from experiment_hub.configuration.reading import KeyPath, locate, read
from experiment_hub.errors import ConfigurationError, UnknownNameError

BASE = "base"
MAXIMUM_BASES = 16
DISCRIMINATORS = {"model": "type", "data": "name"}

Origins = dict[KeyPath, str]


@dataclass(frozen=True)
class Layer:
    """What is known once a file has been laid on top of its bases."""

    file: Path
    data: dict[str, Any]
    origins: Origins


def layers(path: Path) -> list[Layer]:
    """From the lowest base to the file itself; raises ConfigurationError for a cycle or a base that is not there."""
    chain = [_File.of(path)]
    while (base := chain[-1].base()) is not None:
        if any(base.samefile(each.path) for each in chain):
            raise ConfigurationError(f"{chain[-1].base_place}: base: {base} leads back to itself")
        if len(chain) > MAXIMUM_BASES:
            raise ConfigurationError(
                f"{chain[-1].base_place}: base: more than {MAXIMUM_BASES} files on top of each other"
            )
        chain.append(_File.of(base))
    lowest, *others = reversed(chain)
    built = [Layer(lowest.path, lowest.data, lowest.origins)]
    for each in others:
        data, origins = copy.deepcopy(built[-1].data), dict(built[-1].origins)
        _lay(each, data, origins)
        built.append(Layer(each.path, data, origins))
    return built


@dataclass(frozen=True)
class _File:
    path: Path
    named: Any
    """What `base` says, if it is there."""
    data: dict[str, Any]
    origins: Origins

    @classmethod
    def of(cls, path: Path) -> "_File":
        data, lines = read(path)
        named = data.pop(BASE, None)
        origins = {place: f"{path}:{line}" for place, line in lines.items()}
        return cls(path, named, data, origins)

    @property
    def base_place(self) -> str:
        return self.origins.get((BASE,), str(self.path))

    def base(self) -> Path | None:
        if self.named is None:
            return None
        if not isinstance(self.named, str) or not self.named or Path(self.named).is_absolute():
            raise ConfigurationError(
                f"{self.base_place}: base: expected a path relative to this file, or the name of a built-in one"
            )
        try:
            return locate(self.named, self.path.parent)
        except (ConfigurationError, UnknownNameError) as error:
            raise ConfigurationError(f"{self.base_place}: base: {error}") from error


def _lay(file: _File, data: dict[str, Any], origins: Origins) -> None:
    origins[()] = file.origins[()]  # what is missing is missing in the file that was asked for
    for key, value in file.data.items():
        before = data.get(key)
        if isinstance(before, dict) and isinstance(value, dict) and not _starts_anew(key, before, value):
            _merge(before, value, (key,), (file.origins, origins))
        else:
            _replace(data, value, (key,), (file.origins, origins))


def _starts_anew(section: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    kind = DISCRIMINATORS.get(section)
    return section == SMOKE or (kind is not None and kind in after and after[kind] != before.get(kind))


def _merge(data: dict[str, Any], changes: dict[str, Any], path: KeyPath, origins: tuple[Origins, Origins]) -> None:
    for key, value in changes.items():
        before = data.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            _merge(before, value, (*path, key), origins)
        else:
            _replace(data, value, (*path, key), origins)


def _replace(data: dict[str, Any], value: Any, path: KeyPath, origins: tuple[Origins, Origins]) -> None:
    new, known = origins
    data[str(path[-1])] = value
    for place in [place for place in known if place[: len(path)] == path]:
        del known[place]
    known |= {place: origin for place, origin in new.items() if place[: len(path)] == path}
