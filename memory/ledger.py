"""What agents use up, as a ledger: reserved before a run, counted while it goes on, settled after it; money in millionths of a dollar.

No two runs can reserve the same money: whether there is room, and the reservation itself, are one transaction. What a run has reserved
counts as used until it is settled. A row is never removed, and each change writes its event with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from memory.amounts import Amount, Booking, Count, Mark, Refusal, Reservation, Run, Sum
from memory.events import About, append, now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from memory.amounts import Purpose
    from memory.connection import Connection, Row
    from memory.database import Database
    from tickets.spending import Limit, Unit

_WHERE = {
    "attempt": "ticket = :ticket AND attempt = :attempt AND purpose = :purpose",
    "ticket": "ticket = :ticket",
    "feature": "feature = :feature",
    "day": "day = :day",
}


@dataclass(frozen=True, kw_only=True)
class _Room:
    """What a run may use of one unit, and the limit that leaves least."""

    limit: Limit
    amount: int


class Ledger:
    def __init__(self, database: Database) -> None:
        self.database = database

    def reserve(self, run: Run, asked: Mapping[Unit, int]) -> Reservation | Refusal:
        """Set aside what the run may use at most, or what is left of it; refuse where that is too little.

        Each unit that is asked for is one that has a limit.
        """
        with self.database.transaction() as connection:
            day = now()[:10]
            rooms = [_room(connection, run, unit, (most, day)) for unit, most in asked.items()]
            refusals = [room for room in rooms if isinstance(room, Refusal)]
            if refusals:
                return min(refusals, key=lambda refusal: refusal.passing)
            bound = {room.limit.unit: room.limit for room in rooms if isinstance(room, _Room)}
            given = {room.limit.unit: room.amount for room in rooms if isinstance(room, _Room)}
            amount = Amount(usd=given.get("usd", 0), tokens=given.get("tokens", 0))
            identity = _insert(connection, run, amount, day)
            _note(connection, "spend.reserved", run, {"run": identity, "reserved": amount.to_json()})
        return Reservation(id=identity, run=run, amount=amount, bound=bound)

    def take_over(self, reservation: Reservation, owner: str) -> Reservation | None:
        """Make another process the one that uses it up; None where the run is settled already."""
        run = replace(reservation.run, owner=owner)
        with self.database.transaction() as connection:
            query = "UPDATE spending SET owner = ? WHERE id = ? AND state = 'reserved'"
            if connection.execute(query, (owner, reservation.id)).rowcount == 0:
                return None
            _note(connection, "spend.taken-over", run, {"run": reservation.id, "owner": owner})
        return replace(reservation, run=run)

    def count(self, reservation: Reservation, used: Amount) -> Count:
        """Record what the run has used so far, in all; a run that is settled stays as it is."""
        with self.database.transaction() as connection:
            before = _used(connection, reservation.id)
            if before is None:
                return Count(warned=(), ended=())
            connection.execute(
                "UPDATE spending SET used_usd = ?, used_tokens = ? WHERE id = ?",
                (used.usd, used.tokens, reservation.id),
            )
            run = reservation.run
            _note(connection, "spend.counted", run, {"run": reservation.id, "used": used.to_json()})
            return _marks(connection, reservation, before, used)

    def settle(
        self, reservation: Reservation, used: Amount, *, measured: bool = True, note: str = ""
    ) -> tuple[Mark, ...]:
        """Book what the run has used, and let go of the rest; doing it again changes nothing. Give the warning marks passed by it."""
        with self.database.transaction() as connection:
            before = _used(connection, reservation.id)
            if before is None:
                return ()
            _close(connection, reservation.id, used, measured=measured, note=note)
            data = {"run": reservation.id, "used": used.to_json(), "reserved": reservation.amount.to_json()}
            _note(connection, "spend.settled", reservation.run, {**data, "measured": measured, "note": note})
            return _marks(connection, reservation, before, used).warned

    def reserved(self) -> list[tuple[int, Run]]:
        """Give what is reserved at the moment, by its number."""
        query = "SELECT * FROM spending WHERE state = 'reserved'"
        return [(row["id"], _run(row)) for row in self.database.connection().execute(query).fetchall()]

    def recover(self, alive: Callable[[str], bool], left: Mapping[int, Booking | None] | None = None) -> int:
        """Settle the runs of processes that are gone; say how many.

        `left` says what is to be booked for some of them, by the number of the run; None: it goes on. For the others it is what was
        counted last, or all that was reserved.
        """
        left = left or {}
        query = "SELECT * FROM spending WHERE state = 'reserved'"
        rows = self.database.connection().execute(query).fetchall()
        gone = [row for row in rows if not alive(row["owner"]) and left.get(row["id"], row) is not None]
        for row in gone:
            counted = Amount(usd=row["used_usd"], tokens=row["used_tokens"])
            reserved = Amount(usd=row["reserved_usd"], tokens=row["reserved_tokens"])
            said = "as counted last" if counted else "all that was reserved, because nothing had been counted"
            note = f"its process ended without settling it: booked {said}"
            booking = left.get(row["id"]) or Booking(used=counted or reserved, measured=False, note=note)
            reservation = Reservation(id=row["id"], run=_run(row), amount=reserved)
            self.settle(reservation, booking.used, measured=booking.measured, note=booking.note)
        return len(gone)

    # looking

    def total(self, purpose: Purpose | None = None, *, feature: str = "", ticket: str = "", day: str = "") -> Sum:
        """Add up the runs of a feature, a ticket, a day, a purpose, or of all that are named together."""
        values = {"purpose": purpose or "", "feature": feature, "ticket": ticket, "day": day}
        where = " AND ".join(f"{name} = :{name}" for name, value in values.items() if value) or "1 = 1"
        row = self.database.connection().execute(f"{_TOTAL} WHERE {where}", values).fetchone()
        return Sum(
            runs=row["runs"],
            used=Amount(usd=row["used_usd"], tokens=row["used_tokens"]),
            reserved=Amount(usd=row["reserved_usd"], tokens=row["reserved_tokens"]),
            held=Amount(usd=row["held_usd"], tokens=row["held_tokens"]),
            unmeasured=row["unmeasured"],
        )


_HELD = "CASE WHEN state = 'reserved' AND reserved_{0} > used_{0} THEN reserved_{0} - used_{0} ELSE 0 END"
_TOTAL = f"""SELECT COUNT(*) AS runs,
    COALESCE(SUM(used_usd), 0) AS used_usd, COALESCE(SUM(used_tokens), 0) AS used_tokens,
    COALESCE(SUM(reserved_usd), 0) AS reserved_usd, COALESCE(SUM(reserved_tokens), 0) AS reserved_tokens,
    COALESCE(SUM({_HELD.format("usd")}), 0) AS held_usd, COALESCE(SUM({_HELD.format("tokens")}), 0) AS held_tokens,
    COALESCE(SUM(CASE WHEN state = 'settled' AND measured = 0 THEN 1 ELSE 0 END), 0) AS unmeasured FROM spending"""  # noqa: S608 - the columns are ours


def _room(connection: Connection, run: Run, unit: Unit, wish: tuple[int, str]) -> _Room | Refusal:
    """Find what all limits leave of the wish (how much, on which day); the refusal that stands longest where it is too little."""
    limits = [limit for limit in run.limits if limit.unit == unit]
    asked = min([wish[0], *(limit.most for limit in limits)])
    found = []
    for limit in limits:
        settled, held = _standing(connection, run, limit, wish[1])
        found.append(Refusal(limit=limit, asked=asked, settled=settled, held=held))
    tightest = min(found, key=lambda one: one.limit.most - one.settled)
    given = min(asked, tightest.limit.most - tightest.settled)
    if not tightest.passing:
        return tightest
    for one in found:
        if given > one.limit.most - one.settled - one.held:
            return one
    return _Room(limit=tightest.limit, amount=given)


def _scope(run: Run, limit: Limit, day: str) -> tuple[str, dict[str, Any]] | None:
    """Give the condition for the rows that count towards the limit; None where there can be no others."""
    about = run.about
    named = {"attempt": about.ticket, "ticket": about.ticket, "feature": about.feature, "day": day}
    if not named[limit.scope]:
        return None
    values = {"ticket": about.ticket, "attempt": about.attempt, "purpose": run.purpose}
    return _WHERE[limit.scope], {**values, "feature": about.feature, "day": day}


def _standing(connection: Connection, run: Run, limit: Limit, day: str) -> tuple[int, int]:
    """Give what counts towards the limit: used for good, and held by runs that go on (what they used already is part of that)."""
    scope = _scope(run, limit, day)
    if scope is None:
        return 0, 0
    query = f"""SELECT
        COALESCE(SUM(CASE state WHEN 'settled' THEN used_{limit.unit} ELSE 0 END), 0) AS settled,
        COALESCE(SUM(CASE WHEN state = 'settled' THEN 0 WHEN reserved_{limit.unit} > used_{limit.unit}
            THEN reserved_{limit.unit} ELSE used_{limit.unit} END), 0) AS held
        FROM spending WHERE {scope[0]}"""  # noqa: S608 - units and conditions are ours
    row = connection.execute(query, scope[1]).fetchone()
    return row["settled"], row["held"]


def _insert(connection: Connection, run: Run, amount: Amount, day: str) -> int:
    about = run.about
    row = (
        run.purpose,
        run.agent,
        about.feature,
        about.ticket,
        about.attempt,
        day,
        run.owner,
        amount.usd,
        amount.tokens,
    )
    identity = int(connection.execute("SELECT COALESCE(MAX(id), 0) + 1 AS id FROM spending").fetchone()["id"])
    connection.execute(
        "INSERT INTO spending (id, purpose, agent, feature, ticket, attempt, day, owner, state, reserved_usd, reserved_tokens,"
        " used_usd, used_tokens, measured, note, begun_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'reserved', ?, ?, 0, 0, 1, '', ?)",
        (identity, *row, now()),
    )
    return identity


def _run(row: Row) -> Run:
    about = About(feature=row["feature"], ticket=row["ticket"], attempt=row["attempt"])
    return Run(purpose=row["purpose"], about=about, agent=row["agent"], owner=row["owner"])


def _used(connection: Connection, identity: int) -> Amount | None:
    """Give what the run had used up to now; None where it is settled."""
    query = "SELECT used_usd, used_tokens FROM spending WHERE id = ? AND state = 'reserved'"
    row = connection.execute(query, (identity,)).fetchone()
    return None if row is None else Amount(usd=row["used_usd"], tokens=row["used_tokens"])


def _close(connection: Connection, identity: int, used: Amount, *, measured: bool, note: str) -> None:
    connection.execute(
        "UPDATE spending SET state = 'settled', used_usd = ?, used_tokens = ?, measured = ?, note = ?, settled_at = ? WHERE id = ?",
        (used.usd, used.tokens, int(measured), note, now(), identity),
    )
    connection.execute(
        "UPDATE tickets SET spend_usd = (SELECT SUM(used_usd) FROM spending WHERE ticket = tickets.id) / 1000000.0"
        " WHERE id = (SELECT ticket FROM spending WHERE id = ?)",
        (identity,),
    )


def _marks(connection: Connection, reservation: Reservation, before: Amount, used: Amount) -> Count:
    """Find the limits that this count came to, or whose warning mark it passed; exactly one count passes a mark."""
    run, warned, ended = reservation.run, [], []
    row = connection.execute("SELECT day FROM spending WHERE id = ?", (reservation.id,)).fetchone()
    for limit in run.limits:
        after = _total_used(connection, run, limit, row["day"]) or used.of(limit.unit)
        mark = limit.most * run.warn_at
        if after - used.of(limit.unit) + before.of(limit.unit) < mark <= after:
            warned.append(Mark(limit=limit, used=after))
        if used.of(limit.unit) and after >= limit.most:
            ended.append(Mark(limit=limit, used=after))
    for found in warned:
        figures = {"limit": found.limit.where, "scope": found.limit.scope, "unit": found.limit.unit}
        _note(
            connection,
            "spend.warned",
            run,
            {**figures, "most": found.limit.most, "used": found.used, "said": str(found)},
        )
    return Count(warned=tuple(warned), ended=tuple(ended))


def _total_used(connection: Connection, run: Run, limit: Limit, day: str) -> int | None:
    scope = _scope(run, limit, day)
    if scope is None:
        return None
    query = f"SELECT SUM(used_{limit.unit}) AS used FROM spending WHERE {scope[0]}"  # noqa: S608 - units and conditions are ours
    return int(connection.execute(query, scope[1]).fetchone()["used"])


def _note(connection: Connection, kind: str, run: Run, data: Mapping[str, Any]) -> None:
    append(connection, kind, run.about, {"purpose": run.purpose, "agent": run.agent, **data})
