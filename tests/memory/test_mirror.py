from __future__ import annotations

import json
import resource
import signal
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from memory import mirror as mirror_module
from memory.database import Database
from memory.events import About, append, read, verify
from memory.mirror import entries
from memory.records import Records
from memory.restore import JournalError, differences, restore
from memory.trains import Trains
from tickets.errors import EnvironmentFailure, InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.memory.conftest import Others

WRITE_FOREVER = """
records = Records(database)
for index in range(100_000):
    print(records.add_feature(f"request {index}", options={}, target="main", before="0" * 40), flush=True)
"""


def fill(database: Database, count: int = 6, word: str = "request") -> None:
    records = Records(database)
    for index in range(count):
        feature = records.add_feature(f"{word} {index} é", options={"n": index}, target="main", before="a" * 40)
        records.set_feature(feature, "ended", outcome={"outcome": "landed"})
        records.put(f"{word}-{index}", {"verdict": "pass"})


def content(file: Path) -> dict[str, list[Any]]:
    """Give everything that a database holds, but for what is never journalled."""
    with closing(sqlite3.connect(file)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        # SQLite itself does not tell names apart by their case
        return {
            name.lower(): sorted(connection.execute(f"SELECT * FROM {name}"))  # noqa: S608 - our own tables
            for name in names
            if name != "journal"
        }


def reopened(database: Database) -> Database:
    database.close()
    return Database(database.file.parent)


def rotated(database: Database) -> None:
    """Begin the next segment, on a copy, as a long journal does."""
    connection = database.connection()
    number = connection.execute("SELECT segment FROM journal").fetchone()[0]
    assert isinstance(connection, sqlite3.Connection)
    database.mirror.renew(connection, number)


def test_every_transaction_is_a_line_of_json_with_all_that_it_wrote(database: Database) -> None:
    fill(database, 1)
    lines = [json.loads(line) for line in database.mirror.segment(1).read_text().splitlines() if line]
    assert [line["entry"]["n"] for line in lines] == [1, 2, 3]
    assert all(set(line) == {"sha256", "entry"} for line in lines)
    assert "feature.asked" in json.dumps(lines[0])


def test_reading_and_what_fails_are_not_in_the_journal(database: Database) -> None:
    fill(database, 1)

    def fail() -> None:
        with database.transaction() as connection:
            append(connection, "note", About(), {})
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    with database.transaction() as connection:
        connection.execute("SELECT 1 FROM events").fetchone()
    assert [entry["n"] for entry in entries(database.mirror.segment(1))] == [1, 2, 3]


def damage_deleted(file: Path) -> None:
    file.unlink()


def damage_emptied(file: Path) -> None:
    file.write_bytes(b"")


def damage_truncated(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def damage_garbage(file: Path) -> None:
    file.write_bytes(b"\0" * file.stat().st_size)


def damage_page(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[8192:8200] = b"\xff" * 8
    file.write_bytes(data)


@pytest.mark.parametrize("rotations", [0, 1, 3])
@pytest.mark.parametrize("damage", [damage_deleted, damage_emptied, damage_truncated, damage_garbage, damage_page])
def test_a_lost_database_is_noticed_and_made_anew(
    damage: Callable[[Path], None], rotations: int, database: Database
) -> None:
    for turn in range(rotations):
        fill(database, 2, f"turn {turn}")
        rotated(database)
    fill(database)
    database.close()
    before = content(database.file)
    damage(database.file)
    lost = Database(database.file.parent)
    lost.mirror.suspect()  # the run before was cut off
    assert lost.exists
    with pytest.raises(EnvironmentFailure, match="orchestrate log --restore"):
        lost.check()
    restored = restore(lost)
    assert restored.replay.lost == 0
    assert "nothing is missing" in str(restored.replay)
    assert content(lost.file) == before
    assert [path.name.startswith("signalbox.sqlite") for path in restored.aside] == [True] * len(restored.aside)
    lost.check()
    fill(lost, 1, "afterwards")
    assert verify(lost).broken_at is None
    assert differences(lost) == []
    lost.close()


def flipped(file: Path, place: int) -> None:
    with file.open("r+b") as stream:
        stream.seek(place)
        byte = stream.read(1)[0]
        stream.seek(place)
        stream.write(bytes([byte ^ 0x20]))


@pytest.mark.parametrize("damage", [damage_deleted, damage_emptied, damage_truncated, damage_garbage])
def test_what_is_cut_off_or_written_over_is_noticed_after_a_run_that_ended_well(
    damage: Callable[[Path], None], database: Database
) -> None:
    with database.at_work():
        fill(database)
    database.check()
    database.close()
    damage(database.file)
    with pytest.raises(EnvironmentFailure, match="orchestrate log --restore"):
        Database(database.file.parent).check()


def test_every_page_is_read_where_the_run_before_did_not_end_well(database: Database) -> None:
    fill(database)
    with pytest.raises(KeyboardInterrupt), database.at_work():
        raise KeyboardInterrupt
    database.close()
    damage_page(database.file)
    with pytest.raises(EnvironmentFailure, match="is damaged: "):
        Database(database.file.parent).check()
    assert database.mirror.doubt.exists()


def noticed(database: Database) -> bool:
    """Say whether any of the checks complains."""
    database.mirror.suspect()
    try:
        database.check()
        return verify(database).broken_at is not None or bool(differences(database))
    except (EnvironmentFailure, InputError):
        return True
    finally:
        database.close()


@pytest.mark.parametrize("step", [pytest.param(9973, id="some"), pytest.param(997, id="many", marks=pytest.mark.long)])
def test_a_flipped_byte_is_noticed_or_changes_nothing(step: int, database: Database) -> None:
    fill(database)
    database.close()
    sound, whole = content(database.file), database.file.read_bytes()
    complaints = 0
    for place in range(17, len(whole), step):
        database.file.write_bytes(whole)
        flipped(database.file, place)
        found = noticed(Database(database.file.parent))
        complaints += found
        assert found or content(database.file) == sound, place
    assert complaints


def test_a_changed_row_that_no_hash_covers_is_named(database: Database) -> None:
    fill(database)
    database.connection().execute("UPDATE features SET request = 'another' WHERE id = 'F-0002'")
    database.check()
    assert verify(database).broken_at is None
    assert differences(database) == ["features: 1 rows differ from what was written"]


def test_an_older_copy_put_in_its_place_is_noticed(database: Database) -> None:
    fill(database, 2)
    database.close()
    old = database.file.read_bytes()
    fill(database, 2, "later")
    before = content(database.file)
    database.close()
    database.file.write_bytes(old)
    with pytest.raises(EnvironmentFailure, match="lacks 6 transactions that its journal knows"):
        Database(database.file.parent).check()
    restore(database)
    assert content(database.file) == before


def test_a_torn_line_is_passed_over_and_its_number_used_again(database: Database) -> None:
    fill(database, 1)
    with database.mirror.segment(1).open("ab") as stream:
        stream.write(b'\n{"sha256":"00","entry":{"n":4,"writ')
    fill(database, 1, "later")
    before = content(database.file)
    database.close()
    database.file.unlink()
    assert restore(database).replay.lost == 0
    assert content(database.file) == before


def test_a_line_that_was_never_committed_is_no_difference_and_its_number_is_used_again(database: Database) -> None:
    fill(database, 1)
    write = ("UPDATE features SET state = 'x'", ())
    database.mirror._add(1, {"n": 4, "writes": [write]})  # noqa: SLF001 - as a kill between the sync and the commit leaves it
    database.check()
    assert differences(database) == []
    fill(database, 1, "later")
    before = content(database.file)
    database.close()
    database.file.unlink()
    restore(database)
    assert content(database.file) == before


def test_a_transaction_whose_commit_failed_is_not_restored(database: Database) -> None:
    fill(database, 1)
    connection = database.connection()

    def full(sql: str) -> int:
        return sqlite3.SQLITE_DENY if sql == "COMMIT" else sqlite3.SQLITE_OK

    assert isinstance(connection, sqlite3.Connection)
    connection.set_authorizer(lambda action, name, *_: full(name) if action == sqlite3.SQLITE_TRANSACTION else 0)
    with pytest.raises(EnvironmentFailure):
        fill(database, 1, "refused")
    connection.set_authorizer(None)
    before = content(database.file)
    database.close()
    database.file.unlink()
    restore(database)
    assert content(database.file) == before


def test_a_transaction_that_was_taken_back_and_stands_nevertheless_is_restored(database: Database) -> None:
    fill(database, 1)
    # as after a commit that SQLite reported as failed once its journal was gone
    database.mirror._add(1, {"n": 3, "void": True})  # noqa: SLF001
    assert differences(database) == []
    fill(database, 1, "later")
    assert differences(database) == []
    before = content(database.file)
    database.close()
    database.file.unlink()
    assert restore(database).replay.lost == 0
    assert content(database.file) == before


def test_a_line_that_could_not_be_synced_is_not_left_in_the_journal(database: Database) -> None:
    fill(database, 1)
    segment = database.mirror.segment(1)
    before = segment.read_bytes()
    # a size that the file must not exceed: the line is cut off in the middle
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            database.mirror._add(1, {"n": 4, "writes": [("x" * 1000, ())]})  # noqa: SLF001
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert segment.read_bytes() == before


def test_a_damaged_journal_of_a_sound_database_is_begun_anew_and_nothing_is_called_damaged(database: Database) -> None:
    fill(database, 3)
    segment = database.mirror.segment(1)
    lines = segment.read_bytes().splitlines(keepends=True)
    flipped(segment, sum(map(len, lines[:8])) + 120)
    with pytest.raises(JournalError, match="the next run begins it anew"):
        differences(database)
    assert "begun anew" in database.check()
    assert database.check() == ""
    assert differences(database) == []
    before = content(database.file)
    database.close()
    database.file.unlink()
    assert restore(database).replay.lost == 0
    assert content(database.file) == before


@pytest.mark.parametrize("rotations", [0, 2])
def test_a_sound_journal_is_left_as_it_is(rotations: int, database: Database) -> None:
    for turn in range(rotations):
        fill(database, 1, f"turn {turn}")
        rotated(database)
    fill(database, 2)
    database.mirror.suspect()
    before = sorted(database.mirror.folder.glob("*-*"))
    assert database.check() == ""
    assert sorted(database.mirror.folder.glob("*-*")) == before


def test_a_train_that_was_only_shown_is_no_difference(database: Database) -> None:
    trains = Trains(database)
    trains.show("main", {"cars": []})
    assert differences(database) == []
    trains.keep_record("main", {"window": 2})
    trains.show("main", {"cars": [1]})
    assert differences(database) == []


def test_a_damaged_copy_is_not_used_and_the_one_before_leads_as_far(database: Database) -> None:
    for turn in range(3):
        fill(database, 2, f"turn {turn}")
        rotated(database)
    fill(database, 1, "last")
    before = content(database.file)
    database.close()
    copies = sorted(database.mirror.folder.glob("copy-*.sqlite"))
    assert len(copies) == mirror_module.COPIES
    assert not database.mirror.segment(1).exists()
    flipped(copies[-1], copies[-1].stat().st_size // 2)
    database.file.unlink()
    assert restore(database).replay.lost == 0
    assert content(database.file) == before


def test_what_lies_behind_a_damaged_line_is_told_as_lost(database: Database) -> None:
    fill(database, 3)
    database.close()
    segment = database.mirror.segment(1)
    lines = segment.read_bytes().splitlines(keepends=True)
    flipped(segment, sum(map(len, lines[:8])) + 120)
    database.file.unlink()
    restored = restore(database)
    assert restored.replay.transactions + restored.replay.lost == 9
    assert restored.replay.lost > 0
    assert f"{restored.replay.lost} behind a damaged place" in str(restored.replay)
    assert verify(database).broken_at is None


def test_nothing_can_be_restored_without_a_journal(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no journal"):
        restore(Database(tmp_path))


def test_a_database_without_its_journal_gets_a_new_one_on_a_copy(database: Database) -> None:
    import shutil

    fill(database)
    database.close()
    shutil.rmtree(database.mirror.folder)
    fill(database, 1, "later")
    before = content(database.file)
    database.close()
    database.file.unlink()
    assert restore(database).replay.lost == 0
    assert content(database.file) == before


def test_a_long_journal_is_rotated_and_stays_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_module, "LONG_BYTES", 30_000)
    fill(database, 1)
    for turn in range(40):
        Records(database).put("the same", {"turn": turn, "long": "x" * 20_000})
    names = sorted(path.name for path in database.mirror.folder.iterdir())
    assert len([name for name in names if name.endswith(".sqlite")]) == mirror_module.COPIES
    assert len([name for name in names if name.endswith(".jsonl")]) <= mirror_module.COPIES + 1
    assert differences(database) == []


def test_a_write_that_cannot_be_journalled_is_not_made(database: Database) -> None:
    fill(database, 1)
    segment = database.mirror.segment(1)
    segment.rename(segment.with_suffix(".away"))
    segment.mkdir()
    with pytest.raises(EnvironmentFailure, match="could not be written"):
        fill(database, 1, "later")
    segment.rmdir()
    segment.with_suffix(".away").rename(segment)
    assert [row.request for row in Records(database).features()] == ["request 0 é"]
    fill(database, 1, "again")
    assert differences(database) == []


@pytest.mark.parametrize("rows", [1, 9])
def test_a_killed_writer_s_database_is_restored_with_all_that_it_acknowledged(
    rows: int, database: Database, others: Others
) -> None:
    database.connection()
    with others.start(WRITE_FOREVER) as writer:
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline().strip() for _ in range(rows)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += writer.stdout.read().split()
    database.close()
    for path in database.file.parent.glob("signalbox.sqlite*"):
        path.unlink()
    restore(database)
    there = [row.id for row in Records(database).features()]
    assert set(acknowledged) <= set(there)
    assert len(there) <= len(acknowledged) + 1
    assert [event.feature for event in read(database)] == there
    assert verify(database).broken_at is None
