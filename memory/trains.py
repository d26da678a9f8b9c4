"""What the merge train keeps: who is in it, what is known of predicted heads, and what is shown of it. Each change writes its event."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memory.events import About, append, now

if TYPE_CHECKING:
    from memory.connection import Connection
    from memory.database import Database


@dataclass(frozen=True, kw_only=True)
class CarRow:
    ticket: str
    target: str
    attempt: int
    head: str
    """Commit that passed in the ticket's own tree."""
    seq: int
    """Order of its first admission; it keeps it when it joins again."""
    state: str
    """`waiting`, or `left`."""
    reason: str
    joined_at: str


@dataclass(frozen=True, kw_only=True)
class PredictionRow:
    """What a run on a predicted head has said."""

    key: str
    """Of all that the verdict depends on: changes, tree, definitions of the gates."""
    target: str
    changes: tuple[str, ...]
    tree: str
    verdict: str
    blamed: tuple[str, ...]
    reports: tuple[str, ...]
    """Sha256 of the reports."""
    seconds: float
    at: str = ""
    """Set when it is kept."""


class Trains:
    def __init__(self, database: Database) -> None:
        self.database = database

    def join(self, ticket: str, target: str, *, attempt: int, head: str) -> int:
        """Admit the ticket, at the place that it had before if it was here already; give its place."""
        with self.database.transaction() as connection:
            known = connection.execute("SELECT seq FROM cars WHERE ticket = ?", (ticket,)).fetchone()
            seq = known["seq"] if known else _next_seq(connection)
            connection.execute(
                "INSERT INTO cars (ticket, target, attempt, head, seq, state, reason, joined_at)"
                " VALUES (?, ?, ?, ?, ?, 'waiting', '', ?) ON CONFLICT (ticket) DO UPDATE SET target = excluded.target,"
                " attempt = excluded.attempt, head = excluded.head, state = 'waiting', reason = '', joined_at = excluded.joined_at",
                (ticket, target, attempt, head, seq, now()),
            )
            data = {"target": target, "head": head, "seq": seq}
            append(connection, "train.joined", _about(connection, ticket, attempt), data)
        return int(seq)

    def cars(self, target: str) -> list[CarRow]:
        """List who waits to land, in the order of admission."""
        query = "SELECT * FROM cars WHERE target = ? AND state = 'waiting' ORDER BY seq"
        return [CarRow(**dict(row)) for row in self.database.connection().execute(query, (target,)).fetchall()]

    def leave(self, ticket: str, reason: str) -> None:
        """Take the ticket out, because it landed or for what the reason says; one that is not in it stays out."""
        with self.database.transaction() as connection:
            row = connection.execute("SELECT * FROM cars WHERE ticket = ? AND state = 'waiting'", (ticket,)).fetchone()
            if row is None:
                return
            connection.execute("UPDATE cars SET state = 'left', reason = ? WHERE ticket = ?", (reason, ticket))
            data = {"target": row["target"], "seq": row["seq"], "reason": reason}
            append(connection, "train.left", _about(connection, ticket, row["attempt"]), data)

    # predicted heads

    def keep_prediction(self, prediction: PredictionRow) -> None:
        """Record what a run has said; a later run on the same key takes its place."""
        with self.database.transaction() as connection:
            lists = (prediction.changes, prediction.blamed, prediction.reports)
            changes, blamed, reports = (json.dumps(items) for items in lists)
            row = (prediction.key, prediction.target, changes, prediction.tree, prediction.verdict)
            connection.execute(
                "INSERT INTO predictions (key, target, changes, tree, verdict, blamed, reports, at, seconds)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET verdict = excluded.verdict,"
                " blamed = excluded.blamed, reports = excluded.reports, at = excluded.at, seconds = excluded.seconds",
                (*row, blamed, reports, now(), prediction.seconds),
            )
            told = {"target": prediction.target, "changes": prediction.changes, "tree": prediction.tree}
            said = {"verdict": prediction.verdict, "blamed": prediction.blamed, "seconds": round(prediction.seconds, 3)}
            append(connection, "train.judged", About(), {**told, **said, "reports": prediction.reports})

    def prediction(self, key: str) -> PredictionRow | None:
        row = self.database.connection().execute("SELECT * FROM predictions WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        lists = {name: tuple(json.loads(row[name])) for name in ("changes", "blamed", "reports")}
        return PredictionRow(**{**dict(row), **lists})

    # what is shown, and what was learned

    def show(self, target: str, data: dict[str, Any]) -> None:
        """Keep what people may see of the train now. It is made anew with each decision: a loss of the database need not bring it back."""
        with self.database.transaction(kept=False) as connection:
            _set(connection, "shown", target, data)

    def shown(self, target: str) -> dict[str, Any] | None:
        return self._get("shown", target)

    def keep_record(self, target: str, data: dict[str, Any]) -> None:
        """Keep what the train has learned from runs: window and counts."""
        with self.database.transaction() as connection:
            _set(connection, "record", target, data)

    def record(self, target: str) -> dict[str, Any] | None:
        return self._get("record", target)

    def _get(self, column: str, target: str) -> dict[str, Any] | None:
        query = f"SELECT {column} FROM trains WHERE target = ?"  # noqa: S608 - one of two names of ours
        row = self.database.connection().execute(query, (target,)).fetchone()
        return dict(json.loads(row[column])) if row is not None and row[column] is not None else None


def _set(connection: Connection, column: str, target: str, data: dict[str, Any]) -> None:
    connection.execute(
        f"INSERT INTO trains (target, {column}, at) VALUES (?, ?, ?)"  # noqa: S608 - one of two names of ours
        f" ON CONFLICT (target) DO UPDATE SET {column} = excluded.{column}, at = excluded.at",
        (target, json.dumps(data), now()),
    )


def _next_seq(connection: Connection) -> int:
    return int(connection.execute("SELECT COALESCE(MAX(seq), 0) + 1 AS seq FROM cars").fetchone()["seq"])


def _about(connection: Connection, ticket: str, attempt: int) -> About:
    row = connection.execute("SELECT feature FROM tickets WHERE id = ?", (ticket,)).fetchone()
    return About(feature=row["feature"] if row else "", ticket=ticket, attempt=attempt)
