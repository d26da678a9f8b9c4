from __future__ import annotations

import errno
import os
import sqlite3
from typing import TYPE_CHECKING

import pytest

from orchestrator.mishaps import refusal

if TYPE_CHECKING:
    from pathlib import Path


def raised(place: str) -> Exception:
    """Give the error of a database that cannot be opened, as an engine above it passes it on."""
    try:
        try:
            sqlite3.connect(place).execute("CREATE TABLE t (x)")
        except sqlite3.Error as error:
            raise RuntimeError("the engine stumbled") from error
    except RuntimeError as error:
        return error
    raise AssertionError(place)


def test_what_the_machine_refused_is_told_whoever_passes_it_on(tmp_path: Path) -> None:
    assert refusal(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) == "[Errno 28] No space left on device"
    assert refusal(MemoryError()) == "there is not enough memory"
    assert refusal(raised(str(tmp_path / "nowhere" / "x.sqlite"))) == "unable to open database file"


@pytest.mark.parametrize(
    "error", [FileNotFoundError(errno.ENOENT, "gone"), ValueError("wrong"), sqlite3.ProgrammingError("x")]
)
def test_what_may_be_our_own_doing_stays_a_defect(error: Exception) -> None:
    assert refusal(error) == ""


def test_a_damaged_database_is_not_our_defect(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"no database at all" * 99)
    assert refusal(raised(str(tmp_path / "x"))) == "file is not a database"


def test_a_statement_that_is_wrong_is_our_defect() -> None:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("SELECT * FROM nothing")
    connection.close()
    assert refusal(caught.value) == ""
