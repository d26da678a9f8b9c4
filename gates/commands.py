"""What a command that ran in a lease proves, in words and findings that gates share."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from gates.verdict import Finding

if TYPE_CHECKING:
    from gates.workshop import Ran

SHOWN = 160
"""Characters of the last line that a one-line reason shows."""


def not_judged(ran: Ran) -> str | None:
    """Say why the run proves nothing, or None: it did not start, did not end, or was killed from outside."""
    if ran.receipt.ending != "exited":
        return ran.receipt.reason or f"it ended as {ran.receipt.ending!r}"
    if ran.receipt.exit == -signal.SIGKILL:
        return "it was killed (by the system when memory runs out, for instance)"
    return None


def ended(ran: Ran) -> str:
    """Say how it ended and what it said last, in one line, with more of its output below."""
    code = ran.receipt.exit
    how = f"ended with exit code {code}" if code is None or code >= 0 else f"was ended by signal {-code}"
    lines = ran.tail().splitlines()
    if not lines:
        return f"{how} and printed nothing"
    last = lines[-1].strip()
    short = last if len(last) <= SHOWN else f"{last[:SHOWN]}…"
    return f"{how}: {short}" if len(lines) == 1 and short == last else "\n".join((f"{how}: {short}", *lines))


def failure(rule: str, what: str, ran: Ran, *, note: str = "") -> Finding:
    """The finding for a command that ended with another code than 0."""
    suffix = f" ({note})" if note else ""
    return Finding(rule=rule, message=f"{what}{suffix} {ended(ran)}", limit="exit code 0", actual=str(ran.receipt.exit))


def blocked(what: str, ran: Ran, reason: str) -> str:
    """The reason of an inconclusive verdict: what could not be judged, why, and what was printed until then."""
    tail = ran.tail()
    return f"{what} could not be judged: {reason}" + (f"\n{tail}" if tail else "")
