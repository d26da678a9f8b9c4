"""Why a run of Codex ended: its error codes where it gives them, else the sentences that it prints."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from typing import Any

from agents.causes import Cause

LONGEST = 500
"""Characters of a client's message that are passed on."""


class CodexError(Exception):
    """The run cannot go on, and this is why."""

    def __init__(self, cause: Cause, reason: str, *, again_at: float | None = None) -> None:
        super().__init__(reason)
        self.cause, self.reason, self.again_at = cause, reason, again_at


class AnswerError(CodexError):
    """A request of ours was answered with an error."""


_CODES: dict[str, Cause] = {
    "contextWindowExceeded": Cause.CONTEXT,
    "usageLimitExceeded": Cause.QUOTA,
    "sessionBudgetExceeded": Cause.QUOTA,
    "rateLimitExceeded": Cause.RATE,
    "serverOverloaded": Cause.RATE,
    "flexUnavailable": Cause.RATE,
    "policyCapacityUnavailable": Cause.RATE,
    "internalServerError": Cause.NETWORK,
    "modelNotFound": Cause.REFUSED,
    "badRequest": Cause.REFUSED,
    "cyberPolicy": Cause.REFUSED,
    "misalignmentPolicyViolation": Cause.REFUSED,
    "unauthorized": Cause.SIGN_IN,
    "sandboxError": Cause.MACHINE,
    "tooManyDenials": Cause.FAILED,
}
_STATUS: dict[int, Cause] = {
    400: Cause.REFUSED,
    401: Cause.SIGN_IN,
    403: Cause.SIGN_IN,
    404: Cause.REFUSED,
    422: Cause.REFUSED,
    429: Cause.RATE,
}
# the plain form has no codes; the first that fits counts. Its sentences are those of version 0.169
_SENTENCES: tuple[tuple[re.Pattern[str], Cause], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), cause)
    for pattern, cause in (
        (r"context window|context_length_exceeded|maximum context length", Cause.CONTEXT),
        (r"usage limit|quota exceeded|insufficient_quota|exceeded your current quota", Cause.QUOTA),
        (r"rate limit|too many requests|overloaded|selected model is at capacity", Cause.RATE),
        (r"missing environment variable|not logged in|incorrect api key|invalid_api_key", Cause.SIGN_IN),
        (r"model.{0,200}(does not exist|not found|not supported)|model_not_found", Cause.REFUSED),
        (r"codex-linux-sandbox|bwrap: ", Cause.MACHINE),
        (r"is no longer supported; remove|error loading config|failed to load config", Cause.MISSING),
        (r"stream disconnected|connection failed|error sending request|high demand|timed? ?out", Cause.NETWORK),
    )
)
_HTTP = re.compile(r"(?:unexpected|last) status:? (\d{3})")
_SECONDS = re.compile(r"try again in (\d+(?:\.\d+)?) ?(ms|s|sec|seconds|m|min|minutes|h|hours)\b", re.IGNORECASE)
_CLOCK = re.compile(r"try again at (?:([A-Z][a-z]{2}) (\d{1,2})(?:st|nd|rd|th)?, (\d{4}) )?(\d{1,2}:\d{2} ?[AP]M)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def error_of(error: Any, *, default: Cause = Cause.FAILED) -> CodexError:
    """Read the error of a turn: `message`, and in the strict form `codexErrorInfo`."""
    given = error if isinstance(error, dict) else {}
    message = str(given.get("message") or "Codex named no reason")
    cause = _by_code(given.get("codexErrorInfo")) or by_words(message) or default
    waits = cause in {Cause.QUOTA, Cause.RATE}
    return CodexError(cause, f"Codex: {message[:LONGEST]}", again_at=again_at(message) if waits else None)


def _by_code(info: Any) -> Cause | None:
    if isinstance(info, str):
        return _CODES.get(info)
    details = next(iter(info.values()), None) if isinstance(info, dict) else None
    if not isinstance(details, dict):
        return None
    status = details.get("httpStatusCode")
    return _by_status(status) if isinstance(status, int) else Cause.NETWORK


def _by_status(status: int) -> Cause:
    return _STATUS.get(status) or (Cause.RATE if status == 503 else Cause.NETWORK)  # noqa: PLR2004 - "Service Unavailable"


def by_words(message: str) -> Cause | None:
    """Give the cause that a sentence of the client stands for; None where it is not known."""
    text = message[: 8 * LONGEST]
    if found := _HTTP.search(text):
        return _by_status(int(found[1]))
    return next((cause for pattern, cause in _SENTENCES if pattern.search(text)), None)


def again_at(message: str, *, now: float | None = None) -> float | None:
    """Give the time from which on the client says that it is of use to try again."""
    begun = time.time() if now is None else now
    if found := _SECONDS.search(message):
        unit = found[2].lower()
        return begun + float(found[1]) * _UNITS["ms" if unit == "ms" else unit[0]]
    if found := _CLOCK.search(message):
        return _next(found, datetime.fromtimestamp(begun).astimezone())
    return None


def _next(found: re.Match[str], now: datetime) -> float:
    """Give the moment that a local time of day means, tomorrow's where today's is over."""
    month, day, year, clock = found.groups()
    if month:
        named = datetime.strptime(f"{month} {day} {year} {clock}", "%b %d %Y %I:%M %p").astimezone()
        return named.timestamp()
    time_of_day = datetime.strptime(clock, "%I:%M %p").astimezone().time()
    today = datetime.combine(now.date(), time_of_day).astimezone()
    return (today if today > now else today + timedelta(days=1)).timestamp()
