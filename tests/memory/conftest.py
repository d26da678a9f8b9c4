"""A database in a folder of its own, and code run by other processes on it."""

from __future__ import annotations

import os
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


@dataclass(frozen=True)
class Others:
    """Starts Python code as processes of their own; `folder` is where the database is."""

    folder: Path

    def start(self, code: str, *arguments: str) -> subprocess.Popen[str]:
        head = "import sys\nfrom pathlib import Path\nfrom memory.database import Database\nfrom memory.records import Records\n"
        head += "from memory.events import About, append\ndatabase = Database(Path(sys.argv[1]))\n"
        environment = {
            "PYTHONPATH": str(ROOT),
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.Popen(
            [sys.executable, "-c", head + code, str(self.folder), *arguments],
            env=environment,
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


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "state")
    yield made
    made.close()


@pytest.fixture
def others(database: Database) -> Others:
    return Others(database.file.parent)


@pytest.fixture
def write(database: Database) -> Callable[..., None]:
    """Change the database behind the back of its owner: the triggers are taken away first."""

    def change(statement: str, *values: object) -> None:
        connection = database.connection()
        connection.execute("DROP TRIGGER IF EXISTS events_are_final")
        connection.execute("DROP TRIGGER IF EXISTS events_are_kept")
        connection.execute(statement, values)

    return change
