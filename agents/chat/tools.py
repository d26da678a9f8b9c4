"""The tools that a model is offered: what they take, what the live gate calls them, and who carries them out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from agents.reports import asked_for, keys, markdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agents.chat.answers import Asking

MOST_SECONDS, USUAL_SECONDS = 600, 120
"""Of one shell line."""


class CallError(Exception):
    """A call that cannot be made as it was written; the text is for the model."""


class BrokenCallError(CallError):
    """Its arguments are no JSON object."""


@dataclass(frozen=True, kw_only=True)
class Field:
    name: str
    what: str
    kind: Literal["string", "integer"] = "string"
    needed: bool = True


@dataclass(frozen=True, kw_only=True)
class Tool:
    name: str
    what: str
    fields: tuple[Field, ...]
    order: str = ""
    """What the hands call it; empty: nothing is done in the tree."""
    gate: str = ""
    """What the live gate knows it as, where that is another name."""
    reads: bool = False
    """Changes nothing."""

    @property
    def asked_as(self) -> str:
        return self.gate or self.name

    def offered(self) -> dict[str, Any]:
        properties = {field.name: {"type": field.kind, "description": field.what} for field in self.fields}
        needed = [field.name for field in self.fields if field.needed]
        parameters = {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}
        return {"type": "function", "function": {"name": self.name, "description": self.what, "parameters": parameters}}

    def given(self, asking: Asking) -> dict[str, Any]:
        """Check what the model gave. Nothing unknown is let through: the gate must judge exactly what is carried out."""
        given = _object(asking)
        fields = {field.name: field for field in self.fields}
        unknown = [name for name in given if name not in fields]
        missing = [field.name for field in self.fields if field.needed and not _there(given.get(field.name), field)]
        if unknown or missing:
            wrong = [f"has no field {name}" for name in unknown] + [f"needs the field {name}" for name in missing]
            raise CallError(f"{self.name} {', and it '.join(wrong)}; nothing was done")
        return {name: self._value(fields[name], value) for name, value in given.items() if value is not None}

    def _value(self, field: Field, value: Any) -> Any:
        if field.kind == "integer" and isinstance(value, str) and re.fullmatch(r"\d{1,9}", value.strip()):
            return int(value)
        right = _is_text(value) if field.kind == "string" else type(value) is int and value < 10**9
        if not right:
            raise CallError(f"{self.name}: the field {field.name} is a {field.kind}; nothing was done")
        return value


def _is_text(value: Any) -> bool:
    """Say whether a value is text that can be written: JSON can name halves of characters."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _there(value: Any, field: Field) -> bool:
    empty_means_something = field.name in {"content", "new"}
    return value is not None and (value != "" or empty_means_something)


def _object(asking: Asking) -> dict[str, Any]:
    try:
        given = json.loads(asking.arguments or "{}", strict=False)
    except (ValueError, RecursionError) as error:
        raise BrokenCallError(f"the arguments of {asking.name} are no JSON ({error}); nothing was done") from error
    if not isinstance(given, dict):
        raise BrokenCallError(f"the arguments of {asking.name} are no JSON object; nothing was done")
    return given


_PATH = Field(name="path", what="relative to the folder you work in")
READ = Tool(
    name="read_file",
    what="Read a text file.",
    fields=(
        _PATH,
        Field(name="first_line", what="where to begin; default 1", kind="integer", needed=False),
        Field(name="lines", what="how many; default and at most 1000", kind="integer", needed=False),
    ),
    order="read",
    reads=True,
)
LIST = Tool(
    name="list_files",
    what="List files and folders.",
    fields=(
        Field(name="path", what="folder; default: the one you work in", needed=False),
        Field(name="depth", what="levels of folders; default 3", kind="integer", needed=False),
    ),
    order="list",
    gate="list_directory",
    reads=True,
)
SEARCH = Tool(
    name="search",
    what="Find the lines of files that match a regular expression.",
    fields=(
        Field(name="pattern", what="regular expression of Python"),
        Field(name="path", what="file or folder; default: the one you work in", needed=False),
        Field(name="files", what="names of files as a glob, such as *.py", needed=False),
    ),
    order="search",
    gate="grep_search",
    reads=True,
)
WRITE = Tool(
    name="write_file",
    what="Write a whole file; it and its folders need not be there yet.",
    fields=(_PATH, Field(name="content", what="all of it")),
    order="write",
)
EDIT = Tool(
    name="edit_file",
    what="Replace a text in a file by another; it must be there exactly once.",
    fields=(
        _PATH,
        Field(name="old", what="the text, exactly, with its line breaks"),
        Field(name="new", what="what replaces it"),
    ),
    order="edit",
)
RUN = Tool(
    name="run",
    what="Run a shell line in the folder you work in, and get its output and exit code. No input, no terminal.",
    fields=(
        Field(name="command", what="for sh -c"),
        Field(
            name="timeout_s",
            what=f"seconds it may take; default {USUAL_SECONDS}, at most {MOST_SECONDS}",
            kind="integer",
            needed=False,
        ),
    ),
    order="run",
    gate="run_command",
)
READING = (READ, LIST, SEARCH)
WORKING = (*READING, WRITE, EDIT, RUN)
_REPORTED = "StructuredOutput"
"""Under this name the live gate knows a tool that hands in a report and touches nothing."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """The tool that ends a run, and the Markdown that comes of it."""

    fields: tuple[str, ...] = ()
    """Of the ticket: sections beside the usual ones."""

    @property
    def tool(self) -> Tool:
        asked = tuple(Field(name=name, what=asked_for(title)) for name, title in keys(self.fields).items())
        return Tool(name="report", what="Hand in your report. This ends your work.", fields=asked, gate=_REPORTED)

    def rendered(self, given: Mapping[str, Any]) -> str | None:
        return markdown(given, self.fields)


@dataclass(frozen=True, kw_only=True)
class Words(Report):
    """An answer in words: one field, and nothing around it."""

    @property
    def tool(self) -> Tool:
        answer = Field(name="answer", what="the whole answer, in the form that was asked for")
        return Tool(name="report", what="Hand in your answer. This ends your work.", fields=(answer,), gate=_REPORTED)

    def rendered(self, given: Mapping[str, Any]) -> str:
        return str(given["answer"])


def offered(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    return [tool.offered() for tool in tools]
