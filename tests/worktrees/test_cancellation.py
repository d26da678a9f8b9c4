from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tickets.errors import CancelledError
from worktrees.cancellation import Cancellation
from worktrees.confinement import Confinement
from worktrees.process import Bounds, Launch, Receipt, run, start_time

if TYPE_CHECKING:
    from pathlib import Path

QUICK_S = 10.0
"""Far less than the commands here would take."""


def start(folder: Path, command: str, cancel: Cancellation | None) -> Receipt:
    launch = Launch(
        command=["sh", "-c", command],
        cwd=folder,
        env={"PATH": os.defpath},
        confinement=Confinement(level="none", write=()),
    )
    return run(launch, log=folder / "log", bounds=Bounds(timeout_s=60), cancel=cancel)


def once_there(file: Path) -> None:
    limit = time.monotonic() + QUICK_S
    while not (file.is_file() and file.read_text().strip()) and time.monotonic() < limit:
        time.sleep(0.01)


def test_a_run_and_all_that_it_started_end_at_once_and_are_no_receipt(tmp_path: Path) -> None:
    cancel = Cancellation()

    def other() -> None:
        once_there(tmp_path / "pid")
        cancel.set()

    thread = threading.Thread(target=other)
    thread.start()
    begun = time.monotonic()
    with pytest.raises(CancelledError):
        start(tmp_path, "trap '' TERM; (trap '' TERM; echo $$ > pid; sleep 60) & sleep 60", cancel)
    thread.join()
    assert time.monotonic() - begun < QUICK_S
    assert start_time(int((tmp_path / "pid").read_text())) is None


def test_nothing_is_started_any_more(tmp_path: Path) -> None:
    cancel = Cancellation()
    cancel.set()
    with pytest.raises(CancelledError):
        start(tmp_path, "touch started", cancel)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_was_over_before_can_still_be_told_from_one_that_counts(tmp_path: Path) -> None:
    cancel = Cancellation()
    assert start(tmp_path, "true", cancel).exit == 0
    cancel.set()
    with pytest.raises(CancelledError):
        cancel.check()


def test_one_switch_ends_every_run(tmp_path: Path) -> None:
    cancel, ended = Cancellation(), list[str]()

    def one(name: str) -> None:
        (tmp_path / name).mkdir()
        try:
            start(tmp_path / name, "echo x > there; sleep 60", cancel)
        except CancelledError:
            ended.append(name)

    threads = [threading.Thread(target=one, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for name in "abc":
        once_there(tmp_path / name / "there")
    cancel.set()
    for thread in threads:
        thread.join(QUICK_S)
    assert sorted(ended) == ["a", "b", "c"]


def test_a_run_that_nobody_cancels_is_as_ever(tmp_path: Path) -> None:
    assert start(tmp_path, "exit 3", Cancellation()).exit == 3
