"""Artifacts by content."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "artifacts",
        sa.Column("digest", sa.String(), primary_key=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("removals", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.Column("touched_at", sa.String(), nullable=False),
        sa.Column("condemned_at", sa.String()),
    )
    op.create_index("artifacts_by_state", "artifacts", ["state"])
    op.create_table(
        "artifact_parts",
        sa.Column("folder", sa.String(), sa.ForeignKey("artifacts.digest"), primary_key=True),
        sa.Column("digest", sa.String(), sa.ForeignKey("artifacts.digest"), primary_key=True),
    )
    op.create_index("artifact_parts_by_digest", "artifact_parts", ["digest"])
    op.create_table(
        "artifact_owner",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("token", sa.String(), nullable=False),
    )
    op.create_table(
        "artifact_links",
        sa.Column("owner_kind", sa.String(), primary_key=True),
        sa.Column("owner", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("digest", sa.String(), sa.ForeignKey("artifacts.digest"), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("keep", sa.String(), nullable=False),
        sa.Column("created_at", sa.String(), nullable=False),
    )
    op.create_index("artifact_links_by_digest", "artifact_links", ["digest"])


def downgrade() -> None:
    op.drop_table("artifact_links")
    op.drop_table("artifact_owner")
    op.drop_table("artifact_parts")
    op.drop_table("artifacts")
