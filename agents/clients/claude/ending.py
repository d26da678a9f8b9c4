"""Why a run of Claude Code ended: exit code, result event, error flag and subtype must agree before anything counts as done."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING, Any

from agents.causes import Cause
from agents.endings import DONE, End, measured
from agents.reports import lacking
from agents.trouble import cause_of
from agents.values import text

if TYPE_CHECKING:
    from agents.clients.claude.stream import Stream
    from worktrees.process import Receipt

UNKNOWN_SESSION = "No conversation found"
SHOWN = 400
"""Characters of the client's own words in a reason."""
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
_UNTIL = re.compile(r"limit reached\|(\d{10})")
_SIGNALLED = 128
"""A shell's exit codes above this are signals."""


def of(stream: Stream, receipt: Receipt, *, halted: End | None) -> End:
    """Say how a run ended; `halted` is why we ended it ourselves, where we did."""
    if (end := measured(receipt)) and not (halted and end.cause is Cause.INTERRUPTED):
        return end
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
    if not (stream.made or result.get("structured_output")) and (reason := lacking(said_last(stream), acted=False)):
        return End(cause=Cause.EMPTY, reason=reason)
    return DONE


def said_last(stream: Stream) -> str:
    return text((stream.result or {}).get("result")) or stream.words


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
    said = text(result.get("result")) or stream.error
    if known := _TERMINAL.get(terminal):
        return End(cause=known, reason=f"Claude Code ended with {_shown(said or terminal)}")
    if terminal.startswith("aborted"):
        return End(cause=Cause.INTERRUPTED, reason="Claude Code was interrupted from outside")
    if terminal == "api_error" or stream.error:
        return _service(str(said), stream)
    errors = result.get("errors")
    told = "; ".join(map(str, errors[:3])) if isinstance(errors, list) else said
    return End(cause=Cause.FAILED, reason=f"Claude Code ended with an error: {_shown(told or subtype)}")


def _service(said: str, stream: Stream) -> End:
    """Say what the trouble with the model's service is."""
    cause = Cause.QUOTA if stream.quota_used_up else cause_of(said, stream.error_status) or Cause.NETWORK
    again = None
    if cause is Cause.QUOTA:
        match = _UNTIL.search(said)
        again = float(match[1]) if match else stream.quota_until
    return End(cause=cause, reason=f"Claude Code says: {_shown(said)}", again_at=again)


def _exit(receipt: Receipt) -> str:
    code = receipt.exit
    if code is None:
        return "its end was not seen"
    number = -code if code < 0 else code - _SIGNALLED
    if number in {one.value for one in signal.Signals}:
        return f"it was ended by {signal.Signals(number).name}"
    return f"its exit code is {code}"


def _shown(said: Any) -> str:
    return str(said)[:SHOWN]
