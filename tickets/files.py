"""Ticket files: Markdown with YAML front matter. Rendering and reading give the same record."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from io import StringIO
from typing import TYPE_CHECKING, Any

from tickets.documents import Document, read_yaml, validate
from tickets.errors import FileError, Problem
from tickets.markdown import template
from tickets.model import Ticket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jinja2 import Template

BODY = ("Objective", "Non-goals", "Scope", "Acceptance Criteria", "Risk Notes", "Context")
IN_BODY = {"objective", "non_goals", "risk", "context"}
EMPTY = "(none)"
_FENCE = re.compile(r"^(\\*)(## |---$|\(none\)$)")


def render(ticket: Ticket) -> str:
    return _template().render(ticket=ticket, front_matter=_front_matter(ticket))


@cache
def _template() -> Template:
    return template("tickets", "ticket.md.j2", escaped=_escaped)


def _escaped(text: str) -> str:
    """Mark lines of the text that would read as a heading of the file itself."""
    return "\n".join(_FENCE.sub(r"\\\1\2", line) for line in text.split("\n"))


def _unescaped(text: str) -> str:
    return "\n".join(re.sub(r"^\\(\\*(?:## |---$|\(none\)$))", r"\1", line) for line in text.split("\n"))


def _front_matter(ticket: Ticket) -> str:
    from ruamel.yaml import YAML

    values = ticket.model_dump(mode="json", exclude=IN_BODY, exclude_defaults=True)
    values = {"id": values.pop("id"), **values}
    writer: Any = YAML(typ="safe", pure=True)  # its settings have types that refuse their values
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False
    writer.allow_unicode = True
    writer.width = 2**16
    stream = StringIO()
    writer.dump(values, stream)
    return stream.getvalue()


@dataclass(frozen=True, kw_only=True)
class Section:
    title: str
    line: int
    text: str


def read(text: str, name: str) -> Ticket:
    """Read a ticket file; raise FileError with file, line, key and what was expected."""
    front, rest, first_line = _split(text, name)
    document = read_yaml(front, name, first_line=2)
    if not isinstance(document.data, dict):
        raise FileError(document.problem((), "front matter with keys, `id:` first"))
    found = list(_sections(rest, first_line))
    sections = {section.title: section for section in found}
    twice = [section for section in found if sections[section.title] is not section]
    problems = [
        Problem(file=name, line=sections[s.title].line, key=f"## {s.title}", expected="expected this section once")
        for s in twice
    ]
    if problems := [*problems, *_body_problems(sections, document, first_line)]:
        raise FileError(*problems)
    lines = {**document.lines, **_body_lines(sections)}
    data = {**document.data, **_body_values(sections)}
    return validate(Ticket, Document(name=name, data=data, lines=lines))


def _split(text: str, name: str) -> tuple[str, str, int]:
    lines = text.replace("\r\n", "\n").split("\n")
    if not lines or lines[0].rstrip() != "---":
        raise FileError(Problem(file=name, line=1, key="", expected="front matter that begins with a line `---`"))
    for index, line in enumerate(lines[1:], 1):
        if line.rstrip() == "---":
            return "\n".join(lines[1:index]), "\n".join(lines[index + 1 :]), index + 2
    raise FileError(Problem(file=name, line=len(lines), key="", expected="a line `---` that ends the front matter"))


def _sections(text: str, first_line: int) -> Iterator[Section]:
    title, start, kept = "", first_line, list[str]()
    for number, line in enumerate(text.split("\n"), first_line):
        if line.startswith("## "):
            if title:
                yield Section(title=title, line=start, text="\n".join(kept).strip())
            title, start, kept = line[3:].strip(), number, []
        else:
            kept.append(line)
    if title:
        yield Section(title=title, line=start, text="\n".join(kept).strip())


def _body_problems(sections: dict[str, Section], document: Document, first_line: int) -> Iterator[Problem]:
    for title in BODY:
        section = sections.get(title)
        if section is None:
            yield Problem(file=document.name, line=first_line, key=f"## {title}", expected="this section is required")
        elif not section.text:
            yield Problem(
                file=document.name, line=section.line, key=f"## {title}", expected="expected something in this section"
            )
    for title, section in sections.items():
        if title not in BODY:
            expected = f"no such section; expected {', '.join(BODY)}"
            yield Problem(file=document.name, line=section.line, key=f"## {title}", expected=expected)
    for key in IN_BODY & set(document.data):
        yield document.problem((key,), "expected in the body of the file, not in its front matter")


def _body_lines(sections: dict[str, Section]) -> dict[tuple[str | int, ...], int]:
    names = {"objective": "Objective", "non_goals": "Non-goals", "risk": "Risk Notes", "context": "Context"}
    return {(key,): sections[title].line for key, title in names.items()}


def _body_values(sections: dict[str, Section]) -> dict[str, Any]:
    context = sections["Context"].text
    return {
        "objective": _unescaped(sections["Objective"].text),
        "non_goals": _bullets(sections["Non-goals"].text),
        "risk": _risks(sections["Risk Notes"].text),
        "context": "" if context == EMPTY else _unescaped(context),
    }


def _bullets(text: str) -> list[str]:
    """Items of a list; a line that begins no item goes on with the one before."""
    items: list[str] = []
    for line in text.split("\n"):
        if line.startswith(("- ", "* ")):
            items.append(line[2:])
        elif line.strip() and items:
            items[-1] += " " + line.strip()
        elif line.strip():
            items.append(line)
    return items


def _risks(text: str) -> dict[str, str]:
    risks = {}
    for item in _bullets(text):
        name, separator, value = item.partition(":")
        key = name.strip().lower() if separator else item
        risks["perf" if key == "performance" else key] = value.strip()
    return risks
