"""Why a run of Claude Code ended: exit code, result event, error flag and subtype must agree before anything counts as done."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.causes import Cause

if TYPE_CHECKING:
    from agents.clients.claude.stream import Stream
    from agents.protocol import Ending
    from worktrees.process import Receipt

UNKNOWN_SESSION = "No conversation found"
SHOWN = 400
"""Characters of the client's own words in a reason."""
_RECEIPTS: dict[str, Cause] = {
    "timeout": Cause.TIMEOUT,
    "disk": Cause.MACHINE,
    "limits": Cause.MACHINE,
    "interrupted": Cause.INTERRUPTED,
    "not-started": Cause.MISSING,
}
_ENDINGS: dict[Cause, Ending] = {
    Cause.DONE: "done",
    Cause.TIMEOUT: "timeout",
    Cause.MISSING: "not-started",
    Cause.INTERRUPTED: "interrupted",
}
_SUBTYPES: dict[str, tuple[Cause, str]] = {
    "error_max_turns": (Cause.TURNS, "it used up its answers (`max_turns` of the agent)"),
    "error_max_budget_usd": (Cause.BUDGET, "it used up its money (`max_usd` of the agent)"),
    "error_max_structured_output_retries": (
        Cause.FAILED,
        "it did not hand in its report in the form that was asked for",
    ),
}
_TERMINAL: dict[str, Cause] = {
    "max_turns": Cause.TURNS,
    "budget_exhausted": Cause.BUDGET,
    "prompt_too_long": Cause.CONTEXT,
    "rapid_refill_breaker": Cause.CONTEXT,
    "blocking_limit": Cause.CONTEXT,
}
_STATUS: dict[int, Cause] = {
    400: Cause.REFUSED,
    401: Cause.SIGN_IN,
    402: Cause.QUOTA,
    403: Cause.SIGN_IN,
    404: Cause.REFUSED,
    413: Cause.CONTEXT,
    422: Cause.REFUSED,
    429: Cause.RATE,
    503: Cause.RATE,
    529: Cause.RATE,
}
# what the client writes in its own words, for every service; the first that fits counts, before the status
_WORDS: tuple[tuple[Cause, re.Pattern[str]], ...] = (
    (Cause.CONTEXT, re.compile(r"prompt is too long|context (window|limit)|autocompact is thrashing", re.IGNORECASE)),
    (
        Cause.QUOTA,
        re.compile(
            r"limit reached\||usage limit reached|hit your [\w -]*limit|credit balance|out of (extra )?usage",
            re.IGNORECASE,
        ),
    ),
    (
        Cause.SIGN_IN,
        re.compile(r"invalid api key|run /login|not logged in|failed to authenticate|oauth token", re.IGNORECASE),
    ),
    (Cause.REFUSED, re.compile(r"issue with the selected model", re.IGNORECASE)),
    (Cause.RATE, re.compile(r"overloaded|rate limit", re.IGNORECASE)),
)
_UNTIL = re.compile(r"limit reached\|(\d{10})")
_SIGNALLED = 128
"""A shell's exit codes above this are signals."""


@dataclass(frozen=True, kw_only=True)
class End:
    cause: Cause
    reason: str = ""
    again_at: float | None = None

    @property
    def ending(self) -> Ending:
        return _ENDINGS.get(self.cause, "failed")


def of(stream: Stream, receipt: Receipt, *, halted: End | None) -> End:
    """Say how a run ended; `halted` is why we ended it ourselves, where we did."""
    if receipt.ending != "exited" and not (halted and receipt.ending == "interrupted"):
        return End(cause=_RECEIPTS[receipt.ending], reason=receipt.reason)
    if halted:
        return halted
    if stream.result is None:
        return _without_result(stream, receipt)
    if stream.result.get("is_error") is not False:
        return _error(stream, stream.result)
    return _claimed(stream, stream.result, receipt)


def _claimed(stream: Stream, result: dict[str, Any], receipt: Receipt) -> End:
    """Believe that it is done where everything says so."""
    if receipt.exit != 0:
        return End(cause=Cause.CRASH, reason=f"Claude Code said that it was done, but {_exit(receipt)}")
    if result.get("subtype") != "success":
        return End(
            cause=Cause.PROTOCOL,
            reason=f"Claude Code's result is no error and no success either ({_shown(result.get('subtype'))})",
        )
    if not (stream.words or stream.made or result.get("structured_output")):
        return End(cause=Cause.EMPTY, reason="the model answered nothing")
    return End(cause=Cause.DONE)


def unknown_session(stream: Stream) -> bool:
    errors = (stream.result or {}).get("errors")
    return isinstance(errors, list) and any(UNKNOWN_SESSION in str(error) for error in errors)


def _without_result(stream: Stream, receipt: Receipt) -> End:
    if stream.error:
        return _service(stream.error, stream)
    if receipt.exit == 0:
        return End(
            cause=Cause.PROTOCOL, reason="Claude Code's output ended without a result, though its exit code is 0"
        )
    return End(
        cause=Cause.CRASH, reason=f"Claude Code gave no result: {_exit(receipt)}; what it said is in {receipt.log}"
    )


def _error(stream: Stream, result: dict[str, Any]) -> End:
    subtype, terminal = str(result.get("subtype")), str(result.get("terminal_reason"))
    if subtype in _SUBTYPES:
        cause, reason = _SUBTYPES[subtype]
        return End(cause=cause, reason=reason)
    said = result.get("result") if isinstance(result.get("result"), str) else stream.error
    if known := _TERMINAL.get(terminal):
        return End(cause=known, reason=f"Claude Code ended with {_shown(said or terminal)}")
    if terminal.startswith("aborted"):
        return End(cause=Cause.INTERRUPTED, reason="Claude Code was interrupted from outside")
    if terminal == "api_error" or stream.error:
        return _service(str(said), stream)
    errors = result.get("errors")
    text = "; ".join(map(str, errors[:3])) if isinstance(errors, list) else said
    return End(cause=Cause.FAILED, reason=f"Claude Code ended with an error: {_shown(text or subtype)}")


def _service(said: str, stream: Stream) -> End:
    """Say what the trouble with the model's service is."""
    cause = _of_service(said, stream)
    again = None
    if cause is Cause.QUOTA:
        match = _UNTIL.search(said)
        again = float(match[1]) if match else stream.quota_until
    return End(cause=cause, reason=f"Claude Code says: {_shown(said)}", again_at=again)


def _of_service(said: str, stream: Stream) -> Cause:
    if stream.quota_used_up:
        return Cause.QUOTA
    for cause, pattern in _WORDS:
        if pattern.search(said):
            return cause
    return _STATUS.get(stream.error_status or 0, Cause.NETWORK)


def _exit(receipt: Receipt) -> str:
    code = receipt.exit
    if code is None:
        return "its end was not seen"
    number = -code if code < 0 else code - _SIGNALLED
    if number in {one.value for one in signal.Signals}:
        return f"it was ended by {signal.Signals(number).name}"
    return f"its exit code is {code}"


def _shown(text: Any) -> str:
    return str(text)[:SHOWN]
