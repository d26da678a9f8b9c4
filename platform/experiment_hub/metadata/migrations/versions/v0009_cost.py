"""Estimates, approvals and the ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "estimates",
        sa.Column("hash", sa.String(), primary_key=True),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("rate", sa.JSON(), nullable=False),
        sa.Column("expected_usd", sa.Double(), nullable=False),
        sa.Column("worst_usd", sa.Double(), nullable=False),
        sa.Column("tier", sa.String(), nullable=False),
        sa.Column("created_at", sa.String(), nullable=False),
    )
    op.create_table(
        "approvals",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("estimate_hash", sa.String(), sa.ForeignKey("estimates.hash")),
        sa.Column("job_id", sa.String()),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("reason", sa.String()),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("expires_at", sa.String(), nullable=False),
        sa.Column("used_by", sa.String()),
    )
    op.create_index("approvals_by_estimate", "approvals", ["estimate_hash"])
    op.create_table(
        "cost_entries",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("usd", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double()),
        sa.Column("launcher", sa.String(), nullable=False),
        sa.Column("gpu", sa.String()),
        sa.Column("fan_out", sa.String()),
        sa.Column("estimate_hash", sa.String()),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
    )
    op.create_index("cost_entries_by_job", "cost_entries", ["job_id"])
    op.create_index("cost_entries_by_day", "cost_entries", ["day", "project"])
    paid = sa.text("kind IN ('spend', 'adjust')")
    once = ["job_id", "attempt", "kind"]
    op.create_index("cost_entries_once", "cost_entries", once, unique=True, sqlite_where=paid, postgresql_where=paid)
    op.create_table(
        "fan_outs",
        sa.Column("project", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("launcher", sa.String(), nullable=False),
        sa.Column("first_job", sa.String()),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("fan_outs")
    op.drop_table("cost_entries")
    op.drop_table("approvals")
    op.drop_table("estimates")
