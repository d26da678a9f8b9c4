"""Transcripts for people: a run's file read back, and laid out as text or Markdown. What a model wrote never steers a terminal."""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

SAID_LINES = 60
"""What an agent was told, said or thought is shown up to so many lines."""
RESULT_LINES = 8
ARGUMENT = 60
"""Characters of one argument of a call."""
LONGEST_LINE = 16 << 20
"""Bytes of one line of the file; what is longer was not written by us."""
_KINDS = ("told", "said", "thought", "call", "result", "usage", "note", "ended")
_SPEAKERS = {"told": "TOLD", "said": "SAID", "thought": "THOUGHT", "note": "NOTE"}
_MARKS = {"done": "->", "failed": "FAILED", "refused": "REFUSED"}
# control characters, and those that turn or hide the text around them
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_FENCES = re.compile(r"`{3,}")


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened, as `agents.transcript` wrote it."""

    kind: str
    at: str
    values: Mapping[str, Any]
    """The rest of its line."""

    def to_json(self) -> dict[str, Any]:
        return {"at": self.at, "kind": self.kind, **self.values}


def read(file: Path) -> list[Event]:
    """Read a transcript; a line that is cut off or no event becomes a note that says so."""
    with file.open("rb") as stream:
        return [_event(line, number) for number, line in enumerate(_lines(stream.readline), 1) if line.strip()]


def render(events: Iterable[Event], *, width: int) -> str:
    """Lay a run out for a terminal of so many columns."""
    return "\n".join(visible(line) for event in events for line in _shown(event, max(width, 40)))


def markdown(events: Iterable[Event]) -> str:
    """Lay a run out as Markdown; what was said stands in fences that it cannot close."""
    return "\n\n".join(_block(event) for event in events)


def visible(text: str) -> str:
    """Spell out the characters that a terminal would obey or hide; tabs and line ends stay."""
    return _UNSEEN.sub(lambda found: _spelled(ord(found[0])), text)


def _spelled(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 - what two digits can say


# reading


def _lines(readline: Callable[[int], bytes]) -> Iterator[bytes]:
    while line := readline(LONGEST_LINE):
        yield line


def _event(line: bytes, number: int) -> Event:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return _unreadable(number)
    if not isinstance(data, dict) or data.get("kind") not in _KINDS:
        return _unreadable(number)
    at = data.pop("at", "")
    return Event(kind=data.pop("kind"), at=at if isinstance(at, str) else "", values=data)


def _unreadable(number: int) -> Event:
    text = f"line {number} of the transcript cannot be read: it was cut off, or is not ours"
    return Event(kind="note", at="", values={"text": text})


# text


def _shown(event: Event, width: int) -> Iterator[str]:
    if event.kind == "call":
        yield _call(event, width)
    elif event.kind == "result":
        yield from _result(event, width)
    elif event.kind == "usage":
        yield f"USED {_used(event)}"
    elif event.kind == "ended":
        yield f"ENDED {_ending(event)}"
    else:
        yield from _speech(event, width)


def _speech(event: Event, width: int) -> Iterator[str]:
    yield _SPEAKERS[event.kind]
    yield from _indented(_text(event, "text"), SAID_LINES, width)


def _result(event: Event, width: int) -> Iterator[str]:
    head, *rest = list(_indented(_text(event, "text"), RESULT_LINES, width)) or [""]
    yield f"  {_mark(event)} {head.strip()}".rstrip()
    yield from rest


def _indented(text: str, limit: int, width: int) -> Iterator[str]:
    lines = text.strip("\n").splitlines()
    for line in lines[:limit]:
        yield from textwrap.wrap(visible(line), width - 4, initial_indent="    ", subsequent_indent="    ") or [""]
    if len(lines) > limit:
        yield f"    [{len(lines) - limit} more lines]"


def _call(event: Event, width: int) -> str:
    line = " ".join(["CALL", _text(event, "tool") or "?", *_arguments(event)])
    return line if len(line) <= width else f"{line[: width - 1]}…"


def _arguments(event: Event) -> Iterator[str]:
    given = event.values.get("given")
    for name, value in given.items() if isinstance(given, dict) else ():
        said = json.dumps(value, ensure_ascii=False)
        yield f"{name}={said if len(said) <= ARGUMENT else f'{said[: ARGUMENT - 1]}…'}"


def _mark(event: Event) -> str:
    return _MARKS.get(_text(event, "state"), "->")


def _used(event: Event) -> str:
    count = {name: event.values.get(name) or 0 for name in ("input", "cached", "output")}
    usd = event.values.get("usd")
    parts = [f"{count['input']} tokens read ({count['cached']} from a cache), {count['output']} written"]
    parts += [f"${usd:.4f}"] if isinstance(usd, int | float) else []
    parts += [_text(event, "model")] if event.values.get("model") else []
    return ", ".join(parts)


def _ending(event: Event) -> str:
    why = _text(event, "text")
    return f"{_text(event, 'cause')}: {why}" if why else _text(event, "cause")


def _text(event: Event, name: str) -> str:
    value = event.values.get(name)
    return value if isinstance(value, str) else ""


# Markdown


def _block(event: Event) -> str:
    if event.kind == "call":
        return f"**CALL** {_code(_call(event, 400).removeprefix('CALL '))}"
    if event.kind == "result":
        return f"**{_mark(event).replace('->', 'RESULT')}**\n\n{_fenced(_text(event, 'text'), RESULT_LINES)}"
    if event.kind in {"usage", "ended"}:
        name, said = ("USED", _used(event)) if event.kind == "usage" else ("ENDED", _ending(event))
        return f"**{name}** {_code(said)}"
    return f"**{_SPEAKERS[event.kind]}**\n\n{_fenced(_text(event, 'text'), SAID_LINES)}"


def _code(text: str) -> str:
    """Give one line as code: its backticks cannot end it."""
    return f"`` {visible(text).replace('``', '` `').replace(chr(10), ' ')} ``"


def _fenced(text: str, limit: int) -> str:
    lines = visible(text).strip("\n").split("\n")
    more = [f"[{len(lines) - limit} more lines]"] if len(lines) > limit else []
    fence = "`" * max([3, *(len(found) + 1 for found in _FENCES.findall(text))])
    return "\n".join([f"{fence}text", *lines[:limit], *more, fence])
