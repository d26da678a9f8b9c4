"""A database in a folder of its own, and code run by other processes on it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from demo_project import ROOT
from memory.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import postgres

ON_BOTH = ("test_records", "test_ledger", "test_claims", "test_trains")
"""Modules whose tests hold for both kinds of database."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database" in metafunc.fixturenames and metafunc.module.__name__.endswith(ON_BOTH):
        kinds = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
        metafunc.parametrize("database", kinds, indirect=True)


@dataclass(frozen=True)
class Others:
    """Starts Python code as processes of their own; the fields say where the database is."""

    folder: Path
    url: str = ""
    project: str = ""

    def start(self, code: str, *arguments: str, stdin: int | None = None) -> subprocess.Popen[str]:
        head = "import os, sys\nfrom pathlib import Path\nfrom memory.database import Database\nfrom memory.records import Records\n"
        head += "from memory.events import About, append\n"
        head += (
            "database = Database(Path(sys.argv[1]), url=os.environ['STATE_URL'], project=os.environ['STATE_PROJECT'])\n"
        )
        environment = {
            "PYTHONPATH": str(ROOT),
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONDONTWRITEBYTECODE": "1",
            "STATE_URL": self.url,
            "STATE_PROJECT": self.project,
        }
        return subprocess.Popen(
            [sys.executable, "-c", head + code, str(self.folder), *arguments],
            env=environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str, *, count: int) -> list[str]:
        """Run the code in so many processes at once; give what each printed."""
        started = [self.start(code, str(number)) for number in range(count)]
        printed = []
        for process in started:
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
            printed.append(out)
        return printed


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    postgres = pytest.importorskip("postgres", reason="the driver of PostgreSQL is not installed")
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL is not installed here; CI has it")
    with postgres.server() as running:
        yield running


@pytest.fixture(scope="session")
def url(postgres_server: postgres.Server) -> str:
    """Of a database on a real server; each test has a project, and so a schema, of its own there."""
    return postgres_server.new_database()


@pytest.fixture
def project() -> str:
    return f"project {secrets.token_hex(6)}"


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path, project: str) -> Iterator[Database]:
    shared = getattr(request, "param", "sqlite") == "postgresql"
    made = Database(tmp_path / "state", url=request.getfixturevalue("url") if shared else "", project=project)
    yield made
    made.close()


@pytest.fixture
def others(request: pytest.FixtureRequest, database: Database, tmp_path: Path, project: str) -> Others:
    return Others(tmp_path / "state", request.getfixturevalue("url") if database.shared else "", project)


@pytest.fixture
def write(database: Database) -> Callable[..., None]:
    """Change the database behind the back of its owner: the triggers are taken away first."""
    if database.shared:
        pytest.skip("written in the words of SQLite")

    def change(statement: str, *values: object) -> None:
        connection = database.connection()
        connection.execute("DROP TRIGGER IF EXISTS events_are_final")
        connection.execute("DROP TRIGGER IF EXISTS events_are_kept")
        connection.execute(statement, values)

    return change
