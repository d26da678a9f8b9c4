"""How a run ended, in one form for all drivers, and the outcome that is made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents.causes import Cause
from agents.protocol import Outcome
from agents.usage import NOTHING
from tickets.errors import InputError, SignalboxError

if TYPE_CHECKING:
    from agents.protocol import Bench, Ending
    from agents.usage import Usage
    from worktrees.process import Receipt

_MEASURED: dict[str, Cause] = {
    "timeout": Cause.TIMEOUT,
    "disk": Cause.MACHINE,
    "limits": Cause.MACHINE,
    "interrupted": Cause.INTERRUPTED,
    "not-started": Cause.MISSING,
}
_ENDINGS: dict[Cause, Ending] = {
    Cause.DONE: "done",
    Cause.TIMEOUT: "timeout",
    Cause.INTERRUPTED: "interrupted",
    Cause.MISSING: "not-started",
}
_LIMITS: dict[str, Ending] = {"disk": "disk", "limits": "limits"}
_SETTINGS_WRONG = frozenset({Cause.MISSING, Cause.SIGN_IN, Cause.REFUSED, Cause.MODEL})
"""Causes that another try does not change."""


@dataclass(frozen=True, kw_only=True)
class End:
    cause: Cause
    reason: str = ""
    """One sentence; empty where it ended well."""
    again_at: float | None = None
    """Unix time from which on another try is of use, where one was named."""


DONE = End(cause=Cause.DONE)


class EndedError(Exception):
    """The run cannot go on, and this is why."""

    def __init__(self, cause: Cause, reason: str, *, again_at: float | None = None) -> None:
        super().__init__(reason)
        self.cause, self.reason, self.again_at = cause, reason, again_at

    @property
    def end(self) -> End:
        return End(cause=self.cause, reason=self.reason, again_at=self.again_at)


def measured(receipt: Receipt) -> End | None:
    """Say which bound of ours, or what else from outside, ended the program; None where it ended by itself."""
    cause = _MEASURED.get(receipt.ending)
    return None if cause is None else End(cause=cause, reason=receipt.reason)


def exited(receipt: Receipt) -> End:
    """Go by the exit code alone."""
    if end := measured(receipt):
        return end
    if receipt.exit == 0:
        return DONE
    return End(cause=Cause.FAILED, reason=receipt.reason or f"the agent ended with exit code {receipt.exit}")


def outcome(end: End, receipt: Receipt, *, report: str | None = None, used: Usage = NOTHING) -> Outcome:
    """Put together how a run ended, what was measured of it, and what it used."""
    return Outcome(
        ending=_ending(end, receipt, used),
        cause=end.cause,
        reason=end.reason,
        again_at=end.again_at,
        report=report,
        transcript=receipt.log,
        seconds=receipt.seconds,
        used=used,
        sandbox=receipt.confinement,
        survivors=receipt.survivors,
    )


def _ending(end: End, receipt: Receipt, used: Usage) -> Ending:
    if end.cause is Cause.MACHINE:
        return _LIMITS.get(receipt.ending, "failed")
    if end.cause is Cause.MISSING and used.tokens:  # whatever it said: what was not started costs nothing
        return "failed"
    return _ENDINGS.get(end.cause, "failed")


def unstarted(end: End, bench: Bench) -> Outcome:
    """Give the outcome of a run that no program was started for."""
    ending = _ENDINGS.get(end.cause, "failed")
    return Outcome(ending=ending, cause=end.cause, reason=end.reason, report=None, transcript=str(bench.log))


def words_of(outcome: Outcome, *, agent: str, trouble: str) -> str:
    """Give an answer in words; raise InputError where its settings are why there is none, SignalboxError for all else."""
    if outcome.cause in _SETTINGS_WRONG:
        raise InputError(f"agents.{agent}: {outcome.reason}")
    if outcome.cause is not Cause.DONE or outcome.report is None:
        said = outcome.reason or "it said nothing"
        raise SignalboxError(f"{trouble}: {said}; what it printed is in {outcome.transcript}")
    return outcome.report
