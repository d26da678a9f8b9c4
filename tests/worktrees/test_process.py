from __future__ import annotations

import contextlib
import hashlib
import json
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

from worktrees import watching
from worktrees.confinement import Confinement
from worktrees.process import Bounds, Launch, Receipt, run, start_time

if TYPE_CHECKING:
    from collections.abc import Callable

PATH = os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"])
ROOT = Path(__file__).parents[2]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs a subreaper and /proc, which only Linux has")

LEAVE_A_DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(sys.argv[1], "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
while not os.path.exists(sys.argv[1]) or not open(sys.argv[1]).read():
    time.sleep(0.01)
"""
RESPAWN = """
import os, sys, time
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        while True:  # each generation leaves the session, raises the next one and ends
            time.sleep(0.001)
            if os.fork():
                os._exit(0)
            os.setsid()
print("raised")
"""
HARNESS = """
import sys
from pathlib import Path
from worktrees.confinement import Confinement
from worktrees.process import Bounds, InterruptedRunError, Launch, run
folder = Path(sys.argv[1])
daemon = "import os,time;os.fork() and time.sleep(600);os.setsid();open('pid','w').write(str(os.getpid()));time.sleep(600)"
launch = Launch(
    command=[sys.executable, "-c", daemon], cwd=folder, env={}, confinement=Confinement(level="none", write=())
)
try:
    run(launch, log=folder / "log", bounds=Bounds(timeout_s=60))
except InterruptedRunError as interrupt:
    print(interrupt.receipt.ending, interrupt.receipt.survivors)
    raise
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "inside"
    inside.mkdir()
    return inside


def go(folder: Path, *command: str, bounds: Bounds | None = None, stdin: bytes = b"") -> Receipt:
    launch = Launch(
        command=command,
        cwd=folder,
        env={"PATH": PATH},
        confinement=Confinement(level="none", write=(folder,)),
        stdin=stdin,
    )
    return run(launch, log=folder.parent / "logs" / "log", bounds=bounds or Bounds(timeout_s=60))


def python(folder: Path, code: str, *arguments: str, bounds: Bounds | None = None) -> Receipt:
    return go(folder, sys.executable, "-c", textwrap.dedent(code), *arguments, bounds=bounds)


def log_of(receipt: Receipt) -> bytes:
    return Path(receipt.log).read_bytes()


def wait_until(done: Callable[[], bool], seconds: float = 20) -> bool:
    limit = time.monotonic() + seconds
    while not done() and time.monotonic() < limit:
        time.sleep(0.01)
    return done()


def started(file: Path) -> int:
    assert wait_until(lambda: file.exists() and file.read_text() != "")
    return int(file.read_text())


@pytest.mark.parametrize("code", [0, 1, 77, 255])
def test_exit_code_is_that_of_the_program(folder: Path, code: int) -> None:
    receipt = go(folder, "sh", "-c", f"exit {code}")
    assert (receipt.exit, receipt.ending, receipt.reason, receipt.survivors) == (code, "exited", "", 0)
    assert receipt.command == ("sh", "-c", f"exit {code}")
    assert receipt.confinement == "none"


def test_death_by_a_signal_is_a_negative_exit_code(folder: Path) -> None:
    assert go(folder, "sh", "-c", "kill -SEGV $$").exit == -signal.SIGSEGV


def test_both_streams_land_in_the_log_in_their_order(folder: Path) -> None:
    receipt = go(folder, "sh", "-c", "echo one; echo two >&2; echo three")
    assert log_of(receipt) == b"one\ntwo\nthree\n"
    assert receipt.output_sha256 == hashlib.sha256(b"one\ntwo\nthree\n").hexdigest()
    assert receipt.output_bytes == 14


def test_of_100_mb_the_first_and_the_last_part_are_kept(folder: Path) -> None:
    script = "echo BEGIN; head -c 100000000 /dev/zero; echo END"
    receipt = go(folder, "sh", "-c", script, bounds=Bounds(timeout_s=60, output_bytes=10_000))
    assert receipt.exit == 0
    assert receipt.output_bytes == 100_000_010
    assert receipt.output_sha256 == hashlib.sha256(b"BEGIN\n" + bytes(100_000_000) + b"END\n").hexdigest()
    kept = log_of(receipt)
    assert kept.startswith(b"BEGIN\n\0")
    assert kept.endswith(b"\0END\n")
    assert b"\n[... 99990010 bytes left out ...]\n" in kept
    assert len(kept) < 10_100


@pytest.mark.parametrize(("keep", "lines"), [(0, 1), (1, 1), (10, 0), (11, 0)])
def test_output_about_as_long_as_the_limit(folder: Path, keep: int, lines: int) -> None:
    receipt = go(folder, "printf", "0123456789", bounds=Bounds(timeout_s=60, output_bytes=keep))
    kept = log_of(receipt)
    assert kept.count(b"left out") == lines
    assert kept.replace(f"\n[... {10 - keep} bytes left out ...]\n".encode(), b"") == b"0123456789"[:keep]


def test_a_log_that_can_not_be_written_ends_the_run(folder: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    launch = Launch(
        command=["yes"], cwd=folder, env={"PATH": PATH}, confinement=Confinement(level="none", write=(folder,))
    )
    receipt = run(launch, log=Path("/dev/full"), bounds=Bounds(timeout_s=60))
    assert receipt.ending == "interrupted"
    assert "log could not be written: No space left" in receipt.reason


def test_timeout_of_a_program_that_ignores_sigterm(folder: Path) -> None:
    code = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    receipt = python(folder, code, bounds=Bounds(timeout_s=1, patience_s=0.2))
    assert (receipt.ending, receipt.exit) == ("timeout", -signal.SIGKILL)
    assert receipt.reason == "it was still running after 1 seconds, its limit"
    assert 1.1 < receipt.seconds < 20


def test_timeout_lets_a_polite_program_clean_up(folder: Path) -> None:
    receipt = go(folder, "sh", "-c", "trap 'echo bye; exit 3' TERM; sleep 60 & wait", bounds=Bounds(timeout_s=0.5))
    assert (receipt.ending, receipt.exit) == ("timeout", 3)
    assert log_of(receipt) == b"bye\n"


def test_children_that_finish_at_once_are_no_survivors(folder: Path) -> None:
    receipt = go(folder, "sh", "-c", "sleep 0.03 & exit 0")
    assert (receipt.exit, receipt.survivors) == (0, 0)


def test_a_child_in_the_group_that_holds_the_pipe_is_ended(folder: Path) -> None:
    receipt = go(folder, "sh", "-c", "sleep 600 & echo $! > pid; exit 4")
    assert (receipt.exit, receipt.survivors) == (4, 1)
    assert receipt.seconds < 30
    assert start_time(int((folder / "pid").read_text())) is None


@LINUX
def test_a_child_in_its_own_session_is_ended(folder: Path) -> None:
    receipt = go(folder, "sh", "-c", "setsid sh -c 'echo $$ > pid; exec sleep 600' & while ! [ -s pid ]; do :; done")
    assert (receipt.exit, receipt.survivors) == (0, 1)
    assert start_time(int((folder / "pid").read_text())) is None


@LINUX
def test_a_daemon_after_a_double_fork_is_ended(folder: Path) -> None:
    receipt = python(folder, LEAVE_A_DAEMON, "pid")
    assert (receipt.exit, receipt.survivors) == (0, 1)
    assert start_time(int((folder / "pid").read_text())) is None


@LINUX
def test_children_that_respawn_in_new_sessions_are_ended(folder: Path) -> None:
    receipt = python(folder, RESPAWN)
    assert (receipt.exit, receipt.reason) == (0, "")
    assert receipt.survivors >= 3
    own = [p for p in psutil.process_iter(["cmdline"]) if RESPAWN.strip() in " ".join(p.info["cmdline"] or [])]
    assert own == []


@LINUX
def test_timeout_ends_the_whole_tree(folder: Path) -> None:
    code = LEAVE_A_DAEMON + "\ntime.sleep(600)"
    receipt = python(folder, code, "pid", bounds=Bounds(timeout_s=2))
    assert (receipt.ending, receipt.survivors) == ("timeout", 1)
    assert start_time(int((folder / "pid").read_text())) is None


def test_input_reaches_the_program(folder: Path) -> None:
    data = os.urandom(300_000)
    receipt = go(folder, "cat", stdin=data)
    assert log_of(receipt) == data


@LINUX
def test_input_can_be_opened_by_name_and_not_be_written(folder: Path) -> None:
    receipt = go(folder, "sh", "-c", "cat /dev/stdin; echo more > /proc/self/fd/0", stdin=b"given\n")
    assert log_of(receipt).startswith(b"given\n")
    assert receipt.exit != 0


def test_five_megabytes_of_input_that_nobody_reads(folder: Path) -> None:
    assert go(folder, "true", stdin=bytes(5_000_000)).exit == 0


def test_without_input_there_is_an_end_at_once(folder: Path) -> None:
    receipt = go(folder, "cat")
    assert (receipt.exit, receipt.output_bytes) == (0, 0)


def test_environment_is_exactly_the_given_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HARNESS", "x")
    given = {"PATH": "/usr/bin:/bin", "WORD": "a b\nc", "EMPTY": "", "RAW": "\udcff"}
    launch = Launch(
        command=["env", "-0"], cwd=folder, env=given, confinement=Confinement(level="none", write=(folder,))
    )
    receipt = run(launch, log=folder / "log", bounds=Bounds(timeout_s=60))
    pairs = [pair.partition(b"=") for pair in log_of(receipt).split(b"\0") if pair]
    assert {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs} == given


@LINUX
def test_nothing_but_three_descriptors_is_inherited(folder: Path) -> None:
    with (folder / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        receipt = python(folder, "import os; print(sorted(os.listdir('/proc/self/fd')))")
    assert log_of(receipt) == b"['0', '1', '2', '3']\n"  # 3: the listing itself


@LINUX
def test_signals_and_limits_are_those_of_a_fresh_process(folder: Path) -> None:
    receipt = go(folder, "sh", "-c", "ulimit -c; ulimit -f; grep Sig[IB] /proc/self/status")
    bits = [line.split()[-1].decode() for line in log_of(receipt).splitlines()]
    assert bits == ["0", "unlimited", "0" * 16, "0" * 16]


def test_a_file_can_not_outgrow_its_limit(folder: Path) -> None:
    receipt = go(folder, "sh", "-c", "head -c 100000 /dev/zero > big", bounds=Bounds(timeout_s=60, file_bytes=4096))
    assert receipt.exit != 0
    assert (folder / "big").stat().st_size == 4096


@LINUX
def test_disk_quota_ends_the_run(folder: Path) -> None:
    (folder / "old").write_bytes(bytes(8_000_000))  # what was there before does not count
    code = """
        import time
        for number in range(400):
            open(f"file{number}", "wb").write(bytes(1_000_000))
            time.sleep(0.02)
    """
    receipt = python(folder, code, bounds=Bounds(timeout_s=60, disk_bytes=4_000_000))
    assert receipt.ending == "disk"
    assert receipt.reason.endswith("4000000 were allowed")
    assert len(list(folder.iterdir())) < 300


@LINUX
def test_growth_within_the_quota_is_left_alone(folder: Path) -> None:
    script = "head -c 2000000 /dev/zero > a; sleep 0.6; ln a b; rm a; mkdir c; sleep 0.6"
    receipt = go(folder, "sh", "-c", script, bounds=Bounds(timeout_s=60, disk_bytes=3_000_000))
    assert (receipt.ending, receipt.exit) == ("exited", 0)


def test_a_watched_folder_may_be_removed(folder: Path) -> None:
    script = 'rm -r "$PWD"; sleep 0.6'
    receipt = go(folder, "sh", "-c", script, bounds=Bounds(timeout_s=60, disk_bytes=3_000_000))
    assert (receipt.ending, receipt.exit) == ("exited", 0)


@LINUX
def test_a_folder_too_deep_to_measure_is_no_hiding_place(folder: Path) -> None:
    code = """
        import os, time
        for _ in range(60):
            os.mkdir("d" * 200)
            os.chdir("d" * 200)
        time.sleep(60)
    """
    receipt = python(folder, code, bounds=Bounds(timeout_s=30, disk_bytes=100_000_000))
    assert receipt.ending == "disk"
    assert "could not be measured" in receipt.reason
    subprocess.run(["rm", "-rf", str(folder)], check=True)  # pytest's own removal stops at names that long


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("no-such-program", f"program 'no-such-program' was not found on PATH ({PATH})"),
        ("./missing", "program './missing' can not be run: No such file or directory"),
        ("./plain", "program './plain' is not executable (chmod +x was expected)"),
        ("./sub", "program './sub' is a folder; an executable file was expected"),
        ("./bad-line", "program './bad-line' names an interpreter that does not exist in its first line"),
        (
            "./garbage",
            "program './garbage' has no format this system runs; a binary or a first line with #! was expected",
        ),
        ("planted", f"program 'planted' was not found on PATH ({PATH})"),
        ("", f"program '' was not found on PATH ({PATH})"),
    ],
)
def test_what_can_not_be_started_is_told(folder: Path, program: str, expected: str) -> None:
    (folder / "plain").write_text("text")
    (folder / "sub").mkdir()
    contents = {"bad-line": b"#!/no/such/interpreter\n", "garbage": b"\x01\x02\x03\x04", "planted": b"#!/bin/sh\n"}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o755)
    receipt = go(folder, program)
    assert (receipt.ending, receipt.exit, receipt.reason) == ("not-started", None, expected)


def test_a_relative_folder_on_the_path_is_skipped(folder: Path) -> None:
    (folder / "git").write_text("#!/bin/sh\necho planted\n")
    (folder / "git").chmod(0o755)
    launch = Launch(
        command=["git"], cwd=folder, env={"PATH": ".::"}, confinement=Confinement(level="none", write=(folder,))
    )
    assert run(launch, log=folder / "log", bounds=Bounds(timeout_s=60)).ending == "not-started"


def test_arguments_that_no_program_can_take(folder: Path) -> None:
    receipt = go(folder, "echo", "a\0b")
    assert receipt.ending == "not-started"
    assert "embedded null byte" in receipt.reason


def test_a_working_folder_that_is_missing(folder: Path) -> None:
    receipt = go(folder / "missing", "true")
    assert receipt.ending == "not-started"
    assert receipt.reason == f"the working folder '{folder / 'missing'}' can not be entered: No such file or directory"


def test_a_log_that_is_a_link_is_not_followed(folder: Path) -> None:
    (folder / "log").symlink_to(folder / "victim")
    launch = Launch(
        command=["true"], cwd=folder, env={"PATH": PATH}, confinement=Confinement(level="none", write=(folder,))
    )
    receipt = run(launch, log=folder / "log", bounds=Bounds(timeout_s=60))
    assert receipt.ending != "exited"
    assert not (folder / "victim").exists()


def test_an_empty_command_is_a_mistake_of_the_caller(folder: Path) -> None:
    with pytest.raises(ValueError, match="at least the name"):
        go(folder)


@LINUX
def test_a_killed_harness_takes_the_tree_with_it(folder: Path) -> None:
    harness = subprocess.Popen([sys.executable, "-c", HARNESS, str(folder)], cwd=ROOT)
    daemon = started(folder / "pid")
    tree = [process.pid for process in psutil.Process(harness.pid).children(recursive=True)]
    assert daemon in tree
    harness.kill()
    harness.wait()
    assert wait_until(lambda: all(start_time(pid) is None for pid in tree), seconds=5)


@LINUX
def test_ctrl_c_ends_the_tree_and_stays_an_interrupt(folder: Path) -> None:
    harness = subprocess.Popen(
        [sys.executable, "-c", HARNESS, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    daemon = started(folder / "pid")
    harness.send_signal(signal.SIGINT)
    printed, errors = harness.communicate(timeout=30)
    assert printed == b"interrupted 1\n", errors
    assert b"InterruptedRunError: the harness stopped this run" in errors
    assert harness.returncode in {1, -signal.SIGINT}
    assert start_time(daemon) is None


@LINUX
def test_a_killed_supervisor_is_told_and_takes_the_program_with_it(folder: Path) -> None:
    receipt = go(folder, "sh", "-c", "echo $$ > pid; kill -9 $PPID; exec sleep 600")
    assert receipt.ending == "interrupted"
    assert receipt.exit is None
    assert "supervisor was killed" in receipt.reason
    assert wait_until(lambda: start_time(started(folder / "pid")) is None)


@LINUX
def test_a_supervisor_told_to_stop_ends_its_tree(folder: Path) -> None:
    receipt = go(folder, "sh", "-c", "kill -TERM $PPID; exec sleep 600")
    assert (receipt.ending, receipt.exit, receipt.survivors) == ("interrupted", -signal.SIGKILL, 0)


def test_runs_in_parallel_threads_do_not_hold_each_other(folder: Path) -> None:
    receipts: dict[int, Receipt] = {}

    def one(number: int) -> None:
        home = folder / str(number)
        home.mkdir()
        receipts[number] = python(home, f"import time; time.sleep({number} / 10); raise SystemExit({number})")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: receipt.exit for number, receipt in receipts.items()} == {number: number for number in range(6)}


def test_no_descriptor_and_no_process_is_left_with_the_harness(folder: Path) -> None:
    go(folder, "true")
    me = psutil.Process()
    before, children = me.num_fds(), me.children()
    for command in (["true"], ["no-such-program"]):
        go(folder, *command, stdin=b"x")
    assert me.num_fds() == before
    assert me.children() == children


def test_modules_planted_in_the_working_folder_do_not_reach_the_supervisor(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "ctypes", "landlock", "watching", "sitecustomize"):
        (folder / f"{name}.py").write_text("raise SystemExit('planted')")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    assert go(folder, "true").ending == "exited"


@LINUX
def test_both_ways_to_find_children_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    child = subprocess.Popen(["sleep", "600"])
    quick = watching.children(os.getpid())
    monkeypatch.setattr(watching, "_KERNEL_LISTS_CHILDREN", False)
    slow = watching.children(os.getpid())
    child.kill()
    child.wait()
    assert child.pid in quick
    assert sorted(quick) == sorted(slow)


def test_start_time_tells_a_living_process_from_a_dead_one() -> None:
    mine = start_time(os.getpid())
    assert mine is not None
    assert mine == start_time(os.getpid())
    child = subprocess.Popen(["sleep", "600"])
    assert start_time(child.pid) not in {None, mine}
    child.kill()
    assert wait_until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    assert start_time(child.pid) is None
    child.wait()
    assert start_time(child.pid) is None


def test_a_receipt_is_plain_data(folder: Path) -> None:
    receipt = go(folder, "true")
    assert json.loads(json.dumps(receipt.__dict__))["exit"] == 0
    with contextlib.suppress(AttributeError):
        receipt.exit = 1  # type: ignore[misc]  # the attempt is the test
    assert receipt.exit == 0
