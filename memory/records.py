"""Features, tickets and attempts as they stand now; every change writes its event in the same transaction."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from memory.events import About, append, now
from tickets.errors import InputError
from tickets.model import Ticket
from tickets.states import State, may_move

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from memory.connection import Connection, Row
    from memory.database import Database
    from tickets.model import Draft
    from tickets.plan import Plan


@dataclass(frozen=True, kw_only=True)
class FeatureRow:
    id: str
    request: str
    state: str
    """`queued`, `running`, `ended`, `invalid` where no plan could be made of it, or `waiting` where a person has to answer first."""
    options: dict[str, Any]
    plan: dict[str, Any] | None
    target: str
    before: str
    """Commit of the target when the feature was asked for."""
    generation: int
    """Raised when a person sends tickets of an ended feature on their way again."""
    outcome: dict[str, Any] | None
    created_at: str
    ended_at: str | None


@dataclass(frozen=True, kw_only=True)
class TicketRow:
    id: str
    feature: str
    revision: int
    record: Ticket
    sha256: str
    state: State
    reason: str
    base: str | None
    head: str | None
    landed: str | None
    verdict: str | None
    worktree: str | None
    spend_usd: float
    forgiven: int
    """Attempts that no longer count, because a person sent the ticket on its way again."""

    @property
    def about(self) -> About:
        return About(feature=self.feature, ticket=self.id)


@dataclass(frozen=True, kw_only=True)
class AttemptRow:
    ticket: str
    number: int
    base: str
    start: str
    state: str
    """`running`, `captured`, `passed`, `refused`, `failed`, `inconclusive`, `conflict` or `interrupted`."""
    outcome: dict[str, Any] | None
    changes: dict[str, Any] | None

    @property
    def counts(self) -> bool:
        """Whether it uses up one of the ticket's attempts: a crash of ours or of the machine does not."""
        return self.state not in {"interrupted", "inconclusive"}


class Records:
    def __init__(self, database: Database) -> None:
        self.database = database

    # features

    def add_feature(self, request: str, *, options: dict[str, Any], target: str, before: str) -> str:
        with self.database.transaction() as connection:
            feature = next_id(connection, "features", "F")
            request = _storable(request)
            row = (feature, request, "queued", json.dumps(options), None, target, before, 1, None, now(), None)
            connection.execute("INSERT INTO features VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            append(
                connection,
                "feature.asked",
                About(feature=feature),
                {"request": request, "target": target, "before": before},
            )
        return feature

    def feature(self, feature: str) -> FeatureRow:
        row = self.database.connection().execute("SELECT * FROM features WHERE id = ?", (feature,)).fetchone()
        if row is None:
            raise InputError(f"there is no feature {feature}; `orchestrate status` lists them")
        return _feature(row)

    def features(self) -> list[FeatureRow]:
        return [
            _feature(row)
            for row in self.database.connection().execute("SELECT * FROM features ORDER BY LENGTH(id), id")
        ]

    def open_features(self) -> list[FeatureRow]:
        """Give the features that something is still to happen to, oldest first."""
        query = "SELECT * FROM features WHERE state NOT IN ('ended', 'invalid') ORDER BY LENGTH(id), id"
        return [_feature(row) for row in self.database.connection().execute(query)]

    def ended_features(self, most: int) -> tuple[list[FeatureRow], int]:
        """Give the newest of the ended features, oldest first, and how many ended in all."""
        ended = "FROM features WHERE state IN ('ended', 'invalid')"
        connection = self.database.connection()
        rows = connection.execute(f"SELECT * {ended} ORDER BY LENGTH(id) DESC, id DESC LIMIT ?", (most,)).fetchall()
        number = connection.execute(f"SELECT COUNT(*) AS number {ended}").fetchone()["number"]
        return [_feature(row) for row in reversed(rows)], int(number)

    def states(self, feature: str) -> dict[str, int]:
        """Count the feature's tickets by state."""
        query = "SELECT state, COUNT(*) AS number FROM tickets WHERE feature = ? GROUP BY state ORDER BY state"
        rows = self.database.connection().execute(query, (feature,)).fetchall()
        return {row["state"]: int(row["number"]) for row in rows}

    def set_feature(self, feature: str, state: str, *, outcome: dict[str, Any] | None = None) -> None:
        with self.database.transaction() as connection:
            ended = now() if state in {"ended", "invalid", "waiting"} else None
            connection.execute(
                "UPDATE features SET state = ?, outcome = ?, ended_at = ? WHERE id = ?",
                (state, json.dumps(outcome) if outcome else None, ended, feature),
            )
            append(connection, f"feature.{state}", About(feature=feature), outcome or {})

    def reopen(self, feature: str) -> None:
        """Let an ended feature run once more for the tickets that are ready again."""
        with self.database.transaction() as connection:
            connection.execute(
                "UPDATE features SET state = 'queued', generation = generation + 1, ended_at = NULL WHERE id = ?",
                (feature,),
            )
            append(connection, "feature.reopened", About(feature=feature), {})

    def set_plan(self, feature: str, plan: Plan) -> list[str]:
        """Freeze the plan and give its tickets their ids; a plan that is there already stays."""
        with self.database.transaction() as connection:
            if self.feature(feature).plan is not None:
                return [row.id for row in self.tickets(feature)]
            first = int(next_id(connection, "tickets", "T")[2:])
            ids = {draft.key: f"T-{first + index:04d}" for index, draft in enumerate(plan.tickets)}
            for draft in plan.tickets:
                _insert_ticket(connection, Ticket.from_draft(draft, feature=feature, ids=ids))
            connection.execute("UPDATE features SET plan = ? WHERE id = ?", (plan.model_dump_json(), feature))
            data = {"tickets": ids, "notes": plan.notes, "assumptions": plan.assumptions, "sha256": plan.sha256}
            append(connection, "feature.planned", About(feature=feature), data)
        return list(ids.values())

    def add_tickets(self, feature: str, drafts: Sequence[Draft]) -> list[str]:
        """Give further drafts their ids; they may wait for tickets of the feature that are there already."""
        with self.database.transaction() as connection:
            first = int(next_id(connection, "tickets", "T")[2:])
            new = {draft.key: f"T-{first + index:04d}" for index, draft in enumerate(drafts)}
            ids = {row.id: row.id for row in self.tickets(feature)} | new
            for draft in drafts:
                _insert_ticket(connection, Ticket.from_draft(draft, feature=feature, ids=ids))
            append(connection, "feature.extended", About(feature=feature), {"tickets": new})
        return list(new.values())

    # tickets

    def ticket(self, ticket: str) -> TicketRow:
        row = self.database.connection().execute("SELECT * FROM tickets WHERE id = ?", (ticket,)).fetchone()
        if row is None:
            raise InputError(f"there is no ticket {ticket}; `orchestrate tickets list` shows them")
        return _ticket(row)

    def tickets(self, feature: str = "") -> list[TicketRow]:
        # two statements: a condition that may be empty would keep the index from being used
        where, values = ("WHERE feature = ?", (feature,)) if feature else ("", ())
        query = f"SELECT * FROM tickets {where} ORDER BY LENGTH(id), id"  # noqa: S608 - our own words
        return [_ticket(row) for row in self.database.connection().execute(query, values)]

    def states_of(self, tickets: Collection[str]) -> dict[str, State]:
        """Give the state of each of these tickets."""
        places = ", ".join("?" * len(tickets))
        query = f"SELECT id, state FROM tickets WHERE id IN ({places})"  # noqa: S608 - question marks only
        rows = self.database.connection().execute(query, tuple(tickets)).fetchall() if tickets else []
        return {row["id"]: State(row["state"]) for row in rows}

    def move(self, ticket: str, state: State, reason: str = "", **fields: object) -> None:
        """Move the ticket to a state, if the table of moves allows it, and set other columns with it."""
        with self.database.transaction() as connection:
            row = self.ticket(ticket)
            if not may_move(row.state, state):
                raise InputError(f"{ticket} is {row.state}; it cannot become {state}")
            reason = _storable(reason)
            values = {"state": state.value, "reason": reason, **fields}
            columns = ", ".join(f"{name} = ?" for name in values)
            connection.execute(f"UPDATE tickets SET {columns} WHERE id = ?", (*values.values(), ticket))  # noqa: S608 - column names are ours
            if row.state != state:
                append(
                    connection,
                    "ticket.state",
                    row.about,
                    {"from": row.state.value, "to": state.value, "reason": reason},
                )

    def revise(self, ticket: Ticket) -> int:
        """Store an edited ticket as a new revision; the ones before stay."""
        with self.database.transaction() as connection:
            row = self.ticket(ticket.id)
            if row.sha256 == ticket.sha256:
                return row.revision
            revision = row.revision + 1
            values = (revision, ticket.model_dump_json(), ticket.sha256)
            connection.execute(
                "UPDATE tickets SET revision = ?, record = ?, sha256 = ? WHERE id = ?", (*values, ticket.id)
            )
            connection.execute("INSERT INTO revisions VALUES (?, ?, ?, ?)", (ticket.id, *values))
            append(connection, "ticket.revised", row.about, {"revision": revision, "sha256": ticket.sha256})
        return revision

    def send_again(self, ticket: str) -> None:
        """Make an ended ticket ready again, its attempts so far forgiven."""
        self.move(ticket, State.READY, "sent again", forgiven=len(self.attempts(ticket)))

    # attempts

    def start_attempt(self, ticket: str, *, base: str, start: str, worktree: str) -> int:
        """Record that an attempt begins, and give its number: one that is recorded and had not begun yet begins anew."""
        with self.database.transaction() as connection:
            known = self.attempts(ticket)
            number = len(known) + 1
            if known and known[-1].state == "running":
                number = known[-1].number
                connection.execute(
                    "UPDATE attempts SET base = ?, start = ? WHERE ticket = ? AND number = ?",
                    (base, start, ticket, number),
                )
            else:
                connection.execute(
                    "INSERT INTO attempts VALUES (?, ?, ?, ?, 'running', NULL, NULL)", (ticket, number, base, start)
                )
            self.move(ticket, State.RUNNING, base=base, worktree=worktree)
            about = About(feature=self.ticket(ticket).feature, ticket=ticket, attempt=number)
            append(connection, "attempt.started", about, {"base": base, "start": start})
        return number

    def set_attempt(
        self,
        attempt: AttemptRow,
        state: str,
        *,
        outcome: dict[str, Any] | None = None,
        changes: dict[str, Any] | None = None,
    ) -> None:
        """Move the attempt on; `outcome` and `changes` are added where they are given."""
        with self.database.transaction() as connection:
            for column, value in (("outcome", outcome), ("changes", changes)):
                if value is not None:
                    connection.execute(
                        f"UPDATE attempts SET {column} = ? WHERE ticket = ? AND number = ?",  # noqa: S608 - one of the two names above
                        (json.dumps(value), attempt.ticket, attempt.number),
                    )
            connection.execute(
                "UPDATE attempts SET state = ? WHERE ticket = ? AND number = ?", (state, attempt.ticket, attempt.number)
            )
            about = About(feature=self.ticket(attempt.ticket).feature, ticket=attempt.ticket, attempt=attempt.number)
            append(connection, f"attempt.{state}", about, outcome or {})

    def attempts(self, ticket: str) -> list[AttemptRow]:
        rows = self.database.connection().execute("SELECT * FROM attempts WHERE ticket = ? ORDER BY number", (ticket,))
        return [
            AttemptRow(**{**dict(row), "outcome": _loaded(row["outcome"]), "changes": _loaded(row["changes"])})
            for row in rows
        ]

    def note(self, kind: str, about: About, data: dict[str, Any]) -> None:
        """Add an event that changes no record."""
        with self.database.transaction() as connection:
            append(connection, kind, about, data)

    # verdicts and reports

    def get(self, key: str) -> dict[str, Any] | None:
        row = self.database.connection().execute("SELECT verdict FROM verdicts WHERE key = ?", (key,)).fetchone()
        return _loaded(row["verdict"]) if row else None

    def put(self, key: str, value: dict[str, Any]) -> None:
        self.put_all({key: value})

    def put_all(self, values: Mapping[str, dict[str, Any]]) -> None:
        """Keep many verdicts at the price of one."""
        if not values:
            return
        with self.database.transaction() as connection:
            for key, value in values.items():
                connection.execute(
                    "INSERT INTO verdicts VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET verdict = excluded.verdict, at = excluded.at",
                    (key, json.dumps(value), now()),
                )

    def add_report(self, sha256: str, report: dict[str, Any], about: About) -> None:
        with self.database.transaction() as connection:
            row = (
                sha256,
                about.ticket,
                about.attempt,
                report["pass"],
                report["verdict"],
                json.dumps(report),
                report["created_at"],
            )
            # in the order of their events, one of which is written with each
            connection.execute(
                "INSERT INTO reports (sha256, ticket, attempt, pass, verdict, report, created_at, seq)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT COALESCE(MAX(seq), 0) + 1 FROM events)) ON CONFLICT (sha256) DO NOTHING",
                row,
            )
            said = {gate["name"]: gate["verdict"] for gate in report["gates"]}
            data = {"pass": report["pass"], "verdict": report["verdict"], "report": sha256, "gates": said}
            append(connection, "gates.judged", about, data)

    def report(self, sha256: str) -> dict[str, Any]:
        """Give one report by its hash; raise InputError where there is none."""
        row = self.database.connection().execute("SELECT report FROM reports WHERE sha256 = ?", (sha256,)).fetchone()
        if row is None:
            raise InputError(f"there is no report {sha256}")
        return dict(json.loads(row["report"]))

    def reports(self, ticket: str) -> list[dict[str, Any]]:
        """Give the ticket's reports, the newest last."""
        query = "SELECT report FROM reports WHERE ticket = ? ORDER BY attempt, seq"
        return [json.loads(row["report"]) for row in self.database.connection().execute(query, (ticket,))]


def _storable(text: str) -> str:
    """Spell out the bytes of a name that is no UTF-8, which no database can keep as text, and the zero byte, which PostgreSQL cannot."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def next_id(connection: Connection, table: str, letter: str) -> str:
    last = connection.execute(f"SELECT MAX(CAST(SUBSTR(id, 3) AS INTEGER)) FROM {table}").fetchone()[0]  # noqa: S608 - our own table names
    return f"{letter}-{(last or 0) + 1:04d}"


def _insert_ticket(connection: Connection, ticket: Ticket) -> None:
    record = ticket.model_dump_json()
    known = (ticket.id, ticket.feature, 1, record, ticket.sha256, State.READY.value, "")
    values = (*known, *[None] * 5, 0.0, 0)
    connection.execute("INSERT INTO tickets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    connection.execute("INSERT INTO revisions VALUES (?, 1, ?, ?)", (ticket.id, record, ticket.sha256))


def _loaded(text: str | None) -> dict[str, Any] | None:
    return None if text is None else dict(json.loads(text))


def _feature(row: Row) -> FeatureRow:
    loaded = {name: _loaded(row[name]) for name in ("plan", "outcome")}
    return FeatureRow(**{**dict(row), **loaded, "options": json.loads(row["options"])})


def _ticket(row: Row) -> TicketRow:
    return TicketRow(**{**dict(row), "record": _record(row["record"]), "state": State(row["state"])})


@lru_cache(maxsize=1024)
def _record(text: str) -> Ticket:
    """Read a frozen record; the same few are asked for again and again."""
    return Ticket.model_validate_json(text)


def waiting_for(tickets: Sequence[TicketRow]) -> dict[str, list[str]]:
    """Give for each ticket the dependencies that have not landed."""
    landed = {row.id for row in tickets if row.state is State.LANDED}
    return {row.id: [ticket for ticket in row.record.depends_on if ticket not in landed] for row in tickets}


def as_json(row: FeatureRow | TicketRow | AttemptRow) -> dict[str, Any]:
    more = {"record": row.record.model_dump(mode="json")} if isinstance(row, TicketRow) else {}
    return {**vars(row), **more}
