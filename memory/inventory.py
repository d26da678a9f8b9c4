"""What the records say must be there, read in few questions however many tickets there are: recovery and retention go by it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from memory.database import Database


@dataclass(frozen=True, kw_only=True)
class Landing:
    """A move of the target that was written down before it was made."""

    ticket: str
    new: str
    """The commit that the target was to be."""


def ticket_states(database: Database) -> dict[str, str]:
    return {
        row["id"]: row["state"] for row in database.connection().execute("SELECT id, state FROM tickets").fetchall()
    }


def ticket_ids(database: Database) -> set[str]:
    return {row["id"] for row in database.connection().execute("SELECT id FROM tickets").fetchall()}


def tickets_in(database: Database, state: str) -> list[str]:
    return [
        row["id"]
        for row in database.connection().execute("SELECT id FROM tickets WHERE state = ?", (state,)).fetchall()
    ]


def attempt_names(database: Database) -> set[str]:
    """Give every recorded attempt as `T-0001/1`; an index alone answers this, the records are not read."""
    rows = database.connection().execute("SELECT ticket || '/' || number AS name FROM attempts").fetchall()
    return {row["name"] for row in rows}


def states_of_attempts(database: Database, names: Collection[str]) -> dict[str, str]:
    """Give the state of each of these attempts, named as `T-0001/1`."""
    query, connection = "SELECT state FROM attempts WHERE ticket = ? AND number = ?", database.connection()
    keys = {name: name.split("/") for name in names}
    rows = {
        name: connection.execute(query, (ticket, int(number))).fetchone() for name, (ticket, number) in keys.items()
    }
    return {name: row["state"] for name, row in rows.items() if row}


def attempts_in(database: Database, state: str) -> list[tuple[str, int]]:
    rows = database.connection().execute("SELECT ticket, number FROM attempts WHERE state = ?", (state,)).fetchall()
    return [(row["ticket"], row["number"]) for row in rows]


def last_landing(database: Database) -> Landing | None:
    """Give the newest landing that was recorded as done."""
    query = "SELECT ticket, data FROM events WHERE kind = 'landing.moved' ORDER BY seq DESC LIMIT 1"
    row = database.connection().execute(query).fetchone()
    return Landing(ticket=row["ticket"], new=json.loads(row["data"])["new"]) if row else None


def intended(database: Database, tickets: Collection[str]) -> list[Landing]:
    """Give the landings that were begun for these tickets, oldest first."""
    query = "SELECT ticket, data FROM events WHERE ticket = ? AND kind = 'landing.intended' ORDER BY seq"
    connection = database.connection()
    rows = [row for ticket in tickets for row in connection.execute(query, (ticket,)).fetchall()]
    return [Landing(ticket=row["ticket"], new=json.loads(row["data"])["new"]) for row in rows]


def over_since(database: Database, state: str) -> dict[str, str]:
    """Give the tickets that are in this state now, and when they last moved into any (ISO 8601, UTC)."""
    query = (
        "SELECT tickets.id AS id, MAX(events.at) AS at FROM tickets JOIN events ON events.ticket = tickets.id "
        "WHERE tickets.state = ? AND events.kind = 'ticket.state' GROUP BY tickets.id"
    )
    return {row["id"]: row["at"] for row in database.connection().execute(query, (state,)).fetchall()}
