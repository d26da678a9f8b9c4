"""Changes to single values of a YAML file that leave every other character as it is."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from tickets.documents import read_yaml
from tickets.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KeyPath = tuple[str, ...]
_PLAIN = re.compile(r"[A-Za-z_][\w./:-]*")
_OTHER_MEANING = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Words that some YAML readers take for something else than text."""


def data(text: str, name: str) -> dict[str, Any]:
    found = read_yaml(text, name).data
    if not isinstance(found, dict):
        raise InputError(f"{name}: expected a mapping of keys")
    return found


def paths(mapping: Mapping[str, Any], prefix: KeyPath = ()) -> Iterator[KeyPath]:
    """Every key with the keys around it, sections included."""
    for key, value in mapping.items():
        yield (*prefix, key)
        if isinstance(value, dict):
            yield from paths(value, (*prefix, key))


def at(mapping: Mapping[str, Any], path: KeyPath) -> Any:
    value: Any = mapping
    for key in path:
        value = value[key]
    return value


def flow(value: Any) -> str:
    """Write a value as it may stand on one line and within brackets."""
    if isinstance(value, list):
        return f"[{', '.join(flow(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {flow(item)}' for key, item in value.items())}}}"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _OTHER_MEANING:
        return value
    return json.dumps(value)


def value_of(text: str) -> Any:
    """Read the value that a person wrote; raise InputError for anything but a scalar or a flow list of scalars."""
    value = read_yaml(text, "VALUE").data
    items = value if isinstance(value, list) else [value]
    if not items or not all(_simple(item) for item in items):
        raise InputError(
            f"{text!r} is no value: expected a number, true, false, a word, or a list of these like [64, 64]"
        )
    return value


def _simple(item: object) -> bool:
    if isinstance(item, str):
        return bool(_PLAIN.fullmatch(item)) and item.lower() not in _OTHER_MEANING
    return isinstance(item, int) or (isinstance(item, float) and math.isfinite(item))


def replaced(text: str, changes: Mapping[KeyPath, Any]) -> str:
    """Give the text with other values at these paths; raise InputError where they cannot be put in place."""
    root = _compose(text)
    spans = {path: _span(_node(root, path)) for path in changes}
    after = text
    for path, (start, end) in sorted(spans.items(), key=lambda item: -item[1][0]):
        after = f"{after[:start]}{flow(changes[path])}{after[end:]}"
    expected = data(text, "before")
    for path, value in changes.items():
        at(expected, path[:-1])[path[-1]] = value
    if _data_or_none(after) != expected:
        shown = ", ".join(".".join(path) for path in changes)
        raise InputError(f"{shown} cannot be changed in place in this YAML file")
    return after


def _data_or_none(text: str) -> dict[str, Any] | None:
    try:
        return data(text, "after")
    except InputError:
        return None


def _compose(text: str) -> Any:
    from ruamel.yaml import YAML

    return YAML(typ="rt", pure=True).compose(text)


def _node(node: Any, path: KeyPath) -> Any:
    for key in path:
        node = next(value for name, value in node.value if name.value == key)
    return node


def _span(node: Any) -> tuple[int, int]:
    """Where a value begins and ends; a block ends with its last scalar, not with the blank lines behind it."""
    last = node
    while isinstance(last.value, list) and last.value and not last.flow_style:
        last = last.value[-1][1] if isinstance(last.value[-1], tuple) else last.value[-1]
    return node.start_mark.index, last.end_mark.index
