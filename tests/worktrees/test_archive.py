"""What is put away, packed and bundled: each byte is still there afterwards, whatever it is called and wherever a link leads."""

from __future__ import annotations

import os
import socket
import tarfile
from typing import TYPE_CHECKING

import pytest

from tickets.errors import EnvironmentFailure
from worktrees.archive import TRASH, empty, put_away, trash
from worktrees.bundles import bundle, bundled, bundles, restore
from worktrees.git import GitError
from worktrees.packing import pack, unpack
from worktrees.usage import shown, usage_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worktrees.conftest import Workbench

NAMES = [
    "a b",
    "-rf",
    "ünï→",
    "line\nbreak",
    '"quoted\\"',
    "..lock",
    "x.lock",
    b"\xff\xfe".decode(errors="surrogateescape"),
]


@pytest.fixture
def place(bench: Workbench) -> Path:
    folder = bench.root.with_name(f"{bench.root.name}-wt")
    folder.mkdir()
    return folder


def read(bench: Workbench, ref: str, path: str) -> bytes | None:
    return bench.repository.read(bench.git("rev-parse", ref), path)


# what nobody knows


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_any_name_is_a_commit_and_in_the_trash(bench: Workbench, place: Path, name: str) -> None:
    folder = place / name
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / name).write_bytes(b"\0work\n")
    (folder / "run.sh").write_text("true\n", encoding="utf-8")
    (folder / "run.sh").chmod(0o755)
    rescued = put_away(bench.repository, folder, worktrees=place)
    assert not folder.exists()
    assert (rescued.trash / "deep" / name).read_bytes() == b"\0work\n"
    assert bench.modes(rescued.ref) == {f"deep/{name}": "100644", "run.sh": "100755"}
    assert read(bench, rescued.ref, f"deep/{name}") == b"\0work\n"
    assert rescued.left_out == ()


def test_no_link_is_followed(bench: Workbench, place: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("s", encoding="utf-8")
    (place / "link").symlink_to(outside)
    (place / "holder").mkdir()
    (place / "holder" / "inner").symlink_to(outside)
    alone, within = (
        put_away(bench.repository, place / "link", worktrees=place),
        put_away(bench.repository, place / "holder", worktrees=place),
    )
    assert (outside / "secret").read_text() == "s"
    assert alone.trash.is_symlink()
    for ref, path in ((alone.ref, alone.trash.name), (within.ref, "inner")):
        assert bench.modes(ref) == {path: "120000"}
        assert read(bench, ref, path) == os.fsencode(outside)
    assert len(empty(trash(bench.repository, place))) == 2
    assert (outside / "secret").read_text() == "s"


def test_what_no_commit_can_hold_stays_in_the_trash(bench: Workbench, place: Path) -> None:
    folder = place / "odd"
    folder.mkdir()
    (folder / "file").write_text("x", encoding="utf-8")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "door"))
    rescued = put_away(bench.repository, folder, worktrees=place)
    assert sorted(rescued.left_out) == ["door", "pipe"]
    (found,) = trash(bench.repository, place)
    assert found.obstacle == "2 of its entries are in no commit"
    assert empty([found]) == []
    assert (rescued.trash / "file").read_text() == "x"


def test_a_repository_inside_keeps_every_file_under_another_name(bench: Workbench, place: Path) -> None:
    folder = place / "clone"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "config").write_text("[core]\n", encoding="utf-8")
    rescued = put_away(bench.repository, folder, worktrees=place)
    assert read(bench, rescued.ref, "dot-git/config") == b"[core]\n"


def test_folders_closed_to_their_owner_are_read(bench: Workbench, place: Path) -> None:
    folder = place / "closed"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").write_text("x", encoding="utf-8")
    (folder / "inner").chmod(0)
    folder.chmod(0)
    rescued = put_away(bench.repository, folder, worktrees=place)
    assert read(bench, rescued.ref, "inner/file") == b"x"


def test_the_trash_is_emptied_of_what_git_holds_only(bench: Workbench, place: Path) -> None:
    for name in ("one", "two"):
        (place / name).mkdir()
        (place / name / "file").write_text(name, encoding="utf-8")
    one, two = (
        put_away(bench.repository, place / "one", worktrees=place),
        put_away(bench.repository, place / "two", worktrees=place),
    )
    bench.git("update-ref", "-d", two.ref)
    assert empty(trash(bench.repository, place)) == [one.trash]
    assert list((place / TRASH).iterdir()) == [two.trash]
    assert read(bench, one.ref, "file") == b"one"


def test_where_it_cannot_be_moved_it_stays(bench: Workbench, place: Path) -> None:
    (place / TRASH).write_text("in the way", encoding="utf-8")
    (place / "folder").mkdir()
    with pytest.raises(EnvironmentFailure, match="cannot be moved"):
        put_away(bench.repository, place / "folder", worktrees=place)
    assert (place / "folder").is_dir()


# bundles


def attempts(bench: Workbench, count: int) -> dict[str, str]:
    """Attempts with content that nothing else holds."""
    refs = {}
    for number in range(1, count + 1):
        bench.git("checkout", "-q", "--detach", "main")
        commit = bench.commit({f"only-{number}.txt": f"content of {number}\n"})
        bench.git("update-ref", f"refs/orchestrate/attempts/T-0001/{number}", commit)
        refs[f"refs/orchestrate/attempts/T-0001/{number}"] = commit
    bench.git("checkout", "-q", "main")
    return refs


def collect_garbage(bench: Workbench) -> None:
    bench.git("reflog", "expire", "--expire=now", "--all")
    bench.git("gc", "-q", "--prune=now")


def test_what_moved_into_a_bundle_is_gone_from_git_and_comes_back(bench: Workbench) -> None:
    bench.commit({"a.txt": "a\n"})
    refs, head = attempts(bench, 3), bench.git("rev-parse", "main")
    made = bundle(bench.repository, refs, ground=head)
    assert bench.repository.refs("refs/orchestrate/attempts") == {}
    collect_garbage(bench)
    assert all(bench.repository.commit(commit) is None for commit in refs.values())
    assert bundled(bench.repository) == refs
    assert restore(bench.repository, "T-0001") == sorted(refs)
    assert bench.repository.refs("refs/orchestrate/attempts") == refs
    assert bench.repository.read(refs["refs/orchestrate/attempts/T-0001/2"], "only-2.txt") == b"content of 2\n"
    assert made.file.is_file()
    assert restore(bench.repository, "T-0001") == []


def test_a_bundle_comes_back_although_the_target_was_rewritten(bench: Workbench) -> None:
    bench.commit({"a.txt": "a\n"})
    refs = attempts(bench, 1)
    bundle(bench.repository, refs, ground=bench.git("rev-parse", "main"))
    bench.git("checkout", "-q", "--orphan", "other")
    bench.commit({"b.txt": "b\n"})
    bench.git("branch", "-qf", "main", "other")
    collect_garbage(bench)
    assert restore(bench.repository, "T-0001") == list(refs)


def test_a_ref_that_moved_meanwhile_keeps_all_of_them(bench: Workbench) -> None:
    bench.commit({"a.txt": "a\n"})
    refs, head = attempts(bench, 2), bench.git("rev-parse", "main")
    stale = {**refs, "refs/orchestrate/attempts/T-0001/2": head}
    with pytest.raises((EnvironmentFailure, GitError)):
        bundle(bench.repository, stale, ground=head)
    assert bench.repository.refs("refs/orchestrate/attempts") == refs
    assert bundles(bench.repository) == []


def test_a_damaged_bundle_is_refused_and_named(bench: Workbench) -> None:
    bench.commit({"a.txt": "a\n"})
    made = bundle(bench.repository, attempts(bench, 1), ground=bench.git("rev-parse", "main"))
    data = bytearray(made.file.read_bytes())
    data[-30] ^= 1
    made.file.write_bytes(data)
    with pytest.raises(EnvironmentFailure, match="missing or damaged"):
        restore(bench.repository, "T-0001")


# logs


def test_logs_are_packed_whole_and_come_back(tmp_path: Path) -> None:
    folder, archive = tmp_path / "T-0001", tmp_path / "archive" / "T-0001.tar.gz"
    for name in NAMES:
        (folder / "1").mkdir(parents=True, exist_ok=True)
        (folder / "1" / name).write_bytes(os.fsencode(name) * 1000)
    (folder / "link").symlink_to("/nowhere/outside")
    pack(folder, archive)
    assert not folder.exists()
    assert archive.stat().st_size < 8 * 1000
    unpack(archive, folder)
    assert {one.name: one.read_bytes() for one in (folder / "1").iterdir()} == {n: os.fsencode(n) * 1000 for n in NAMES}
    assert os.readlink(folder / "link") == "/nowhere/outside"  # noqa: PTH115 - as it was written


def test_packing_again_keeps_what_was_packed_before(tmp_path: Path) -> None:
    folder, archive = tmp_path / "T-0001", tmp_path / "T-0001.tar.gz"
    for number in ("1", "2"):
        folder.mkdir()
        (folder / number).write_text(number, encoding="utf-8")
        pack(folder, archive)
    with tarfile.open(archive) as source:
        assert {os.path.normpath(one.name) for one in source if one.isreg()} == {"1", "2"}


def test_a_file_that_is_there_wins_over_the_packed_one(tmp_path: Path) -> None:
    folder, archive = tmp_path / "T-0001", tmp_path / "T-0001.tar.gz"
    folder.mkdir()
    for name in ("log", "other"):
        (folder / name).write_text("old", encoding="utf-8")
    pack(folder, archive)
    folder.mkdir()
    (folder / "log").write_text("new", encoding="utf-8")
    unpack(archive, folder)
    assert {one.name: one.read_text() for one in folder.iterdir()} == {"log": "new", "other": "old"}
    assert sorted(tmp_path.iterdir()) == [folder, archive]


def test_logs_with_what_no_archive_holds_stay(tmp_path: Path) -> None:
    folder, archive = tmp_path / "T-0001", tmp_path / "T-0001.tar.gz"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    with pytest.raises(EnvironmentFailure, match="pipe"):
        pack(folder, archive)
    assert (folder / "pipe").exists()
    assert list(tmp_path.iterdir()) == [folder]


def test_sizes_are_those_on_the_disk_and_links_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"x" * 100_000)
    (tmp_path / "folder" / "loop").symlink_to(tmp_path)
    assert 100_000 <= usage_of(tmp_path / "folder").bytes < 200_000
    assert usage_of(tmp_path / "nothing").bytes == 0
    assert [shown(size) for size in (0, 1023, 1536, 3 << 30)] == ["0 B", "1023 B", "1.5 KiB", "3.0 GiB"]
