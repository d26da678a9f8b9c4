"""What the errors of ACP agents mean. The protocol knows one code for a missing sign-in; all else is in words."""

from __future__ import annotations

import re

from agents.causes import Cause

_CODES = {-32000: Cause.SIGN_IN} | dict.fromkeys((-32700, -32600, -32601, -32602), Cause.PROTOCOL)
_WORDS: tuple[tuple[str, Cause], ...] = (
    (r"context.{0,20}(length|window|limit)|prompt is too long|maximum.{0,20}tokens|too many tokens", Cause.CONTEXT),
    (r"quota|usage limit|credit balance|insufficient (credit|fund)|billing|spending limit", Cause.QUOTA),
    (r"\b429\b|rate.?limit|too many requests|overloaded|resource.?exhausted|\b529\b", Cause.RATE),
    (r"\b40[13]\b|auth|api.?key|sign.?in|\blog.?in\b|credential|unauthori[sz]ed|permission.?denied", Cause.SIGN_IN),
    (
        r"econn\w+|enotfound|eai_again|fetch failed|network|socket|connect|timed? ?out|unavailable|\b50[0234]\b|bad gateway",
        Cause.NETWORK,
    ),
    (r"model.{0,40}(not|unknown|invalid)|\b40[04]\b|not.?found|invalid.?request", Cause.REFUSED),
)


def cause_of(error: Exception) -> Cause:
    """Say what an error of the agent amounts to."""
    if (code := getattr(error, "code", None)) in _CODES:
        return _CODES[code]
    said = f"{error} {getattr(error, 'data', '')}".lower()
    return next((cause for words, cause in _WORDS if re.search(words, said)), Cause.FAILED)
