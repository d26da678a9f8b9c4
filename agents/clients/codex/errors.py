"""Why a run of Codex ended: its error codes where it gives them, else the sentences that it prints."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from typing import Any

from agents import trouble
from agents.causes import Cause
from agents.endings import EndedError
from agents.values import table, whole

LONGEST = 500
"""Characters of a client's message that are passed on."""


class AnswerError(EndedError):
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
_OWN = trouble.patterns(
    (r"codex-linux-sandbox|bwrap: ", Cause.MACHINE),
    (r"is no longer supported; remove|error loading config|failed to load config", Cause.MISSING),
)
# the plain form has no codes; its sentences are those of version 0.169
_HTTP = re.compile(r"(?:unexpected|last) status:? (\d{3})")
_SECONDS = re.compile(r"try again in (\d+(?:\.\d+)?) ?(ms|s|sec|seconds|m|min|minutes|h|hours)\b", re.IGNORECASE)
_CLOCK = re.compile(r"try again at (?:([A-Z][a-z]{2}) (\d{1,2})(?:st|nd|rd|th)?, (\d{4}) )?(\d{1,2}:\d{2} ?[AP]M)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def error_of(error: Any, *, default: Cause = Cause.FAILED) -> EndedError:
    """Read the error of a turn: `message`, and in the strict form `codexErrorInfo`."""
    given = table(error)
    message = str(given.get("message") or "Codex named no reason")
    cause = _by_code(given.get("codexErrorInfo"), message) or by_words(message) or default
    waits = cause in {Cause.QUOTA, Cause.RATE}
    return EndedError(cause, f"Codex: {message[:LONGEST]}", again_at=again_at(message) if waits else None)


def _by_code(info: Any, message: str) -> Cause | None:
    if isinstance(info, str):
        return _CODES.get(info)
    details = next(iter(info.values()), None) if isinstance(info, dict) else None
    if not isinstance(details, dict):
        return None
    status = whole(details.get("httpStatusCode"))
    return Cause.NETWORK if status is None else trouble.cause_of(message, status)


def by_words(message: str) -> Cause | None:
    """Give the cause that a sentence of the client stands for; None where it is not known."""
    found = _HTTP.search(message[: trouble.LONGEST])
    return trouble.cause_of(message, int(found[1]) if found else None, own=_OWN)


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
