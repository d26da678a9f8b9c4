from __future__ import annotations

from typing import TYPE_CHECKING

from gates.builtin.migrations import GATE
from gates.cases.migrations import ADD, ADD_NOTE, BASE, DROP, ENV, FOLDER, MODELS, NOTE, TABLES, TWO, revision

if TYPE_CHECKING:
    from tests.gates.conftest import Judge, MakeCase

ELSEWHERE = """from alembic import context
from sqlalchemy import create_engine

from app.metadata.tables import Base

with create_engine("sqlite://").begin() as own:
    context.configure(connection=own, target_metadata=Base.metadata)
    context.run_migrations()
"""


def test_what_differs_is_said_in_words(make_case: MakeCase, judge: Judge) -> None:
    verdict = judge.refused(GATE, make_case(BASE, {MODELS: TABLES + NOTE}), "migrations.schema")
    assert verdict.findings[0].message == "column runs.note stands in the models, and no revision makes it"
    assert [receipt.exit for receipt in verdict.receipts] == [0, 0]


def test_an_env_that_uses_a_database_of_its_own_is_undecided(make_case: MakeCase, judge: Judge) -> None:
    case = make_case({**BASE, f"{FOLDER}/env.py": ELSEWHERE}, {MODELS: TABLES + NOTE, TWO: ADD_NOTE})
    judge.undecided(GATE, case, "env.py did not use the database that it was given")


def test_a_revision_for_another_database_is_undecided(make_case: MakeCase, judge: Judge) -> None:
    other = revision("0002", "0001", f'{ADD}; op.alter_column("runs", "name", type_=sa.Text())', DROP)
    judge.undecided(GATE, make_case(BASE, {MODELS: TABLES + NOTE, TWO: other}), "need another database than SQLite")


def test_a_filter_that_comes_with_the_change_hides_nothing(make_case: MakeCase, judge: Judge) -> None:
    blind = ENV.replace("target_metadata", "include_name=lambda *_: False, target_metadata")
    judge.refused(GATE, make_case(BASE, {MODELS: TABLES + NOTE, f"{FOLDER}/env.py": blind}), "migrations.schema")


def test_a_classic_layout_with_alembic_ini_is_tried(make_case: MakeCase, judge: Judge) -> None:
    ini = f"[alembic]\nscript_location = {FOLDER}\nprepend_sys_path = .\nsqlalchemy.url = driver://user@host/db\n"
    judge.allowed(GATE, make_case({**BASE, "alembic.ini": ini}, {MODELS: TABLES + NOTE, TWO: ADD_NOTE}))


def test_what_cannot_be_imported_is_undecided(make_case: MakeCase, judge: Judge) -> None:
    broken = f"import no_such_module\n{TABLES}{NOTE}"
    judge.undecided(GATE, make_case(BASE, {MODELS: broken, TWO: ADD_NOTE}), "no_such_module")


def test_several_environments_and_no_revision_ask_which_is_meant(make_case: MakeCase, judge: Judge) -> None:
    other = {path.replace("app/", "web/"): text for path, text in BASE.items()}
    judge.undecided(GATE, make_case({**BASE, **other}, {MODELS: TABLES + NOTE}), "[migrations] script_location")
