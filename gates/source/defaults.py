"""Defaults of a configuration: fields of Python classes and scalars of YAML, compared, and looked for in a report."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

from gates.source.bindings import last_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_WORD = re.compile(r"[\w.+-]+")
_SAME = {"null": "none", "~": "none", "yes": "true", "no": "false", "on": "true", "off": "false"}


def of_python(tree: ast.Module) -> dict[str, str]:
    """Give the default of each annotated field of each class, as code in its one spelling."""
    classes = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    return {
        f"{one.name}.{field.target.id}": ast.unparse(value)
        for one in classes
        for field in one.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and (value := _default(field.value))
    }


def _default(value: ast.expr | None) -> ast.expr | None:
    """Look into `Field(default=...)`, `Field(...)` and their `default_factory`."""
    if not isinstance(value, ast.Call) or last_name(value) not in {"field", "Field"}:
        return value
    named = {one.arg: one.value for one in value.keywords}
    given = named.get("default") or (value.args[0] if value.args else None) or named.get("default_factory")
    return given.body if isinstance(given, ast.Lambda) else given


def of_yaml(text: str) -> dict[str, str] | None:
    """Give every scalar by its path of keys; None where the text is no YAML, a template for instance."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        documents = list(YAML(typ="safe", pure=True).load_all(text))
    except (YAMLError, ValueError, RecursionError):
        return None
    return {path.removeprefix("."): value for document in documents for path, value in _scalars(document, "", 0)}


def _scalars(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > 50:  # noqa: PLR2004 - an alias of itself, not a configuration
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _scalars(inner, f"{path}.{key}", depth + 1)
    elif isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
        for index, inner in enumerate(value):
            yield from _scalars(inner, f"{path}.{index}", depth + 1)
    else:
        yield path, str(value)


def changed(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Give name, old and new value of the defaults that both have and that differ."""
    for name in old.keys() & new.keys():
        if not _equal(old[name], new[name]):
            yield name, old[name], new[name]


def is_declared(report: str, name: str, values: tuple[str, str]) -> bool:
    """Say whether one paragraph of the report names the default and both its values."""
    key = re.compile(rf"(?<!\w){re.escape(name.rpartition('.')[2])}(?!\w)")
    return any(
        key.search(part) and all(_says(part, value) for value in values) for part in re.split(r"\n\s*\n", report)
    )


def _says(text: str, value: str) -> bool:
    plain = _squeezed(value)
    return any(_equal(word.rstrip("."), plain) for word in _WORD.findall(text)) or _mentions(_squeezed(text), plain)


def _mentions(text: str, value: str) -> bool:
    return bool(re.search(rf"(?<![\w.]){re.escape(value)}(?![\w]|\.\d)", text)) if value else True


def _squeezed(text: str) -> str:
    return re.sub(r"[\s\"'`]", "", text)


def _equal(one: str, other: str) -> bool:
    """Compare as people do: 1e-3 is 0.001, null is None."""
    return _plain(one) == _plain(other)


def _plain(text: str) -> str | float:
    word = _squeezed(text).lower()
    try:
        return float(word.replace("_", ""))
    except ValueError:
        return _SAME.get(word, _squeezed(text))
