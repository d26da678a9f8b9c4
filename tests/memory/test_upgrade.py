from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from memory.database import Database
from memory.events import GENESIS, About, append, read, verify
from memory.records import Records
from memory.restore import differences, restore
from memory.schema import VERSION
from memory.trains import Trains

if TYPE_CHECKING:
    from pathlib import Path

VERSION_3 = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, feature TEXT NOT NULL, ticket TEXT NOT NULL,
    attempt INTEGER NOT NULL, data TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL UNIQUE
);
CREATE TRIGGER IF NOT EXISTS events_are_final BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER IF NOT EXISTS events_are_kept BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TABLE IF NOT EXISTS features (
    id TEXT PRIMARY KEY, request TEXT NOT NULL, state TEXT NOT NULL, options TEXT NOT NULL, plan TEXT,
    target TEXT NOT NULL, before TEXT NOT NULL, generation INTEGER NOT NULL, outcome TEXT, created_at TEXT NOT NULL, ended_at TEXT
);
CREATE TABLE IF NOT EXISTS tickets (
    id TEXT PRIMARY KEY, feature TEXT NOT NULL, revision INTEGER NOT NULL, record TEXT NOT NULL, sha256 TEXT NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL, base TEXT, head TEXT, landed TEXT, verdict TEXT, worktree TEXT,
    spend_usd REAL NOT NULL, forgiven INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS revisions (ticket TEXT NOT NULL, revision INTEGER NOT NULL, record TEXT NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (ticket, revision));
CREATE TABLE IF NOT EXISTS attempts (
    ticket TEXT NOT NULL, number INTEGER NOT NULL, base TEXT NOT NULL, start TEXT NOT NULL, state TEXT NOT NULL,
    outcome TEXT, changes TEXT, PRIMARY KEY (ticket, number)
);
CREATE TABLE IF NOT EXISTS verdicts (key TEXT PRIMARY KEY, verdict TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS reports (
    sha256 TEXT PRIMARY KEY, ticket TEXT NOT NULL, attempt INTEGER NOT NULL, pass TEXT NOT NULL, verdict TEXT NOT NULL,
    report TEXT NOT NULL, created_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS grants (
    id TEXT PRIMARY KEY, ticket TEXT NOT NULL, identity TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
    bound TEXT NOT NULL, why TEXT NOT NULL, state TEXT NOT NULL, person TEXT NOT NULL, reason TEXT NOT NULL,
    asked_at TEXT NOT NULL, expires_at TEXT NOT NULL, landed TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS spending (
    id INTEGER PRIMARY KEY, purpose TEXT NOT NULL, agent TEXT NOT NULL, feature TEXT NOT NULL, ticket TEXT NOT NULL,
    attempt INTEGER NOT NULL, day TEXT NOT NULL, owner TEXT NOT NULL, state TEXT NOT NULL,
    reserved_usd INTEGER NOT NULL, reserved_tokens INTEGER NOT NULL, used_usd INTEGER NOT NULL, used_tokens INTEGER NOT NULL,
    measured INTEGER NOT NULL, note TEXT NOT NULL, begun_at TEXT NOT NULL, settled_at TEXT
);
CREATE INDEX IF NOT EXISTS spending_by_feature ON spending (feature, ticket);
CREATE INDEX IF NOT EXISTS spending_by_day ON spending (day);
CREATE INDEX IF NOT EXISTS spending_by_ticket ON spending (ticket, attempt);
CREATE INDEX IF NOT EXISTS grants_by_ticket ON grants (ticket);
CREATE INDEX IF NOT EXISTS events_by_feature ON events (feature, seq);
CREATE INDEX IF NOT EXISTS tickets_by_feature ON tickets (feature);
CREATE INDEX IF NOT EXISTS reports_by_ticket ON reports (ticket, attempt, pass);
"""
EVENTS = 7


def old_database(file: Path) -> None:
    """Write a file as version 3 did, with its own hashes."""
    file.parent.mkdir(parents=True)
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(f"{VERSION_3} PRAGMA user_version = 3;")
        previous = GENESIS
        for seq in range(1, EVENTS + 1):
            data = json.dumps({"n": seq, "é": "\udce9"}, sort_keys=True)
            row = (seq, "2026-01-01T00:00:00.000+00:00", "note", "F-0001", "T-0001", 1, data, previous)
            previous = hashlib.sha256(json.dumps(row, default=repr).encode()).hexdigest()
            connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, previous))
        feature = ("F-0001", "the request", "ended", "{}", None, "main", "a" * 40, 1, None, "then", None)
        connection.execute("INSERT INTO features VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", feature)
        for number, sha256 in enumerate(("zz", "mm", "aa")):
            row_of_report = (sha256, "T-0001", 1, "worktree", "pass", json.dumps({"number": number}), "then")
            connection.execute("INSERT INTO reports VALUES (?, ?, ?, ?, ?, ?, ?)", row_of_report)
        connection.commit()


def test_a_file_of_version_3_is_taken_over_with_all_that_is_in_it(tmp_path: Path) -> None:
    database = Database(tmp_path / "state")
    old_database(database.file)
    records = Records(database)
    assert [row.request for row in records.features()] == ["the request"]
    assert [report["number"] for report in records.reports("T-0001")] == [0, 1, 2]
    assert verify(database).events == EVENTS
    assert verify(database).broken_at is None
    assert Trains(database).join("T-0001", "main", attempt=1, head="a" * 40) == 1
    assert database.connection().execute("PRAGMA user_version").fetchone()[0] == VERSION
    database.close()


def test_an_old_chain_goes_on_with_new_events_and_is_checked_to_its_end(tmp_path: Path) -> None:
    database = Database(tmp_path / "state")
    old_database(database.file)
    with database.transaction() as connection:
        append(connection, "note", About(feature="F-0001"), {})
    assert (verify(database).events, verify(database).broken_at) == (EVENTS + 1, None)
    database.connection().execute("DROP TRIGGER events_are_final")
    database.connection().execute("UPDATE events SET kind = 'other' WHERE seq = 3")
    assert verify(database).broken_at == 3
    database.close()


def test_what_was_there_before_the_journal_is_restored_too(tmp_path: Path) -> None:
    database = Database(tmp_path / "state")
    old_database(database.file)
    Records(database).add_feature("a later one", options={}, target="main", before="b" * 40)
    assert differences(database) == []
    events = list(read(database))
    database.close()
    database.file.unlink()
    assert restore(database).replay.lost == 0
    assert list(read(database)) == events
    assert [row.request for row in Records(database).features()] == ["the request", "a later one"]
    database.close()
