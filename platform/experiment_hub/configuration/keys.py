"""Dotted keys: listing them, finding the one that is meant, setting its value."""

from collections.abc import Iterator
from typing import Any

from experiment_hub.errors import ConfigurationError

SMOKE = "smoke"  # its keys are dotted names of other keys, not keys of their own


def leaves(data: dict[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value that is not a mapping, with its path."""
    for key, value in data.items():
        path = (*prefix, str(key))
        if isinstance(value, dict) and path != (SMOKE,):
            yield from leaves(value, path)
        else:
            yield path, value


def resolve(key: str, data: dict[str, Any], label: str) -> tuple[str, ...]:
    """The path that a dotted key, or a bare key that only one path ends with, stands for."""
    known = [path for path in _paths(data) if path[0] != SMOKE]
    exact = tuple(key.split("."))
    if exact in known:
        return exact
    matches = [path for path in known if path[-1] == key]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ConfigurationError(f"{label} {key}: ambiguous key; candidates: {_listed(matches)}")
    raise ConfigurationError(f"{label} {key}: unknown key; candidates: {_listed(known)}")


def put(data: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        data = data[key]
    data[path[-1]] = value


def _paths(data: dict[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in data.items():
        path = (*prefix, str(key))
        yield path
        if isinstance(value, dict):
            yield from _paths(value, path)


def _listed(paths: list[tuple[str, ...]]) -> str:
    return ", ".join(sorted(".".join(path) for path in paths))
