"""The money of one run of an agent: reserved before it starts, counted while it works, settled when it has ended."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agents.catalogue import driver
from memory.amounts import Amount, Booking, Refusal, Run
from memory.events import About
from memory.ledger import Ledger
from orchestrator.money.tariff import FREE_KINDS, Tariff
from orchestrator.owners import alive, this_process
from orchestrator.posts import Post
from tickets.errors import CancelledError, EnvironmentFailure, WaitingError
from tickets.policy import POLICY_FILE
from tickets.spending import micros, of_agent, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.protocol import Bench, Outcome
    from agents.transcript import Transcript
    from agents.usage import Usage
    from memory.amounts import Count, Purpose, Reservation
    from memory.records import TicketRow
    from orchestrator.workspace import Workspace
    from tickets.model import Budget
    from tickets.spending import Limit, Unit

PATIENCE = 2.0
"""How many times as long as an attempt may take a run waits for money that others have reserved."""
POLL_S = 0.25
STEP = 0.05
"""Part of a reservation after which a count is written."""
WRITE_S = 2.0
"""A count that grows more slowly is written after so long."""


class NoMoneyError(WaitingError):
    """Nothing may be spent on this now: a person has to raise a limit, or to name a price."""


# before


@contextmanager
def purse(workspace: Workspace, row: TicketRow, *, agent_name: str, attempt: int) -> Iterator[Purse]:
    """Set aside what one attempt of a ticket may cost; raise NoMoneyError where there is no room for it."""
    about = About(feature=row.feature, ticket=row.id, attempt=attempt)
    run = Run(purpose="work", about=about, agent=agent_name, owner=this_process())
    with _opened(workspace, run, row.record.budget) as found:
        yield found


@contextmanager
def purse_for(workspace: Workspace, about: About, *, agent_name: str, purpose: Purpose) -> Iterator[Purse]:
    """Set aside what one run beside the work may cost: planning, challenging, auditing. A ticket's budget is not for that."""
    run = Run(purpose=purpose, about=about, agent=agent_name, owner=this_process())
    with _opened(workspace, run, None) as found:
        yield found


@dataclass(frozen=True, kw_only=True)
class Fund:
    """What a purse holds: another process can go on with it."""

    tariff: Tariff
    reservation: Reservation | None
    pending: tuple[str, ...]


@contextmanager
def taken_over(workspace: Workspace, fund: Fund) -> Iterator[Purse]:
    """Go on with what another process reserved; raise CancelledError where that was settled meanwhile."""
    ledger, reservation = Ledger(workspace.database), fund.reservation
    if reservation is not None:
        reservation = ledger.take_over(reservation, this_process())
        if reservation is None:
            raise CancelledError("what it may cost was settled before it began")
    made = Purse(ledger=ledger, tariff=fund.tariff, reservation=reservation, pending=fund.pending)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def _opened(workspace: Workspace, run: Run, budget: Budget | None) -> Iterator[Purse]:
    made = _fill(workspace, run, budget)
    try:
        yield made
    finally:
        made.close()


def _fill(workspace: Workspace, run: Run, budget: Budget | None) -> Purse:
    policy, settings = workspace.policy.spend, workspace.policy.agent(run.agent)
    ledger = Ledger(workspace.database)
    usage = driver(workspace.policy, run.agent, workspace.root).capabilities.usage
    tariff = Tariff(name=run.agent, agent=settings, usage=usage, max_age_days=policy.max_age_days)
    if settings.kind in FREE_KINDS:
        return Purse(ledger=ledger, tariff=tariff)
    if trouble := tariff.trouble():
        raise NoMoneyError(trouble)
    limits = policy.limits(budget, *of_agent(run.agent, settings))
    run = replace(run, limits=limits, warn_at=policy.warn_at)
    reservation = _reserved(workspace, run, _asked(tariff, limits))
    return Purse(ledger=ledger, tariff=tariff, reservation=reservation, pending=tariff.warnings())


def _asked(tariff: Tariff, limits: tuple[Limit, ...]) -> dict[Unit, int]:
    """Give the worst case: all that the tightest limit allows, in each unit that the run can use up and that has a limit."""
    units: tuple[Unit, ...] = ("usd", "tokens") if tariff.measured else ("usd",)
    worst = {unit: [limit.most for limit in limits if limit.unit == unit] for unit in units}
    if not tariff.measured:
        most = tariff.agent.max_usd
        worst["usd"] = [] if most is None else [micros(most)]
    elif tariff.free:
        worst["usd"] = []
    return {unit: min(found) for unit, found in worst.items() if found}


def _reserved(workspace: Workspace, run: Run, asked: dict[Unit, int]) -> Reservation:
    """Reserve; wait where only runs that go on hold what is missing."""
    ledger, waits = Ledger(workspace.database), False
    until = time.monotonic() + PATIENCE * workspace.policy.dispatch.timeout_s
    while True:
        ledger.recover(_alive)
        answer = ledger.reserve(run, asked)
        if not isinstance(answer, Refusal):
            return answer
        if not answer.passing or time.monotonic() > until:
            raise NoMoneyError(_refusal(answer, run))
        if not waits:
            workspace.records.note("spend.waits", run.about, {"agent": run.agent, "for": answer.limit.where})
        waits = True
        time.sleep(POLL_S)


def _refusal(refusal: Refusal, run: Run) -> str:
    limit, unit = refusal.limit, refusal.limit.unit
    held = f", and {shown(unit, refusal.held)} are reserved by runs that go on" if refusal.held else ""
    need = f"{shown(unit, refusal.settled)} of it are used{held}, and this run may need {shown(unit, refusal.asked)}"
    place = f"in {POLICY_FILE}" if limit.where.startswith("[") else "in the ticket"
    then = f"orchestrate tickets retry {run.about.ticket}" if run.about.ticket else "ask again"
    return (
        f"no money for {run.agent}: {limit.where} allows {shown(unit, limit.most)} for the {limit.scope}, "
        f"{need if limit.most else 'so nothing that costs money is started'}; raise it {place}, then: {then}"
    )


# meanwhile


@dataclass(kw_only=True)
class Purse:
    """What one run may use up. Any number of threads may count."""

    ledger: Ledger
    tariff: Tariff
    reservation: Reservation | None = None
    """None for an agent that no model stands behind: it costs nothing."""
    pending: tuple[str, ...] = ()
    """Warnings that no transcript has been there for."""
    _transcript: Transcript | None = field(default=None, repr=False)
    _used: Amount = field(default_factory=Amount)
    _written: Amount = field(default_factory=Amount)
    _written_at: float = float("-inf")
    _stop: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def fund(self) -> Fund:
        return Fund(tariff=self.tariff, reservation=self.reservation, pending=self.pending)

    def on(self, bench: Bench) -> Bench:
        """Give the bench on which this is what the agent may use up; from now on it counts as begun."""
        self._transcript = bench.transcript
        for text in self.pending:
            bench.transcript.note(text)
        return replace(bench, may_go_on=self)

    def __call__(self, used: Usage) -> str:
        """Count what the run has used so far, in all; give the sentence why it must end, or ""."""
        with self._lock:
            if self.reservation is None or self._stop:
                return self._stop
            self._stop = self._add(used) or self._beyond(self.reservation)
            if self._stop or self._due(self.reservation):
                self._write(self.reservation)
            return self._stop

    def _add(self, used: Usage) -> str:
        if not self.tariff.possible(used):
            return f"its client says that {used.tokens} tokens and {used.usd} US dollars were used, which cannot be"
        usd = self.tariff.usd(used)
        self._used = _most(self._used, Amount(usd=micros(usd or 0.0), tokens=used.tokens))
        return self.tariff.unknown(used) if usd is None else ""

    def _beyond(self, reservation: Reservation) -> str:
        for unit, limit in reservation.bound.items():
            used, most = self._used.of(unit), reservation.amount.of(unit)
            if used >= most:
                left = "" if most == limit.most else f" ({shown(unit, limit.most)}, of which so much was left)"
                return f"{shown(unit, used)} are used, and {limit.where} allows {shown(unit, most)}{left}"
        return ""

    def _due(self, reservation: Reservation) -> bool:
        if time.monotonic() - self._written_at >= WRITE_S:
            return self._used != self._written
        return any(
            self._used.of(unit) - self._written.of(unit) >= reservation.amount.of(unit) * STEP
            for unit in reservation.bound
        )

    def _write(self, reservation: Reservation) -> None:
        try:
            count = self.ledger.count(reservation, self._used)
        except EnvironmentFailure as error:
            self._stop = f"what it uses can no longer be counted: {error}"
            return
        self._written, self._written_at = self._used, time.monotonic()
        self._tell(count)
        if count.ended and not self._stop:
            self._stop = str(count.ended[0])

    def _tell(self, count: Count) -> None:
        if self._transcript:
            for mark in count.warned:
                self._transcript.note(str(mark))

    # afterwards

    def settle(self, outcome: Outcome) -> None:
        """Book what the run has really used, as its client said at the end, and let go of the rest."""
        self.book(self.booking(outcome))

    def booking(self, outcome: Outcome) -> Booking | None:
        """Say what is to be booked; None where nothing was reserved."""
        with self._lock:
            if self.reservation is None:
                return None
            used, measured, note = self._final(self.reservation, outcome)
            return Booking(used=used, measured=measured, note=note)

    def book(self, booking: Booking | None) -> None:
        with self._lock:
            if self.reservation is not None and booking is not None:
                self.ledger.settle(self.reservation, booking.used, measured=booking.measured, note=booking.note)

    def _final(self, reservation: Reservation, outcome: Outcome) -> tuple[Amount, bool, str]:
        usd = self.tariff.usd(outcome.used)
        named = self.tariff.possible(outcome.used) and bool(outcome.used.tokens or outcome.used.usd)
        if named and usd is not None:
            said = Amount(usd=micros(usd), tokens=outcome.used.tokens)
            # a client that was broken off may not have had the time to say all
            return (said if outcome.ending == "done" else _most(said, self._used)), True, ""
        if outcome.ending == "not-started":
            return Amount(), True, "it was not started"
        if named:
            usd_at_most = max(self._used.usd, reservation.amount.usd)
            return Amount(usd=usd_at_most, tokens=outcome.used.tokens), False, self.tariff.unknown(outcome.used)
        if self._used:
            return self._used, True, "as counted while it ran"
        if not self.tariff.measured or outcome.ending == "done" or outcome.calls:
            return reservation.amount, False, "its client named no usage: all that was reserved is booked"
        return Amount(), True, "it ended before it used anything"

    def close(self) -> None:
        """Settle what nobody has settled: at what was counted, or all that was reserved where the agent may have used it."""
        with self._lock:
            if self.reservation is None:
                return
            used, measured, note = self._used, True, "as counted while it ran"
            if not used and self._transcript:
                used, measured, note = (
                    self.reservation.amount,
                    False,
                    "nothing was counted: all that was reserved is booked",
                )
            elif not used:
                note = "the agent was not started"
            self.ledger.settle(self.reservation, used, measured=measured, note=note)


def _most(one: Amount, other: Amount) -> Amount:
    """Counts only grow: one that is late, or begins anew, takes nothing back."""
    return Amount(usd=max(one.usd, other.usd), tokens=max(one.tokens, other.tokens))


# leftovers of a crash


def recover(workspace: Workspace) -> int:
    """Settle what runs of processes that are gone had reserved; say how many there were."""
    ledger = Ledger(workspace.database)
    return ledger.recover(_alive, dict(_left(workspace, ledger)))


def _left(workspace: Workspace, ledger: Ledger) -> Iterator[tuple[int, Booking | None]]:
    """Say what keepers wanted to book, or would have: the ledger knows no more than what they counted last."""
    for number, run in ledger.reserved():
        post = Post.of(workspace.state, run.about.ticket, run.about.attempt)
        if run.purpose != "work" or not post.folder.is_dir():
            continue
        booking = (post.left() or {}).get("booking")
        if post.alive:
            yield number, None  # one that is just beginning may not own it yet
        elif booking and booking["run"] == number:
            used = Amount(**booking["used"])
            yield number, Booking(used=used, measured=booking["measured"], note=booking["note"])
        elif not post.signed:
            yield number, Booking(used=Amount(), measured=True, note="its agent had not begun")


def _alive(owner: str) -> bool:
    return len(owner.split()) == len(this_process().split()) and alive(owner)
