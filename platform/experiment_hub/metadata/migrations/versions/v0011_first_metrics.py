"""The first versions of the metrics that the hub began with."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

LIKELIHOOD = "-ln softmax(outputs)[target]"
ROWS = (
    {
        "name": "accuracy",
        "unit": "fraction",
        "direction": "max",
        "formula": "mean over targets of [argmax(outputs) = target]; the first of equal maxima counts",
        "source": "Bishop: Pattern Recognition and Machine Learning (2006), section 1.5.1",
        "definition_hash": "2da2088804a0bfada151d01dacdfc830618a24b79e379e809f9d20f461918231",
    },
    {
        "name": "loss",
        "unit": "nat",
        "direction": "min",
        "formula": f"mean over targets of {LIKELIHOOD}",
        "source": "Goodfellow, Bengio, Courville: Deep Learning (2016), section 6.2.1",
        "definition_hash": "1d2304e31b90530b1cdb6163bf5cab419ef6a890f8a1cf7d1626ece4cf1344d2",
    },
    {
        "name": "perplexity",
        "unit": "tokens",
        "direction": "min",
        "formula": f"exp(mean over targets of {LIKELIHOOD})",
        "source": "Jelinek, Mercer, Bahl, Baker: Perplexity (1977)",
        "definition_hash": "be23eeac038bca50d1b33790b5417adf19c5443d3b10e1bebc6e29810f88bc6f",
    },
)
COLUMNS = ("name", "unit", "direction", "formula", "aggregation", "source", "definition_hash", "added_at")
TABLE = sa.table("metric_versions", sa.column("version", sa.Integer), *(sa.column(each, sa.String) for each in COLUMNS))


def upgrade() -> None:
    known = {"version": 1, "aggregation": "mean", "added_at": "2026-11-21T00:00:00.000+00:00"}
    op.bulk_insert(TABLE, [{**row, **known} for row in ROWS])


def downgrade() -> None:
    op.execute(TABLE.delete().where(TABLE.c.name.in_([row["name"] for row in ROWS]), TABLE.c.version == 1))
