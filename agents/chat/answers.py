"""An answer of Chat Completions, put together from a stream or read whole; bounded, and believed in nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents import values
from agents.causes import Cause
from agents.chat.trouble import TroubleError, of_event
from agents.usage import Usage
from agents.values import count, table, tables, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST = 1 << 20
"""Characters of one answer, thinking and arguments included."""
LONGEST_EVENT = 4 << 20
MOST_BYTES = 64 << 20
"""Of one stream: each event repeats much."""
LONGEST_WORD = 200
MOST_CALLS = 64


@dataclass(kw_only=True)
class Asking:
    """A call of a tool, as the model wrote it."""

    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> str:
        return _joined(self.pieces)


@dataclass(kw_only=True)
class Answer:
    """Grows as its stream comes in; kept in pieces, because there may be very many."""

    words: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: list[Asking] = field(default_factory=list)
    used: Usage | None = None
    model: str = ""
    finish: str = ""
    size: int = 0

    @property
    def text(self) -> str:
        return _joined(self.words)

    @property
    def thought(self) -> str:
        return _joined(self.thoughts)

    def add(self, pieces: list[str], piece: str) -> None:
        """Keep a piece; raises TroubleError where the answer gets too long."""
        self.size += len(piece)
        if self.size > LONGEST or len(self.calls) > MOST_CALLS:
            raise TroubleError(Cause.PROTOCOL, f"the model's answer is longer than {LONGEST} characters")
        if piece:
            pieces.append(piece)


def events(chunks: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the events of a stream up to its end; raises TroubleError where it is none, or too much."""
    total, rest = 0, b""
    for chunk in chunks:
        total += len(chunk)
        *lines, rest = (rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        if len(rest) > LONGEST_EVENT or total > MOST_BYTES:
            raise TroubleError(Cause.PROTOCOL, "the model's service sent more than an answer can hold")
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            data = line.removeprefix(b"data:").strip()
            if data == b"[DONE]":
                return
            yield parsed(data)


def parsed(data: bytes) -> dict[str, Any]:
    if (event := values.parsed(data)) is None:
        reason = f"the model's service sent what is no JSON object: {values.shown(data)}"
        raise TroubleError(Cause.PROTOCOL, reason, passing=True)
    if event.get("error"):
        raise of_event(event["error"])
    return event


def streamed(chunks: Iterable[bytes]) -> Answer:
    """Put an answer together."""
    answer = Answer()
    places: dict[int, Asking] = {}
    for event in events(chunks):
        _head(answer, event)
        for choice in _first(event):
            _add(answer, table(choice.get("delta")), places)
            answer.finish = _word(choice.get("finish_reason")) or answer.finish
    if not answer.finish:
        raise TroubleError(Cause.NETWORK, "the model's answer broke off", passing=True)
    return answer


def whole(body: bytes) -> Answer:
    """Read an answer that came in one piece."""
    answer, event = Answer(), parsed(body)
    _head(answer, event)
    choices = _first(event)
    if not choices:
        raise TroubleError(Cause.PROTOCOL, "the model's service sent an answer without `choices`", passing=True)
    message = table(choices[0].get("message"))
    numbered = [{**call, "index": place} for place, call in enumerate(tables(message.get("tool_calls")))]
    _add(answer, {**message, "tool_calls": numbered}, {})
    answer.finish = _word(choices[0].get("finish_reason")) or "stop"
    return answer


def _head(answer: Answer, event: dict[str, Any]) -> None:
    answer.model = _word(event.get("model")) or answer.model
    answer.used = _usage(event.get("usage")) or answer.used


def _first(event: dict[str, Any]) -> list[dict[str, Any]]:
    return tables(event.get("choices"))[:1]


def _add(answer: Answer, said: dict[str, Any], places: dict[int, Asking]) -> None:
    answer.add(answer.words, text(said.get("content")))
    answer.add(answer.thoughts, text(said.get("reasoning_content")) or text(said.get("reasoning")))
    for part in tables(said.get("tool_calls")):
        _add_call(answer, part, places)


def _add_call(answer: Answer, part: dict[str, Any], places: dict[int, Asking]) -> None:
    """Add a piece of a call; some services number all their calls alike, and another id begins another call."""
    index, name = part.get("index"), _word(part.get("id"))
    place = index if isinstance(index, int) else 0
    known = places.get(place)
    if known is None or (name and known.id and name != known.id):
        known = places[place] = Asking()
        answer.calls.append(known)
    known.id = known.id or name
    function = table(part.get("function"))
    known.name = known.name or _word(function.get("name"))
    given = function.get("arguments")
    answer.add(known.pieces, json.dumps(given) if isinstance(given, dict) else text(given))


def _joined(pieces: list[str]) -> str:
    """Put pieces together: half a character may stand at the end of one, and what stays half is replaced."""
    whole = "".join(pieces)
    try:
        whole.encode()
    except UnicodeEncodeError:
        return whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole


def _usage(value: Any) -> Usage | None:
    if not isinstance(value, dict):
        return None
    read, written = count(value.get("prompt_tokens")), count(value.get("completion_tokens"))
    cached = count(table(value.get("prompt_tokens_details")).get("cached_tokens"))
    return Usage(input=read, cached=min(cached, read), output=written) if read or written else None


def _word(value: Any) -> str:
    """Give a name, or the beginning of what is none."""
    return _joined([text(value)[:LONGEST_WORD]])
