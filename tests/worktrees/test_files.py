from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from worktrees.files import blob_id, opened, walk

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worktrees.conftest import Workbench


def test_everything_but_folders_is_found_as_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "void").mkdir()
    (tmp_path / "d" / "e" / "f").write_text("abc")
    (tmp_path / "run").touch(mode=0o755)
    (tmp_path / "others").touch()
    (tmp_path / "others").chmod(0o611)
    (tmp_path / "link").symlink_to("d")
    (tmp_path / "up").symlink_to("..")
    os.link(tmp_path / "run", tmp_path / "d" / "hard")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("sock")
    found = {row.path: (row.mode, row.size, row.links, row.special) for row in walk(tmp_path)}
    assert found.pop("link")[0] == found.pop("up")[0] == "120000"
    assert found == {
        "d/e/f": ("100644", 3, 1, False),
        "run": ("100755", 0, 2, False),
        "d/hard": ("100755", 0, 2, False),
        "others": ("100644", 0, 1, False),
        "pipe": ("fifo", 0, 1, True),
        "sock": ("socket", 0, 1, True),
    }


def test_a_folder_that_is_not_there_is_told_as_unreadable(tmp_path: Path) -> None:
    assert [(row.path, row.mode) for row in walk(tmp_path / "gone")] == [("", "unreadable")]


@pytest.mark.parametrize("mode", [0, 0o400, 0o100, 0o200])
def test_what_an_agent_closed_is_opened(mode: int, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("abc")
    (tmp_path / "d" / "f").chmod(mode)
    (tmp_path / "d").chmod(mode)
    (found,) = walk(tmp_path)
    assert (found.path, found.mode) == ("d/f", "100755" if mode & 0o100 else "100644")
    with opened(tmp_path, found) as stream:
        assert stream.read() == b"abc"
    assert next(iter(walk(tmp_path))).mode == found.mode


@pytest.mark.parametrize("data", [b"", b"x", b"a\r\nb\0", bytes(3 << 20)])
def test_the_id_of_a_file_is_the_one_of_git(data: bytes, bench: Workbench, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "f").write_bytes(data)
    (folder / "link").symlink_to(os.fsdecode(b"caf\xe9"))
    rows = {row.path: row for row in walk(folder)}
    assert blob_id(folder, rows["f"], "sha1") == bench.git("hash-object", "--stdin", stdin=data)
    assert blob_id(folder, rows["link"], "sha1") == bench.git("hash-object", "--stdin", stdin=b"caf\xe9")
    assert len(blob_id(folder, rows["f"], "sha256")) == 64


@pytest.mark.parametrize("swap", ["symlink", "fifo", "folder", "nothing"])
def test_a_file_that_is_another_thing_by_now_is_not_read(swap: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "f").write_text("x")
    (found,) = walk(tree)
    (tree / "f").unlink()
    {
        "symlink": lambda: (tree / "f").symlink_to(secret),
        "fifo": lambda: os.mkfifo(tree / "f"),
        "folder": lambda: os.mkdir(tree / "f"),  # noqa: PTH102 - like the others
        "nothing": lambda: None,
    }[swap]()
    if swap == "fifo":
        with opened(tree, found) as stream:  # and it does not hang
            assert stream.read() in {b"", None}
    else:
        with pytest.raises(OSError, match=r"tree/f|directory"), opened(tree, found) as stream:
            stream.read()
