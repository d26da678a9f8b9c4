"""The queue."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    _jobs()
    _around_jobs()
    _workers()


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String()),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Double(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("launcher", sa.String(), nullable=False),
        sa.Column("paid", sa.Boolean(), nullable=False),
        sa.Column("resources", sa.JSON(), nullable=False),
        sa.Column("gpus", sa.Integer(), nullable=False),
        sa.Column("gpu", sa.String()),
        sa.Column("cpus", sa.Double(), nullable=False),
        sa.Column("memory_mib", sa.Integer(), nullable=False),
        sa.Column("label", sa.String()),
        sa.Column("retries", sa.JSON(), nullable=False),
        sa.Column("timeout_s", sa.Double(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("worker_id", sa.String()),
        sa.Column("assigned", sa.JSON()),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("reference", sa.JSON()),
        sa.Column("wish", sa.String()),
        sa.Column("failure", sa.String()),
        sa.Column("exit_code", sa.Integer()),
        sa.Column("estimate_hash", sa.String()),
        sa.Column("fan_out", sa.String()),
        sa.Column("run_ids", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.Column("started_at", sa.String()),
        sa.Column("ended_at", sa.String()),
    )
    op.create_index("jobs_by_worker", "jobs", ["worker_id", "state"])
    op.create_index("jobs_to_claim", "jobs", ["state", "rank", "number"])
    op.create_index("jobs_by_number", "jobs", ["number"])
    op.create_index("jobs_by_fan_out", "jobs", ["fan_out"])


def _around_jobs() -> None:
    op.create_table(
        "job_dependencies",
        sa.Column("job_id", sa.String(), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("needs", sa.String(), sa.ForeignKey("jobs.id"), primary_key=True),
    )
    op.create_index("job_dependencies_by_needed", "job_dependencies", ["needs"])
    op.create_table(
        "job_leases",
        sa.Column("job_id", sa.String(), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
    )
    op.create_table(
        "job_events",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("job_id", sa.String(), sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
    )
    op.create_index("job_events_by_job", "job_events", ["job_id"])


def _workers() -> None:
    op.create_table(
        "named_leases",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("slot", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("job_id", sa.String()),
        sa.Column("token", sa.BigInteger(), nullable=False),
    )
    op.create_index("named_leases_by_job", "named_leases", ["job_id"])
    op.create_table(
        "workers",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("boot", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("process_started", sa.Double(), nullable=False),
        sa.Column("resources", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.Double(), nullable=False),
        sa.Column("started_at", sa.String(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("workers")
    op.drop_table("named_leases")
    op.drop_table("job_events")
    op.drop_table("job_leases")
    op.drop_table("job_dependencies")
    op.drop_table("jobs")
