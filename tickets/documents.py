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
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic_core import ErrorDetails

Path_ = tuple[str | int, ...]
MAX_NODES = 100_000
"""Aliases of YAML can name a value again and again: nine lines of them make a billion. A hundred characters weigh as a value."""
SHOWN = 200
"""Characters of a wrong value that are shown."""
M = TypeVar("M", bound=BaseModel)


class Strict(BaseModel):
    """A frozen record that refuses unknown keys and wrong types."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)


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
    except (YAMLError, ValueError, RecursionError) as error:
        line = first_line + text.count("\n", 0, getattr(error, "position", 0))
        said = str(error).splitlines()[0]
        raise FileError(Problem(file=name, line=line, key="", expected=f"valid YAML: {said}")) from error
    lines: dict[Path_, int] = {}
    try:
        return Document(name=name, data=_plain(data, (), lines, first_line, [MAX_NODES]), lines=lines)
    except (OverflowError, RecursionError) as error:
        expected = f"at most {MAX_NODES} values once its aliases are resolved, and none inside itself"
        raise FileError(Problem(file=name, line=first_line, key="", expected=expected)) from error


def _plain(node: Any, path: Path_, lines: dict[Path_, int], first_line: int, left: list[int]) -> Any:
    left[0] -= 1 + (len(node) // 100 if isinstance(node, str) else 0)
    if left[0] < 0:
        raise OverflowError
    position = getattr(node, "lc", None)
    if isinstance(node, dict):
        for key in node:
            if position is not None and position.data and key in position.data:
                lines[*path, str(key)] = first_line + position.data[key][0]
        return {str(key): _plain(value, (*path, str(key)), lines, first_line, left) for key, value in node.items()}
    if isinstance(node, list):
        for index in range(len(node)):
            if position is not None and position.data and index in position.data:
                lines[*path, index] = first_line + position.data[index][0]
        return [_plain(value, (*path, index), lines, first_line, left) for index, value in enumerate(node)]
    return _scalar(node)


def _scalar(node: Any) -> Any:
    """Strip ruamel's round-trip types, which pydantic's strict types would refuse."""
    from ruamel.yaml.scalarbool import ScalarBoolean

    if isinstance(node, ScalarBoolean):  # an anchored `true` is one, and an int to Python
        return bool(node)
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def read_json(text: str, name: str) -> Document:
    try:
        return Document(name=name, data=json.loads(text), lines=_json_lines(text, name))
    except json.JSONDecodeError as error:
        raise FileError(Problem(file=name, line=error.lineno, key="", expected=f"valid JSON: {error.msg}")) from error
    except (ValueError, RecursionError) as error:
        raise FileError(Problem(file=name, line=1, key="", expected=f"valid JSON: {error}")) from error


_JSON_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[\[\]{},\n]|[^\s\[\]{},:"]+')


def _json_lines(text: str, name: str) -> dict[Path_, int]:
    """Find where each key and item of a valid JSON text stands; refuse a key that is there twice."""
    lines: dict[Path_, int] = {}
    open_: list[
        tuple[Path_, int | None]
    ] = []  # each container around the place: its path, and the index of its next item
    key: str | None = None
    number = 1
    for word in (found[0] for found in _JSON_TOKEN.finditer(text)):
        if word == "\n":
            number += 1
        elif word in "]}":
            open_.pop()
        elif word == ",":
            key = None
            if open_[-1][1] is not None:
                open_[-1] = (open_[-1][0], open_[-1][1] + 1)
        elif open_ and open_[-1][1] is None and key is None:
            key = json.loads(word)
            place = (*open_[-1][0], key)
            if place in lines:
                raise FileError(
                    Problem(file=name, line=number, key=".".join(map(str, place)), expected="expected each key once")
                )
            lines[place] = number
        else:
            path = _json_path(open_, key)
            lines.setdefault(path, number)
            if word in "[{":
                open_.append((path, 0 if word == "[" else None))
                key = None
    return lines


def _json_path(open_: Sequence[tuple[Path_, int | None]], key: str | None) -> Path_:
    if not open_:
        return ()
    around, index = open_[-1]
    return (*around, key or "" if index is None else index)


_TOML_PART = r"""(?:[A-Za-z0-9_-]+|"(?:\\.|[^"\\])*"|'[^']*')"""
_TOML_NAME = rf"({_TOML_PART}(?:\s*\.\s*{_TOML_PART})*)"
_TOML_TABLE = re.compile(rf"^\s*\[\[?\s*{_TOML_NAME}\s*\]\]?\s*(?:#.*)?$")
_TOML_KEY = re.compile(rf"^\s*{_TOML_NAME}\s*=")
_TOML_PLACE = re.compile(r"line (\d+)")
_TOML_TOKEN = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\#[^\n]*|[\[\]{}\n]''', re.DOTALL
)


def read_toml(text: str, name: str) -> Document:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        line = int(place[1]) if place else text.count("\n") + 1
        raise FileError(Problem(file=name, line=line, key="", expected=f"valid TOML: {error}")) from error
    except (ValueError, RecursionError) as error:
        raise FileError(Problem(file=name, line=1, key="", expected=f"valid TOML: {error}")) from error
    return Document(name=name, data=data, lines=_toml_lines(text))


def _toml_lines(text: str) -> dict[Path_, int]:
    """Find where each key stands; tomllib does not tell. Good for one key a line, as people write it."""
    lines: dict[Path_, int] = {}
    counts: dict[Path_, int] = {}
    table: Path_ = ()
    for number, line in _toml_statements(text):
        if header := _TOML_TABLE.match(line):
            table = _counted(_dotted(header[1]), counts, begins=line.lstrip().startswith("[["))
            for depth in range(1, len(table) + 1):
                lines.setdefault(table[:depth], number)
        elif key := _TOML_KEY.match(line):
            place = (*table, *_dotted(key[1]))
            for depth in range(len(table) + 1, len(place) + 1):
                lines.setdefault(place[:depth], number)
    return lines


def _toml_statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield the first line of each statement with its number: not those inside a long string or an array."""
    rows = text.split("\n")
    number, depth = 1, 0
    yield 1, rows[0]
    for word in (found[0] for found in _TOML_TOKEN.finditer(text)):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(word, 0)
        number += word.count("\n")
        if word == "\n" and depth == 0:
            yield number, rows[number - 1]


def _counted(name: Path_, counts: dict[Path_, int], *, begins: bool) -> Path_:
    """Put the index of the current element behind each array of tables in the name; `begins`: the last one starts another."""
    path: Path_ = ()
    for place, part in enumerate(name, 1):
        path = (*path, part)
        if begins and place == len(name):
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _dotted(key: str) -> Path_:
    return tuple(part.strip("\"'") for part in re.findall(_TOML_PART, key))


def validate(model: type[M], document: Document) -> M:
    """Turn the document into the record, or raise one FileError that names every problem with its line."""
    try:
        # JSON is where pydantic's strict mode still takes a list for a tuple and an integer for a float
        text = json.dumps(document.data, default=str)
    except ValueError as error:  # an integer of more digits than Python writes
        raise FileError(document.problem((), f"expected values of bearable size ({error})")) from error
    try:
        return model.model_validate_json(text, strict=True)
    except ValidationError as error:
        problems = [_problem(document, details) for details in error.errors()]
        raise FileError(*dict.fromkeys(problems)) from error


def _problem(document: Document, details: ErrorDetails) -> Problem:
    # pydantic appends the branch of a union to the place; only what stands in the file helps a person
    key: list[str | int] = []
    for part in details["loc"]:
        branch = isinstance(part, str) and ("[" in part or part in {"str", "tuple", "constrained-str"})
        if not branch or (*key, part) in document.lines:
            key.append(part)
    return document.problem(key, _expectation(details))


def _expectation(details: ErrorDetails) -> str:
    kind, message = details["type"], details["msg"]
    if kind == "extra_forbidden":
        return "no such key"
    if kind == "missing":
        return "this key is required"
    text = (
        _LEAD.sub("", message)
        .replace("String should match pattern", "text that matches")
        .removesuffix(" after validation, not 0")
    )
    given = details.get("input")
    shown = "" if isinstance(given, dict | list) or kind == "value_error" else f", not {_short(given)}"
    return f"expected {text}{shown}"


_LEAD = re.compile(r"^(?:Value error, |(?:Input|String|Value|Tuple) should (?:be|have) )")


def _short(given: object) -> str:
    text = repr(given)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
