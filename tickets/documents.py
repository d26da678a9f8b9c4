"""YAML, TOML and JSON read with positions, so that every complaint names file, line, key and expectation."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tickets.errors import FileError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic_core import ErrorDetails

Path_ = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)


class Strict(BaseModel):
    """A frozen record that refuses unknown keys and wrong types."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


@dataclass(frozen=True, kw_only=True)
class Document:
    """A parsed file together with the line of each of its keys."""

    name: str
    data: Any
    lines: Mapping[Path_, int]

    def line(self, key: Sequence[str | int]) -> int:
        """Give the line of the key, or of the nearest key around it that has one."""
        path = tuple(key)
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def problem(self, key: Sequence[str | int], expected: str) -> Problem:
        return Problem(file=self.name, line=self.line(key), key=".".join(str(k) for k in key), expected=expected)


def read_yaml(text: str, name: str, *, first_line: int = 1) -> Document:
    """Parse one YAML document; `first_line` is where the text begins in its file."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    loader = YAML(typ="rt", pure=True)
    try:
        data = loader.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = first_line + (mark.line if mark else 0)
        raise FileError(Problem(file=name, line=line, key="", expected=f"valid YAML: {error.problem}")) from error
    except (YAMLError, ValueError) as error:
        raise FileError(Problem(file=name, line=first_line, key="", expected=f"valid YAML: {error}")) from error
    lines: dict[Path_, int] = {}
    return Document(name=name, data=_plain(data, (), lines, first_line), lines=lines)


def _plain(node: Any, path: Path_, lines: dict[Path_, int], first_line: int) -> Any:
    position = getattr(node, "lc", None)
    if isinstance(node, dict):
        for key in node:
            if position is not None and position.data and key in position.data:
                lines[*path, str(key)] = first_line + position.data[key][0]
        return {str(key): _plain(value, (*path, str(key)), lines, first_line) for key, value in node.items()}
    if isinstance(node, list):
        for index in range(len(node)):
            if position is not None and position.data and index in position.data:
                lines[*path, index] = first_line + position.data[index][0]
        return [_plain(value, (*path, index), lines, first_line) for index, value in enumerate(node)]
    return _scalar(node)


def _scalar(node: Any) -> Any:
    """Strip ruamel's round-trip types, which pydantic's strict types would refuse."""
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def read_json(text: str, name: str) -> Document:
    try:
        return Document(name=name, data=json.loads(text), lines={})
    except json.JSONDecodeError as error:
        raise FileError(Problem(file=name, line=error.lineno, key="", expected=f"valid JSON: {error.msg}")) from error


_TOML_TABLE = re.compile(r"^\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_TOML_KEY = re.compile(r"^\s*([A-Za-z0-9_\-\"'.]+)\s*=")
_TOML_PLACE = re.compile(r"line (\d+)")


def read_toml(text: str, name: str) -> Document:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        line = int(place[1]) if place else text.count("\n") + 1
        raise FileError(Problem(file=name, line=line, key="", expected=f"valid TOML: {error}")) from error
    return Document(name=name, data=data, lines=_toml_lines(text))


def _toml_lines(text: str) -> dict[Path_, int]:
    """Find where each key stands; tomllib does not tell. Good for one key a line, as people write it."""
    lines: dict[Path_, int] = {}
    counts: dict[str, int] = {}
    table: Path_ = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TOML_TABLE.match(line):
            table = _dotted(header[1])
            if line.lstrip().startswith("[["):
                counts[header[1]] = counts.get(header[1], -1) + 1
                table = (*table, counts[header[1]])
            lines[table] = number
        elif key := _TOML_KEY.match(line):
            lines.setdefault((*table, *_dotted(key[1])), number)
    return lines


def _dotted(key: str) -> Path_:
    return tuple(part.strip().strip("\"'") for part in key.split("."))


def validate(model: type[M], document: Document) -> M:
    """Turn the document into the record, or raise one FileError that names every problem with its line."""
    try:
        # JSON is where pydantic's strict mode still takes a list for a tuple and an integer for a float
        return model.model_validate_json(json.dumps(document.data, default=str), strict=True)
    except ValidationError as error:
        problems = [_problem(document, details) for details in error.errors()]
        raise FileError(*dict.fromkeys(problems)) from error


def _problem(document: Document, details: ErrorDetails) -> Problem:
    # pydantic appends the branch of a union to the place; only what stands in the file helps a person
    key = [k for k in details["loc"] if not (isinstance(k, str) and ("[" in k or k in {"str", "tuple"}))]
    return document.problem(key, _expectation(details))


def _expectation(details: ErrorDetails) -> str:
    kind, message = details["type"], details["msg"]
    if kind == "extra_forbidden":
        return "no such key"
    if kind == "missing":
        return "this key is required"
    text = message.removeprefix("Value error, ").removeprefix("Input should be ")
    given = details.get("input")
    shown = "" if isinstance(given, dict | list) or kind == "value_error" else f", not {given!r}"
    return f"expected {text}{shown}"
