"""Evaluations."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "evaluations",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("run_id", sa.String()),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("dataset_hash", sa.String(), nullable=False),
        sa.Column("split", sa.String(), nullable=False),
        sa.Column("split_hash", sa.String(), nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("outputs_hash", sa.String(), nullable=False),
        sa.Column("source_hash", sa.String()),
        sa.Column("created_at", sa.String(), nullable=False),
    )
    op.create_index("evaluations_by_run", "evaluations", ["run_id"])
    op.create_index("evaluations_by_digest", "evaluations", ["digest"])


def downgrade() -> None:
    op.drop_table("evaluations")
