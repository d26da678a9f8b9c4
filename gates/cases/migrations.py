"""Cases of the gate `migrations`: those that are decided by reading, and a few that try the revisions for real."""

from __future__ import annotations

from gates.example import Example

FOLDER = "app/migrations"
MODELS = "app/metadata/tables.py"
ONE, TWO = f"{FOLDER}/versions/v0001.py", f"{FOLDER}/versions/v0002.py"
TABLES = '''"""Tables."""
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Run(Base):
    __tablename__ = "runs"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
'''
NOTE = "    note: Mapped[str | None]\n"
ENV = """from alembic import context
from sqlalchemy import create_engine

from app.metadata.tables import Base

with create_engine(context.config.get_main_option("sqlalchemy.url")).begin() as own:
    connection = context.config.attributes.get("connection") or own
    context.configure(connection=connection, target_metadata=Base.metadata)
    context.run_migrations()
"""
ADD = 'op.add_column("runs", sa.Column("note", sa.String()))'
DROP = 'op.drop_column("runs", "note")'
MAKE_RUNS = (
    'op.create_table("runs", sa.Column("id", sa.String(), primary_key=True), '
    'sa.Column("name", sa.String(), nullable=False))'
)


def revision(name: str, down: str | None, up: str, back: str) -> str:
    """Give the text of a revision's file."""
    head = f"import sqlalchemy as sa\nfrom alembic import op\n\nrevision = {name!r}\ndown_revision = {down!r}\n"
    return f"{head}\n\ndef upgrade():\n    {up}\n\n\ndef downgrade():\n    {back}\n"


FIRST = revision("0001", None, MAKE_RUNS, 'op.drop_table("runs")')
ADD_NOTE = revision("0002", "0001", ADD, DROP)
BASE = {
    "app/__init__.py": "",
    "app/metadata/__init__.py": "",
    MODELS: TABLES,
    f"{FOLDER}/env.py": ENV,
    ONE: FIRST,
}

CASES = (
    Example(
        name="an existing revision edited to make the new column",
        base=BASE,
        change={MODELS: TABLES + NOTE, ONE: FIRST.replace("nullable=False))", 'nullable=False), sa.Column("note"))')},
        expects=("migrations.history",),
    ),
    Example(
        name="an existing revision deleted",
        base={**BASE, MODELS: TABLES + NOTE, TWO: ADD_NOTE},
        change={MODELS: TABLES, TWO: None},
        expects=("migrations.history",),
    ),
    Example(
        name="an existing revision renumbered",
        base=BASE,
        change={ONE: FIRST.replace("'0001'", "'0000'")},
        expects=("migrations.history",),
    ),
    Example(
        name="a second head",
        base={**BASE, MODELS: TABLES + NOTE, TWO: ADD_NOTE},
        change={f"{FOLDER}/versions/v0003.py": revision("0003", "0001", "pass", "pass")},
        expects=("migrations.heads",),
    ),
    Example(
        name="a second first revision",
        base=BASE,
        change={TWO: revision("0002", None, "pass", "pass")},
        expects=("migrations.heads",),
    ),
    Example(
        name="an id that another revision has",
        base={**BASE, MODELS: TABLES + NOTE, TWO: ADD_NOTE},
        change={f"{FOLDER}/versions/v0003.py": revision("0002", "0001", "pass", "pass")},
        expects=("migrations.duplicate",),
    ),
    Example(
        name="a revision that computes its id",
        base=BASE,
        change={MODELS: TABLES + NOTE, TWO: ADD_NOTE.replace("revision = '0002'", "revision = str(2).zfill(4)")},
        undecided="does not name its revision",
    ),
    Example(
        name="a revision that cannot be parsed",
        base=BASE,
        change={MODELS: TABLES + NOTE, TWO: f"{ADD_NOTE}\ndef (\n"},
        undecided="is not valid Python",
    ),
    Example(
        name="a column in the models and no revision",
        base=BASE,
        change={MODELS: TABLES + NOTE},
        expects=("migrations.schema",),
        runs=True,
        needs=("alembic",),
    ),
    Example(
        name="a revision that makes the column mandatory",
        base=BASE,
        change={
            MODELS: TABLES + NOTE,
            TWO: ADD_NOTE.replace("sa.String()", 'sa.String(), nullable=False, server_default=""'),
        },
        expects=("migrations.schema", "migrations.schema"),
        runs=True,
        needs=("alembic",),
    ),
    Example(
        name="a downgrade that does nothing",
        base=BASE,
        change={MODELS: TABLES + NOTE, TWO: revision("0002", "0001", ADD, "pass")},
        expects=("migrations.downgrade",),
        runs=True,
        needs=("alembic",),
    ),
    Example(
        name="a revision that fails",
        base=BASE,
        change={MODELS: TABLES + NOTE, TWO: revision("0002", "0001", f"{ADD}; {ADD}", DROP)},
        expects=("migrations.upgrade",),
        runs=True,
        needs=("alembic",),
    ),
    Example(
        name="a column with its revision, both ways",
        base=BASE,
        change={MODELS: TABLES + NOTE, TWO: ADD_NOTE},
        runs=True,
        needs=("alembic",),
    ),
    Example(
        name="a column for which a difference of the base is no excuse and no accusation",
        base={**BASE, MODELS: f"{TABLES}    old: Mapped[str | None]\n"},
        change={MODELS: f"{TABLES}    old: Mapped[str | None]\n{NOTE}", TWO: ADD_NOTE},
        runs=True,
        needs=("alembic",),
    ),
    Example(
        name="models explained and formatted anew",
        base=BASE,
        change={MODELS: TABLES.replace('"""Tables."""', '"""All tables."""').replace("[str]\n", "[str]  # shown\n")},
    ),
    Example(
        name="a comment in an existing revision",
        base=BASE,
        change={ONE: f"# the very first one\n{FIRST}"},
    ),
    Example(
        name="an existing revision's file renamed",
        base=BASE,
        change={ONE: None, f"{FOLDER}/versions/0001_runs.py": FIRST},
    ),
    Example(
        name="models of a repository without Alembic",
        base={MODELS: TABLES},
        change={MODELS: TABLES + NOTE},
    ),
    Example(
        name="nothing that concerns the database",
        base=BASE,
        change={"app/shown.py": "def shown():\n    return 1\n"},
    ),
)
