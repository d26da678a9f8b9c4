"""YAML or JSON that somebody answered with: the whole text, or the one block that prose stands around."""

from __future__ import annotations

import re

from tickets.documents import Document, read_json, read_yaml
from tickets.errors import FileError

_BLOCK = re.compile(r"^```[A-Za-z]*[ \t]*\r?\n(.*?)^```[ \t]*\r?$", re.DOTALL | re.MULTILINE)


def read_answer(text: str, name: str) -> Document:
    """Read the document; raise FileError where the text is none and holds none. Lines are those of the text."""
    text = text.removeprefix("\ufeff")
    try:
        whole = _read(text, name)
    except FileError:
        if not (inner := _block(text)):
            raise
        return _read(inner, name)
    if isinstance(whole.data, dict | list) or not (inner := _block(text)):
        return whole
    return _read(inner, name)


def _read(text: str, name: str) -> Document:
    return read_json(text, name) if text.lstrip().startswith(("{", "[")) else read_yaml(text, name)


def _block(text: str) -> str:
    """Give the longest fenced block, behind as many empty lines as stood before it."""
    found = max(_BLOCK.finditer(text), key=lambda match: len(match[1]), default=None)
    return "" if found is None else "\n" * text.count("\n", 0, found.start(1)) + found[1]
