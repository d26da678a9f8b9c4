"""The model registry."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "registered_models",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("created_at", sa.String(), nullable=False),
    )
    op.create_table(
        "model_versions",
        sa.Column("model", sa.String(), sa.ForeignKey("registered_models.name"), primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("digest", sa.String(), sa.ForeignKey("artifacts.digest"), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), sa.ForeignKey("runs.id")),
        sa.Column("dataset_hash", sa.String()),
        sa.Column("git_commit", sa.String()),
        sa.Column("notes", sa.String()),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.String(), nullable=False),
    )
    op.create_index("model_versions_by_digest", "model_versions", ["digest"])
    in_production = sa.text("stage = 'production'")
    op.create_index(
        "one_version_in_production",
        "model_versions",
        ["model"],
        unique=True,
        sqlite_where=in_production,
        postgresql_where=in_production,
    )
    op.create_table(
        "model_aliases",
        sa.Column("model", sa.String(), sa.ForeignKey("registered_models.name"), primary_key=True),
        sa.Column("alias", sa.String(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("moved_at", sa.String(), nullable=False),
    )
    op.create_table(
        "model_events",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("model", sa.String(), sa.ForeignKey("registered_models.name"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("before", sa.Integer()),
        sa.Column("after", sa.Integer()),
        sa.Column("moves", sa.JSON(), nullable=False),
        sa.Column("undone_by", sa.Integer()),
        sa.Column("evaluation_id", sa.String()),
        sa.Column("reason", sa.String()),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
    )
    op.create_index("model_events_by_model", "model_events", ["model"])


def downgrade() -> None:
    op.drop_table("model_events")
    op.drop_table("model_aliases")
    op.drop_table("model_versions")
    op.drop_table("registered_models")
