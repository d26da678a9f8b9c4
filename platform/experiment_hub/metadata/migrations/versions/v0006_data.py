"""Dataset manifests and uses of hidden splits."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "dataset_versions",
        sa.Column("hash", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("manifest", sa.JSON(), nullable=False),
        sa.Column("parent_hash", sa.String()),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.UniqueConstraint("name", "version"),
    )
    op.create_index("dataset_versions_by_name", "dataset_versions", ["name"])
    op.create_index("dataset_versions_by_fingerprint", "dataset_versions", ["fingerprint"])
    op.create_table(
        "holdout_uses",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("dataset_hash", sa.String(), nullable=False),
        sa.Column("split", sa.String(), nullable=False),
        sa.Column("split_hash", sa.String(), nullable=False),
        sa.Column("evaluation_id", sa.String()),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
    )
    op.create_index("holdout_uses_by_split", "holdout_uses", ["dataset_hash", "split"])


def downgrade() -> None:
    op.drop_table("holdout_uses")
    op.drop_table("dataset_versions")
