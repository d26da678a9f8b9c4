"""The life of a process tree in namespaces of its own: what `test_process.py` says of plain ones holds here as well."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from demo_project import ROOT
from worktrees import bubblewrap
from worktrees.confinement import Confinement
from worktrees.layer import Layer, contents
from worktrees.process import Bounds, Launch, Receipt, run

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("layers")
PATH = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    place = tmp_path / "a, b:c\\d 'ü'"  # every character that mount options, shells or encodings could trip over
    made = Layer(lower=place / "lower", upper=place / "upper", work=place / "work", at=place / "at")
    made.make()
    made.at.mkdir()
    made.lower.mkdir()
    (made.lower / "old.txt").write_text("old\n")
    return made


def go(layer: Layer, *command: str, bounds: Bounds | None = None) -> Receipt:
    confinement = Confinement(level="bubblewrap", write=(), layers=(layer,))
    launch = Launch(command=command, cwd=layer.at, env={"PATH": PATH}, confinement=confinement)
    return run(launch, log=layer.at.with_name("log"), bounds=bounds or Bounds(timeout_s=60))


def python(layer: Layer, code: str, *, bounds: Bounds | None = None) -> Receipt:
    return go(layer, sys.executable, "-c", textwrap.dedent(code), bounds=bounds)


def log_of(receipt: Receipt) -> str:
    return Path(receipt.log).read_text()


def wait_until(done: Callable[[], bool], seconds: float = 20) -> bool:
    limit = time.monotonic() + seconds
    while not done() and time.monotonic() < limit:
        time.sleep(0.01)
    return done()


def alive(marker: str) -> bool:
    return any(marker in (process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))


def test_only_what_was_written_is_in_the_layer(layer: Layer) -> None:
    receipt = go(layer, "sh", "-c", "cat old.txt; rm old.txt; mkdir d; echo new > d/new.txt; cat d/new.txt")
    assert (receipt.exit, log_of(receipt), receipt.confinement) == (0, "old\nnew\n", "bubblewrap")
    assert list(layer.at.iterdir()) == []
    assert (layer.lower / "old.txt").read_text() == "old\n"
    found = contents(layer)
    assert [one.path for one in found.written] == ["d/new.txt"]
    assert found.hides("old.txt")


@pytest.mark.parametrize("code", [0, 1, 77, 200, 255])
def test_exit_code_is_that_of_the_program(layer: Layer, code: int) -> None:
    assert go(layer, "sh", "-c", f"exit {code}").exit == code


def test_death_by_a_signal_is_a_negative_exit_code(layer: Layer) -> None:
    assert go(layer, "sh", "-c", "kill -9 $$").exit == -signal.SIGKILL


def test_timeout_lets_a_polite_program_clean_up(layer: Layer) -> None:
    receipt = go(layer, "sh", "-c", "trap 'echo bye; exit 0' TERM; sleep 60 & wait", bounds=Bounds(timeout_s=0.7))
    assert (receipt.ending, log_of(receipt)) == ("timeout", "bye\n")


def test_timeout_of_a_program_that_ignores_everything(layer: Layer) -> None:
    bounds = Bounds(timeout_s=0.5, patience_s=0.3)
    receipt = python(layer, "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)", bounds=bounds)
    assert receipt.ending == "timeout"
    assert receipt.seconds < 10


def test_daemons_are_gone_with_the_program(layer: Layer) -> None:
    marker = f"daemon-{os.getpid()}-{time.monotonic_ns()}"
    code = f"""
        import os, sys
        for _ in range(3):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)", {marker!r}])
                os._exit(0)
    """
    assert python(layer, code).exit == 0
    assert not alive(marker)


def test_processes_are_bounded(layer: Layer) -> None:
    code = "import os, time\nwhile True:\n    if os.fork() == 0: time.sleep(60)"
    receipt = python(layer, code, bounds=Bounds(timeout_s=60, processes=40))
    assert receipt.ending == "limits"
    assert receipt.reason.endswith("40 were allowed")


def test_memory_is_bounded(layer: Layer) -> None:
    code = "import time; x = bytearray(b'x') * (300 << 20); time.sleep(60)"
    receipt = python(layer, code, bounds=Bounds(timeout_s=60, memory_bytes=128 << 20))
    assert receipt.ending == "limits"
    assert receipt.reason.endswith("128 were allowed")


def test_what_is_shared_is_counted_once(layer: Layer) -> None:
    code = """
        import mmap, os, time
        block = mmap.mmap(-1, 100 << 20)
        block.write(b"x" * (100 << 20))
        for _ in range(4):
            if os.fork() == 0:
                block[::4096]
                time.sleep(0.6)
                os._exit(0)
        time.sleep(0.8)
    """
    assert python(layer, code, bounds=Bounds(timeout_s=60, memory_bytes=160 << 20)).ending == "exited"


def test_the_disk_of_the_layer_is_bounded(layer: Layer) -> None:
    code = "import time; open('big', 'wb').write(bytes(30 << 20)); time.sleep(60)"
    assert python(layer, code, bounds=Bounds(timeout_s=60, disk_bytes=8 << 20)).ending == "disk"


HARNESS = """
import sys
from pathlib import Path
from worktrees.confinement import Confinement
from worktrees.process import Bounds, Launch, run
folder, marker = Path(sys.argv[1]), sys.argv[2]
code = "import os, sys, time; open('started', 'w').close(); os.setsid() if os.getpid() != os.getpgid(0) else None; time.sleep(60)"
launch = Launch(command=[sys.executable, "-c", code, marker], cwd=folder, env={}, confinement=Confinement(level="bubblewrap", write=(folder,)))
run(launch, log=folder.parent / "log", bounds=Bounds(timeout_s=60))
"""


@pytest.mark.parametrize("victim", ["harness", "supervisor"])
def test_whoever_is_killed_the_tree_goes_with_it(tmp_path: Path, victim: str) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    marker = f"victim-{os.getpid()}-{time.monotonic_ns()}"
    command = [sys.executable, "-c", HARNESS, str(folder), marker]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL) as harness:
        assert wait_until((folder / "started").exists)
        supervisor = psutil.Process(harness.pid).children()[0]
        (harness if victim == "harness" else supervisor).send_signal(signal.SIGKILL)
        assert wait_until(lambda: not alive(marker))
        harness.wait(20)


def test_many_at_once_do_not_hold_each_other(tmp_path: Path) -> None:
    receipts: list[Receipt] = []

    def one(number: int) -> None:
        place = tmp_path / str(number)
        made = Layer(lower=tmp_path / "lower", upper=place / "upper", work=place / "work", at=place / "at")
        made.make()
        made.at.mkdir()
        receipts.append(go(made, "sh", "-c", f"echo {number} > mine; cat old"))

    (tmp_path / "lower").mkdir()
    (tmp_path / "lower" / "old").write_text("old\n")
    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [receipt.exit for receipt in receipts] == [0] * 6
    assert sorted((tmp_path / str(n) / "upper" / "mine").read_text() for n in range(6)) == [f"{n}\n" for n in range(6)]


def test_a_program_in_the_tree_is_found_there(layer: Layer) -> None:
    script = layer.lower / "run.sh"
    script.write_text("#!/bin/sh\necho ran\n")
    script.chmod(0o755)
    assert log_of(go(layer, "./run.sh")) == "ran\n"
    assert log_of(go(layer, str(layer.at / "run.sh"))) == "ran\n"


def test_bubblewrap_that_went_away_is_told(layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "PROGRAM", "bwrap-that-is-not-here")
    receipt = go(layer, "true")
    assert receipt.ending == "not-started"
    assert "bwrap-that-is-not-here" in receipt.reason


def test_nothing_but_three_descriptors_is_inherited(layer: Layer) -> None:
    receipt = python(layer, "import os; print(sorted(os.listdir('/proc/self/fd')))")
    assert log_of(receipt) in {"['0', '1', '2', '3']\n", "['0', '1', '2', '3', '4']\n"}  # the listing's own


def test_an_ordinary_user_may_not_become_root_again(layer: Layer) -> None:
    receipt = go(layer, "sh", "-c", "unshare -U true || unshare -Ur true; grep CapEff /proc/self/status")
    assert "CapEff:\t0000000000000000" in log_of(receipt)
    assert "unshare failed" in log_of(receipt)
