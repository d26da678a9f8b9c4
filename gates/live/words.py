"""What a word of a command line stands for, as far as that can be known without running anything."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tree_sitter import Node

UNKNOWN = "*"
"""Stands in a word's text for each part that nobody can know beforehand."""


class Word(NamedTuple):
    """One word; a tuple, because dozens are made for every command."""

    text: str
    """Its value, with `$HOME`, `$TMPDIR` and `$PWD` left as they are: the harness knows these."""
    computed: str = ""
    """The first part that cannot be known, as it was written; empty where all is known."""
    names: tuple[str, ...] = ()
    """Variables that are expanded in it."""
    pattern: bool = False
    """Has wildcards or braces for the shell."""

    @property
    def unclear(self) -> bool:
        return bool(self.computed) or self.pattern


KNOWN = {name: Word(f"${name}", names=(name,)) for name in ("HOME", "TMPDIR", "PWD")}
_GLOB = re.compile(r"(?<!\\)[*?\[]")
_BRACES = re.compile(r"\{[^{}]*(?:,|\.\.)[^{}]*\}")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED_IN_QUOTES = re.compile(r"\\([\"\\$`])")
_ANSI = re.compile(r"\\(x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{1,4}|U[0-9a-fA-F]{1,8}|[0-7]{1,3}|c.|.)", re.DOTALL)
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v"}
_LAST_CHARACTER = 0x10FFFF
_OWN = {"mktemp": Word("$TMPDIR/made"), "pwd": KNOWN["PWD"]}
"""Substitutions whose value the harness knows well enough."""


def source(node: Node) -> str:
    return (node.text or b"").decode(errors="replace")


def word(node: Node, values: Mapping[str, Word]) -> Word:
    """Give what a node of the parser stands for, with what the variables are known to hold."""
    if node.type == "word":  # nearly all of them
        return _bare(source(node))
    read = _BY_TYPE.get(node.type)
    return read(node, values) if read else _computed(node, values)


def braces(text: str) -> list[str]:
    """Expand `{a,b}` as a shell does."""
    found = _BRACES.search(text)
    if not found or ".." in found[0]:
        return [text]
    parts = found[0][1:-1].split(",")
    return [more for part in parts for more in braces(text[: found.start()] + part + text[found.end() :])]


def _bare(raw: str, *, first: bool = True) -> Word:
    text = _ESCAPED.sub(r"\1", raw) if "\\" in raw else raw
    if first and text.startswith("~"):
        user, slash, rest = text[1:].partition("/")
        text = f"$HOME{slash}{rest}" if not user else text
    return Word(text, pattern=bool(_GLOB.search(raw)))


def _join(parts: Iterable[Word]) -> Word:
    known = list(parts)
    return Word(
        text="".join(part.text for part in known),
        computed=next((part.computed for part in known if part.computed), ""),
        names=tuple(name for part in known for name in part.names),
        pattern=any(part.pattern for part in known),
    )


def _named(node: Node, values: Mapping[str, Word]) -> Word:
    return word(node.children[0], values)


def _raw(node: Node, _values: Mapping[str, Word]) -> Word:
    return Word(source(node)[1:-1])


def _plain(node: Node, _values: Mapping[str, Word]) -> Word:
    return Word(source(node))


def _quoted(node: Node, values: Mapping[str, Word]) -> Word:
    return _join(_inside_quotes(node, values))


def _inside_quotes(node: Node, values: Mapping[str, Word]) -> Iterator[Word]:
    data, place = node.text or b"", 1
    for child in node.named_children:
        begin, end = child.start_byte - node.start_byte, child.end_byte - node.start_byte
        if child.type == "string_content":
            end = begin
        yield _text(data[place:begin])  # the parser gives no node to blanks between two expansions
        if child.type != "string_content":
            part = word(child, values)
            yield Word(part.text, part.computed, part.names)
        place = end
    yield _text(data[place:-1])


def _text(data: bytes) -> Word:
    return Word(_ESCAPED_IN_QUOTES.sub(r"\1", data.decode(errors="replace")))


def _ansi(node: Node, _values: Mapping[str, Word]) -> Word:
    return Word(_ANSI.sub(_character, source(node)[2:-1]))


def _character(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "xuU" and len(code) > 1:
        return chr(min(int(code[1:], 16), _LAST_CHARACTER))
    if code[0] in "01234567":
        return chr(int(code, 8) & 0xFF)
    return chr(ord(code[1]) & 0x1F) if len(code) > 1 else _SIMPLE.get(code, code)


def _translated(node: Node, values: Mapping[str, Word]) -> Word:
    return word(node.named_children[0], values)


def _chained(node: Node, values: Mapping[str, Word]) -> Word:
    parts = (
        _bare(source(child), first=number == 0) if child.type == "word" else word(child, values)
        for number, child in enumerate(node.children)
    )
    joined = _join(parts)
    if _BRACES.search(joined.text):
        return Word(joined.text, joined.computed, joined.names, pattern=True)
    return joined


def _variable(node: Node, values: Mapping[str, Word]) -> Word:
    raw = source(node)
    name = raw.strip("${}")
    if raw.startswith("${") and (default := re.match(r"\$\{(\w+):?-", raw)):
        name = default[1] if default[1] in KNOWN else name
    known = values.get(name) or KNOWN.get(name)
    if known:
        return Word(known.text, known.computed, (*known.names, name), known.pattern)
    names = re.findall(r"[A-Za-z_]\w*", raw)[:1]
    return Word(UNKNOWN, raw, tuple(names))


def _substituted(node: Node, values: Mapping[str, Word]) -> Word:
    command = source(node).strip("$()` \n")
    return _OWN.get(command.split(" ")[0] if command else "") or _computed(node, values)


def _computed(node: Node, _values: Mapping[str, Word]) -> Word:
    return Word(UNKNOWN, source(node))


_BY_TYPE: dict[str, Callable[[Node, Mapping[str, Word]], Word]] = {
    "command_name": _named,
    "raw_string": _raw,
    "number": _plain,
    "string": _quoted,
    "ansi_c_string": _ansi,
    "translated_string": _translated,
    "concatenation": _chained,
    "simple_expansion": _variable,
    "expansion": _variable,
    "command_substitution": _substituted,
}
