"""Requirement lines as data: names, extras, specifiers and markers in one spelling."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Entry = tuple[str, str]
"""Package (or option), and what is asked of it."""
_COMMENT = re.compile(r"(^|\s)#.*$")
_HASH = re.compile(r"\s--hash[= ]\s*(\S+)")
_OPTION = re.compile(r"^(-{1,2}[A-Za-z][\w-]*)[= ]?\s*(.*)$")
_NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_SHORT = {"-i": "--index-url", "-r": "--requirement", "-c": "--constraint", "-e": "--editable", "-f": "--find-links"}


def requirement(text: str) -> Entry:
    """Give the one spelling of a requirement; what is none keeps its own words."""
    try:
        parsed = Requirement(text)
    except InvalidRequirement:
        start = _NAME.match(text)
        return canonicalize_name(start[1]) if start else text.strip(), " ".join(text.split())
    extras = f"[{','.join(sorted(canonicalize_name(extra) for extra in parsed.extras))}]" if parsed.extras else ""
    source = f" @ {parsed.url}" if parsed.url else ",".join(sorted(str(part) for part in parsed.specifier))
    marker = f"; {parsed.marker}" if parsed.marker else ""
    name = canonicalize_name(parsed.name)
    return name, f"{name}{extras}{source}{marker}"


def is_requirement(text: str) -> bool:
    try:
        Requirement(text)
    except InvalidRequirement:
        return False
    return True


def value(name: str, asked: Any) -> Entry:
    """Give the one spelling of a table entry such as `numpy = "^2"` or `numpy = {git = "..."}`."""
    text = re.sub(r"\s+", "", asked) if isinstance(asked, str) else json.dumps(asked, sort_keys=True, default=str)
    return canonicalize_name(name), text


def lines(text: str) -> Iterator[str]:
    """Give the logical lines of a requirements file: continuations joined, comments and blank lines left out."""
    for line in re.sub(r"\\\r?\n[ \t]*", " ", text).splitlines():
        if bare := _COMMENT.sub("", line).strip():
            yield bare


def file_entries(text: str) -> list[Entry]:
    """Read a requirements file: packages with their hashes, and the options that name sources and further files."""
    return [_line(line) for line in lines(text)]


def _line(line: str) -> Entry:
    option = _OPTION.match(line)
    if option:
        name = _SHORT.get(option[1], option[1])
        return f"{name} {option[2]}".strip(), f"{name} {option[2]}".strip()
    hashes = sorted(_HASH.findall(line))
    name, asked = requirement(_HASH.sub("", line).strip())
    return name, " ".join([asked, *hashes])


def included(text: str) -> Iterable[str]:
    """Name the files that a requirements file includes."""
    for line in lines(text):
        option = _OPTION.match(line)
        if option and _SHORT.get(option[1], option[1]) in {"--requirement", "--constraint"}:
            yield option[2].strip()
