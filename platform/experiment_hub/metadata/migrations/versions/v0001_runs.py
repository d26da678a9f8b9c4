"""Runs and their metrics."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.String(), primary_key=True),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("name", "state", "folder", "created_at", "host")),
        *(sa.Column(name, sa.String()) for name in ("error", "ended_at", "git_commit", "git_tree")),
        *(sa.Column(name, sa.String()) for name in ("source_hash", "dataset_hash")),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("seed", "pid")),
        *(sa.Column(name, sa.Integer()) for name in ("parameters_trainable", "parameters_total")),
        sa.Column("smoke", sa.Boolean(), nullable=False),
        sa.Column("git_dirty", sa.Boolean()),
        sa.Column("process_started", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double()),
        *(sa.Column(name, sa.JSON(), nullable=False) for name in ("config", "overrides", "resumes")),
        *(sa.Column(name, sa.JSON()) for name in ("environment", "extensions")),
        sa.CheckConstraint("state IN ('running', 'finished', 'failed', 'nan', 'killed')", name="known_state"),
    )
    op.create_index("runs_by_state", "runs", ["state"])
    op.create_table(
        "metric_values",
        sa.Column("run_id", sa.String(), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("epoch", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("split", sa.String(), primary_key=True),
        sa.Column("metric", sa.String(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("metric_values")
    op.drop_table("runs")
