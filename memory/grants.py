"""What waits for a person, and the answers: asked once, decided once, used once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from memory.events import About, append, now
from memory.records import next_id
from tickets.errors import EnvironmentFailure, InputError
from tickets.grants import Grant, Need

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memory.connection import Connection
    from memory.database import Database
    from memory.records import TicketRow

State = Literal["waiting", "approved", "denied", "used", "expired"]


@dataclass(frozen=True, kw_only=True)
class GrantRow:
    id: str
    ticket: str
    identity: str
    """Hash of ticket revision, kind, subject and content: it permits this and nothing else."""
    kind: str
    subject: str
    bound: str
    why: str
    """What the gate said, or what the ticket asks for."""
    state: State
    person: str
    reason: str
    asked_at: str
    expires_at: str
    landed: str
    """Commit of the landing that used it."""

    @property
    def stands(self) -> bool:
        """Whether it was given and is not over yet."""
        return self.state == "approved" and self.as_grant().in_force()

    def as_grant(self) -> Grant:
        return Grant(
            id=self.id,
            identity=self.identity,
            kind=self.kind,
            subject=self.subject,
            person=self.person,
            reason=self.reason,
            expires_at=self.expires_at,
        )


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a person decided."""

    approved: bool
    person: str
    reason: str
    days: float


class Grants:
    def __init__(self, database: Database) -> None:
        self.database = database

    def ask(self, ticket: TicketRow, needs: Iterable[tuple[Need, str]]) -> list[GrantRow]:
        """Record what the ticket needs, with the reason; what was asked before and is still open is not asked again."""
        rows = []
        with self.database.transaction() as connection:
            for need, why in needs:
                identity = need.identity(ticket.sha256)
                known = [row for row in self.of(ticket.id) if row.identity == identity]
                open_ones = [row for row in known if row.state in {"waiting", "denied"} or row.stands]
                rows.append(open_ones[-1] if open_ones else _insert(connection, ticket, need, why))
        return rows

    def of(self, ticket: str = "") -> list[GrantRow]:
        """List the requests of a ticket, or all, the oldest first."""
        where, values = ("WHERE ticket = ?", (ticket,)) if ticket else ("", ())
        query = f"SELECT * FROM grants {where} ORDER BY LENGTH(id), id"  # noqa: S608 - our own words
        return [GrantRow(**dict(row)) for row in self.database.connection().execute(query, values)]

    def get(self, grant: str) -> GrantRow:
        row = self.database.connection().execute("SELECT * FROM grants WHERE id = ?", (grant,)).fetchone()
        if row is None:
            raise InputError(f"there is no request {grant}; `orchestrate grants` shows them")
        return GrantRow(**dict(row))

    def decide(self, grant: str, answer: Answer, about: About) -> GrantRow:
        """Record a person's answer; raise InputError for a request that has one already."""
        expires = (datetime.now(UTC) + timedelta(days=answer.days)).isoformat(timespec="seconds")
        state = "approved" if answer.approved else "denied"
        with self.database.transaction() as connection:
            row = self.get(grant)
            if row.state != "waiting":
                raise InputError(f"{grant} is {row.state} already ({_told(row)}); a permission is given once")
            values = (state, answer.person, answer.reason, expires if answer.approved else "", grant)
            connection.execute(
                "UPDATE grants SET state = ?, person = ?, reason = ?, expires_at = ? WHERE id = ?", values
            )
            decided = self.get(grant)
            append(connection, f"grant.{state}", about, _facts(decided))
        return decided

    def in_force(self, ticket: TicketRow) -> tuple[Grant, ...]:
        """Give what persons permitted this ticket and is neither used nor expired.

        Raise EnvironmentFailure for one that stands in the table and was never given: the event log has no such answer.
        """
        found = [row for row in self.of(ticket.id) if row.stands]
        for row in found:
            if _facts(row) not in self._given(row.ticket):
                raise EnvironmentFailure(
                    f"{row.id} stands as approved, but the event log has no such approval: it is not believed"
                )
        return tuple(row.as_grant() for row in found)

    def _given(self, ticket: str) -> list[dict[str, Any]]:
        from memory.events import read

        return [event.data for event in read(self.database, ticket=ticket) if event.kind == "grant.approved"]

    def denied(self, ticket: str) -> list[GrantRow]:
        return [row for row in self.of(ticket) if row.state == "denied"]

    def use(self, grants: Iterable[str], *, landed: str, about: About) -> None:
        """Use up what a landing needed; repeating it does no harm."""
        with self.database.transaction() as connection:
            for grant in grants:
                if self.get(grant).state == "approved":
                    connection.execute("UPDATE grants SET state = 'used', landed = ? WHERE id = ?", (landed, grant))
                    append(connection, "grant.used", about, {"id": grant, "landed": landed})


def _insert(connection: Connection, ticket: TicketRow, need: Need, why: str) -> GrantRow:
    row = GrantRow(
        id=next_id(connection, "grants", "G"),
        ticket=ticket.id,
        identity=need.identity(ticket.sha256),
        **asdict(need),
        why=why,
        state="waiting",
        person="",
        reason="",
        asked_at=now(),
        expires_at="",
        landed="",
    )
    values = asdict(row)
    columns, marks = ", ".join(values), ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO grants ({columns}) VALUES ({marks})", tuple(values.values()))  # noqa: S608 - fields of ours
    append(connection, "grant.asked", ticket.about, {**_facts(row), "why": why})
    return row


def _facts(row: GrantRow) -> dict[str, Any]:
    names = ("id", "identity", "kind", "subject", "bound", "person", "reason", "expires_at")
    return {name: value for name, value in asdict(row).items() if name in names}


def _told(row: GrantRow) -> str:
    return f"by {row.person}: {row.reason}" if row.person else row.why
