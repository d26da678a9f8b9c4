"""Projects, kinds and summaries of runs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("runs") as batch:
        batch.add_column(sa.Column("project", sa.String(), nullable=False, server_default="default"))
        batch.add_column(sa.Column("kind", sa.String(), nullable=False, server_default="train"))
        batch.add_column(sa.Column("notes", sa.String()))
        batch.add_column(sa.Column("parent_id", sa.String()))
        batch.add_column(sa.Column("job_id", sa.String()))
        batch.add_column(sa.Column("process_boot", sa.String()))
        batch.add_column(sa.Column("summary", sa.JSON()))
        batch.add_column(sa.Column("inputs", sa.JSON()))
        batch.alter_column("seed", existing_type=sa.Integer(), type_=sa.BigInteger(), nullable=True)
    op.create_index("runs_by_project", "runs", ["project", "created_at"])
    op.create_index("runs_by_job", "runs", ["job_id"])
    op.create_index("runs_by_time", "runs", ["created_at", "id"])
    op.create_table(
        "run_parameters",
        sa.Column("run_id", sa.String(), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("number", sa.Double()),
        sa.Column("text", sa.String(), nullable=False),
    )
    op.create_index("run_parameters_by_number", "run_parameters", ["name", "number"])
    op.create_index("run_parameters_by_text", "run_parameters", ["name", "text"])
    op.create_table(
        "run_metrics",
        sa.Column("run_id", sa.String(), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("last", sa.Double()),
        sa.Column("odd", sa.String()),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("minimum", sa.Double()),
        sa.Column("maximum", sa.Double()),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer()),
    )
    op.create_index("run_metrics_by_last", "run_metrics", ["name", "last"])
    op.create_table(
        "run_tags",
        sa.Column("run_id", sa.String(), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("tag", sa.String(), primary_key=True),
    )
    op.create_index("run_tags_by_tag", "run_tags", ["tag"])


def downgrade() -> None:
    op.drop_table("run_tags")
    op.drop_table("run_metrics")
    op.drop_table("run_parameters")
    op.drop_index("runs_by_job", "runs")
    op.drop_index("runs_by_time", "runs")
    op.drop_index("runs_by_project", "runs")
    op.execute("UPDATE runs SET seed = 0 WHERE seed IS NULL")
    with op.batch_alter_table("runs") as batch:
        batch.alter_column("seed", existing_type=sa.BigInteger(), type_=sa.Integer(), nullable=False)
        for name in ("inputs", "summary", "process_boot", "job_id", "parent_id", "notes", "kind", "project"):
            batch.drop_column(name)
