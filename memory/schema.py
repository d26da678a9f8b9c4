"""The tables of a repository's records: written once for SQLite, and said to PostgreSQL in its own words."""

from __future__ import annotations

import re

VERSION = 4
TABLES = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, feature TEXT NOT NULL, ticket TEXT NOT NULL,
    attempt INTEGER NOT NULL, data TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL UNIQUE
);
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
CREATE TABLE IF NOT EXISTS claims (
    name TEXT PRIMARY KEY, owner TEXT NOT NULL, fence INTEGER NOT NULL, boot TEXT NOT NULL, until REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS cars (
    ticket TEXT PRIMARY KEY, target TEXT NOT NULL, attempt INTEGER NOT NULL, head TEXT NOT NULL, seq INTEGER NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL, joined_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS predictions (
    key TEXT PRIMARY KEY, target TEXT NOT NULL, changes TEXT NOT NULL, tree TEXT NOT NULL, verdict TEXT NOT NULL,
    blamed TEXT NOT NULL, reports TEXT NOT NULL, at TEXT NOT NULL, seconds REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS trains (target TEXT PRIMARY KEY, shown TEXT, record TEXT, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS journal (one INTEGER PRIMARY KEY, position INTEGER NOT NULL, segment INTEGER NOT NULL);
"""
INDEXES = """
CREATE INDEX IF NOT EXISTS spending_by_feature ON spending (feature, ticket);
CREATE INDEX IF NOT EXISTS spending_by_day ON spending (day);
CREATE INDEX IF NOT EXISTS spending_by_ticket ON spending (ticket, attempt);
CREATE INDEX IF NOT EXISTS grants_by_ticket ON grants (ticket);
CREATE INDEX IF NOT EXISTS events_by_feature ON events (feature, seq);
CREATE INDEX IF NOT EXISTS events_by_ticket ON events (ticket, seq);
CREATE INDEX IF NOT EXISTS tickets_by_feature ON tickets (feature, state);
CREATE INDEX IF NOT EXISTS features_by_state ON features (state);
CREATE INDEX IF NOT EXISTS reports_by_ticket ON reports (ticket, attempt, pass);
CREATE INDEX IF NOT EXISTS cars_by_target ON cars (target, seq);
CREATE INDEX IF NOT EXISTS predictions_by_target ON predictions (target, at);
"""
BEFORE = """
DROP INDEX IF EXISTS tickets_by_feature;
"""
"""It lacked the state up to version 3, and is made anew under its name."""
REPORTS_IN_ORDER = """
ALTER TABLE reports ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
UPDATE reports SET seq = rowid;
"""
"""Since version 4 the order of reports is a column: PostgreSQL has no `rowid`."""
SQLITE_RULES = """
CREATE TRIGGER IF NOT EXISTS events_are_final BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER IF NOT EXISTS events_are_kept BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
"""
_POSTGRES_RULES = """
ALTER TABLE reports ADD COLUMN IF NOT EXISTS seq BIGINT NOT NULL DEFAULT 0;
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'events are append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$;
DROP TRIGGER IF EXISTS events_are_append_only ON events;
CREATE TRIGGER events_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


def for_postgres() -> str:
    """Give statements that can be repeated."""
    # amounts are millionths of a dollar: they outgrow 32 bits
    tables = re.sub(r"\bINTEGER\b", "BIGINT", TABLES).replace(" REAL ", " DOUBLE PRECISION ")
    return f"{tables}{_POSTGRES_RULES}{INDEXES}"
