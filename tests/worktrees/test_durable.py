from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from demo_project import ROOT
from worktrees.durable import sync, write_durably

if TYPE_CHECKING:
    from pathlib import Path

WRITER = """
import sys
from pathlib import Path
from worktrees.durable import write_durably
target = Path(sys.argv[1])
print("ready", flush=True)
while True:
    for letter in b"abc":
        write_durably(target, bytes([letter]) * 200_000)
"""


def test_a_file_is_replaced_and_nothing_left_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "f.json"
    for data in (b"one", b"", b"\0" * 1000):
        write_durably(target, data)
        assert target.read_bytes() == data
    assert list(target.parent.iterdir()) == [target]


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"kept")
    (tmp_path / "link").symlink_to("kept")
    write_durably(tmp_path / "link", b"new")
    assert (tmp_path / "kept").read_bytes() == b"kept"
    assert not (tmp_path / "link").is_symlink()


def test_threads_that_write_one_file_leave_one_whole_content(tmp_path: Path) -> None:
    target = tmp_path / "f"
    troubles: list[Exception] = []

    def work(letter: bytes) -> None:
        try:
            for _ in range(40):
                write_durably(target, letter * 5000)
        except OSError as error:
            troubles.append(error)

    threads = [threading.Thread(target=work, args=(letter,)) for letter in (b"a", b"b", b"c", b"d")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    assert target.read_bytes() in {letter * 5000 for letter in (b"a", b"b", b"c", b"d")}
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("pause", [0.02, 0.11, 0.23])
def test_a_killed_writer_leaves_the_old_content_or_the_new(pause: float, tmp_path: Path) -> None:
    target = tmp_path / "f"
    write_durably(target, b"a" * 200_000)
    command = [sys.executable, "-c", WRITER, str(target)]
    with subprocess.Popen(command, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        writer.stdout.readline()
        threading.Event().wait(pause)
        writer.send_signal(signal.SIGKILL)
    data = target.read_bytes()
    assert len(data) == 200_000
    assert data == data[:1] * 200_000


def test_syncing_a_folder_says_nothing_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    sync(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync(tmp_path / "gone")
