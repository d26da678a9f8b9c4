"""What can go wrong between a model's service and us, by the names that the rest of the harness acts upon."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from agents.causes import Cause
from agents.endings import EndedError
from agents.trouble import SERVER_ERROR, cause_of
from agents.values import table, whole

_STREAM = re.compile(r"stream", re.IGNORECASE)
_SHOWN = 300
_LASTING = frozenset({Cause.QUOTA, Cause.CONTEXT, Cause.SIGN_IN})
_PASSING = frozenset({408, 425, 429})


class TroubleError(EndedError):
    """Why there is no answer."""

    def __init__(self, cause: Cause, reason: str, *, passing: bool = False, after_s: float | None = None) -> None:
        super().__init__(cause, reason, again_at=None if after_s is None else time.time() + after_s)
        self.passing, self.after_s = passing, after_s
        self.wants_plain = False
        """Whether the service does not stream what it was asked for."""


def of_answer(status: int, body: bytes, *, retry_after: str = "") -> TroubleError:
    """Name the trouble of an answer that is an error."""
    said = message(body)
    reason = f"the model's service answered with status {status}: {said[:_SHOWN]}".rstrip(": ")
    passing = status in _PASSING or status >= SERVER_ERROR
    cause = cause_of(said, status) or Cause.REFUSED
    trouble = TroubleError(cause, reason, passing=passing and cause not in _LASTING, after_s=seconds(retry_after))
    trouble.wants_plain = cause is Cause.REFUSED and _STREAM.search(said) is not None
    return trouble


def of_event(error: Any) -> TroubleError:
    """Name the trouble that a service tells within a stream, where its status was fine."""
    status = whole(table(error).get("code"))
    return of_answer(SERVER_ERROR if status is None else status, json.dumps({"error": error}).encode())


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
