from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from memory import embedded
from memory.embedded import settle
from memory.workflows import FILE, engine
from tickets.errors import EnvironmentFailure

if TYPE_CHECKING:
    from pathlib import Path


class Stubborn(sqlite3.Connection):
    """A real connection that answers one question as a file system without locks or shared memory makes SQLite answer."""

    answers: tuple[str, object] = ("", None)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        begins, answer = self.answers
        if begins and sql.startswith(begins):
            return super().execute("SELECT ?", (answer,))
        return super().execute(sql, parameters)


def opened(file: Path) -> Stubborn:
    return sqlite3.connect(file, factory=Stubborn, isolation_level=None)


@pytest.mark.parametrize(
    ("version", "mode"), [((3, 40, 1), "delete"), ((3, 51, 2), "delete"), ((3, 51, 3), "wal"), ((3, 53, 0), "wal")]
)
def test_a_log_is_used_only_where_it_loses_nothing(
    version: tuple[int, int, int], mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    with closing(opened(tmp_path / "x.sqlite")) as connection:
        settle(connection, "x")
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == mode
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == embedded._EXTRA  # noqa: SLF001 - what is promised


@pytest.mark.parametrize("answers", [("PRAGMA journal_mode", "off"), ("PRAGMA synchronous", 1)])
def test_a_place_where_writes_cannot_be_made_safe_is_refused(answers: tuple[str, object], tmp_path: Path) -> None:
    with closing(opened(tmp_path / "x.sqlite")) as connection:
        connection.answers = answers
        with pytest.raises(
            EnvironmentFailure, match=r"x cannot be made to survive a power cut here: .*network file system"
        ):
            settle(connection, "x")


def test_the_engine_s_file_is_as_safe_as_the_records(tmp_path: Path) -> None:
    made = engine(tmp_path)
    with made.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 3
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == embedded.BUSY_S * 1000
    made.dispose()


@pytest.mark.parametrize("content", [b"no database at all" * 300, b"SQLite format 3\0" + b"\xff" * 8192])
def test_a_damaged_file_of_the_engine_is_set_aside(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)
    made = engine(tmp_path)
    with made.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    made.dispose()
    (aside,) = tmp_path.glob(f"{FILE}.damaged-*")
    assert aside.read_bytes() == content


def test_a_sound_file_of_the_engine_stays(tmp_path: Path) -> None:
    for _ in range(2):
        made = engine(tmp_path)
        with made.connect() as connection:
            connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS t (x)")
            connection.exec_driver_sql("INSERT INTO t VALUES (1)")
            connection.commit()
        made.dispose()
    with closing(sqlite3.connect(tmp_path / FILE)) as found:
        assert found.execute("SELECT COUNT(*) FROM t").fetchone()[0] == 2
