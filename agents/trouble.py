"""What is wrong with a model's service, read from the status and the words of its answer: one table for all clients."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agents.causes import Cause

if TYPE_CHECKING:
    from collections.abc import Sequence

Pattern = tuple[re.Pattern[str], Cause]
SERVER_ERROR = 500
"""The least status with which a service says that it has trouble of its own."""
LONGEST = 1 << 12
"""Characters of a message that are looked at."""
_TOO_MANY = 429
_STATUS: dict[int, Cause] = {
    401: Cause.SIGN_IN,
    402: Cause.QUOTA,
    403: Cause.SIGN_IN,
    408: Cause.NETWORK,
    413: Cause.CONTEXT,
    503: Cause.RATE,
    529: Cause.RATE,
}
"""What says enough by itself; with any other status the words may say more."""
_TELLING = frozenset({Cause.CONTEXT, Cause.QUOTA, Cause.RATE, Cause.SIGN_IN})


def patterns(*known: tuple[str, Cause]) -> tuple[Pattern, ...]:
    return tuple((re.compile(words, re.IGNORECASE), cause) for words, cause in known)


_CONTEXT = (
    r"context.{0,20}(length|window|size|limit)|maximum context|maximum.{0,20}tokens|token limit|too many (input )?tokens"
    r"|(prompt|input|request) is too (long|large)|reduce the length|exceeds? the (available|maximum) (context|number of tokens)"
    r"|autocompact is thrashing"
)
_QUOTA = (
    r"quota|usage limit|spending limit|billing|\bcredits?\b|\bbalance\b|insufficient.fund|limit reached\|"
    r"|hit your [\w -]*limit|out of (extra )?usage"
)
_RATE = r"rate.?limit|too many requests|overloaded|resource.?exhausted|model is at capacity"
_SIGN_IN = (
    r"api.?key|authenticat|unauthori[sz]ed|oauth token|credentials|\blog.?in\b|not logged in|sign.?in\b"
    r"|missing environment variable"
)
_REFUSED = (
    r"model.{0,200}(does not exist|not found|not supported|unknown|invalid)|model_not_found|(unknown|invalid) model"
    r"|issue with the selected model|invalid.?request"
)
_NETWORK = (
    r"econn\w+|enotfound|eai_again|fetch failed|network|socket hang up|connection (failed|refused|reset|error|closed)"
    r"|error sending request|stream disconnected|high demand|timed? ?out|service unavailable|bad gateway"
)
# the first that fits counts
_WORDS = patterns(
    (_CONTEXT, Cause.CONTEXT),
    (_QUOTA, Cause.QUOTA),
    (_RATE, Cause.RATE),
    (_SIGN_IN, Cause.SIGN_IN),
    (_REFUSED, Cause.REFUSED),
    (_NETWORK, Cause.NETWORK),
)


def cause_of(said: str, status: int | None = None, *, own: Sequence[Pattern] = ()) -> Cause | None:
    """Name the trouble; None where neither tells. `own` are the client's own sentences, and go first."""
    text = said[:LONGEST]
    words = next((cause for pattern, cause in (*own, *_WORDS) if pattern.search(text)), None)
    if status is None:
        return words
    if status == _TOO_MANY:
        return Cause.QUOTA if re.search(_QUOTA, text, re.IGNORECASE) else Cause.RATE
    if status in _STATUS:
        return _STATUS[status]
    if words in _TELLING:
        return words
    return Cause.NETWORK if status >= SERVER_ERROR else Cause.REFUSED
