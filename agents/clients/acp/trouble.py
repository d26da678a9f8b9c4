"""What the errors of ACP agents mean. The protocol knows one code for a missing sign-in; all else is in words."""

from __future__ import annotations

import re

from agents import trouble
from agents.causes import Cause

_CODES = {-32000: Cause.SIGN_IN} | dict.fromkeys((-32700, -32600, -32601, -32602), Cause.PROTOCOL)
_STATUS = re.compile(r"\b(40[0134]|429|50[0234]|529)\b")
_OWN = trouble.patterns((r"permission.?denied", Cause.SIGN_IN), (r"not.?found", Cause.REFUSED))


def cause_of(error: Exception) -> Cause:
    """Say what an error of the agent amounts to."""
    if (code := getattr(error, "code", None)) in _CODES:
        return _CODES[code]
    said = f"{error} {getattr(error, 'data', '')}"
    status = _STATUS.search(said)
    return trouble.cause_of(said, int(status[1]) if status else None, own=_OWN) or Cause.FAILED
