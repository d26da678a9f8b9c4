"""What can go wrong between a model's service and us, by the names that the rest of the harness acts upon."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from agents.causes import Cause

_CONTEXT = re.compile(
    r"context[ _-]?(length|window|size)|maximum context|(prompt|input|request) is too (long|large)|too many (input )?tokens"
    r"|reduce the length|exceeds? the (available|maximum) (context|number of tokens)|token limit",
    re.IGNORECASE,
)
_QUOTA = re.compile(r"quota|billing|credit|balance|usage limit|spending limit", re.IGNORECASE)
_STREAM = re.compile(r"stream", re.IGNORECASE)
_SHOWN = 300
_TOO_MANY, _OVERLOADED = 429, frozenset({503, 529})
_CAUSES = {401: Cause.SIGN_IN, 402: Cause.QUOTA, 403: Cause.SIGN_IN, 408: Cause.NETWORK, 413: Cause.CONTEXT}
_LASTING = frozenset({Cause.QUOTA, Cause.CONTEXT})
_PASSING = frozenset({408, 425, 429})
FIRST_SERVER_ERROR = 500


class TroubleError(Exception):
    """Why there is no answer."""

    def __init__(self, cause: Cause, reason: str, *, passing: bool = False, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.cause, self.reason, self.passing, self.after_s = cause, reason, passing, after_s
        self.wants_plain = False
        """Whether the service does not stream what it was asked for."""

    @property
    def again_at(self) -> float | None:
        """Unix time from which on another try is of use, where the service named one."""
        return None if self.after_s is None else time.time() + self.after_s


def of_answer(status: int, body: bytes, *, retry_after: str = "") -> TroubleError:
    """Name the trouble of an answer that is an error."""
    said = message(body)
    reason = f"the model's service answered with status {status}: {said[:_SHOWN]}".rstrip(": ")
    passing = status in _PASSING or status >= FIRST_SERVER_ERROR
    cause = _cause(status, said)
    trouble = TroubleError(cause, reason, passing=passing and cause not in _LASTING, after_s=seconds(retry_after))
    trouble.wants_plain = cause is Cause.REFUSED and _STREAM.search(said) is not None
    return trouble


def _cause(status: int, said: str) -> Cause:
    if status == _TOO_MANY:
        return Cause.QUOTA if _QUOTA.search(said) else Cause.RATE
    if status in _OVERLOADED:
        return Cause.RATE
    if _CONTEXT.search(said):  # some services call it an error of their own
        return Cause.CONTEXT
    return _CAUSES.get(status, Cause.NETWORK if status >= FIRST_SERVER_ERROR else Cause.REFUSED)


def of_event(error: Any) -> TroubleError:
    """Name the trouble that a service tells within a stream, where its status was fine."""
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) else FIRST_SERVER_ERROR
    return of_answer(status, json.dumps({"error": error}).encode())


def message(body: bytes) -> str:
    """Give the sentence within an error, whatever its form."""
    text = body[: 1 << 16].decode(errors="replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return " ".join(text.split())
    error = data.get("error", data) if isinstance(data, dict) else data
    if isinstance(error, dict):
        words = [str(error[key]) for key in ("message", "detail", "type", "code") if error.get(key)]
        return " ".join(" / ".join(dict.fromkeys(words)).split())
    return " ".join(str(error).split())


def seconds(retry_after: str) -> float | None:
    """Read a `Retry-After`: seconds, or a date."""
    if re.fullmatch(r"\d{1,9}(\.\d+)?", retry_after.strip()):
        return float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after)
    except (ValueError, IndexError):
        return None
    return max(0.0, date.replace(tzinfo=date.tzinfo or UTC).timestamp() - time.time())
