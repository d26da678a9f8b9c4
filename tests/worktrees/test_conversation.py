"""Programs that are talked with: every way in which they can end, be silent, or talk too much."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import textwrap
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from worktrees.confinement import LEVELS, Confinement, Level
from worktrees.conversation import LONGEST_LINE, Conversation, SilenceError, converse
from worktrees.levels import trouble
from worktrees.process import Bounds, Launch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.parametrize(
    "level",
    [
        pytest.param(level, marks=pytest.mark.skipif(bool(trouble(level)), reason=f"{level}: {trouble(level)}"))
        for level in LEVELS
    ],
)
ECHO = """
import sys
for line in sys.stdin:
    print(line.strip()[::-1], flush=True)
print("bye", flush=True)
"""


@contextmanager
def talk(folder: Path, level: Level, code: str, *, timeout_s: float = 30) -> Iterator[Conversation]:
    (folder / "inside").mkdir(exist_ok=True)
    launch = Launch(
        command=(sys.executable, "-c", textwrap.dedent(code)),
        cwd=folder / "inside",
        env={"PATH": os.defpath},
        confinement=Confinement(level=level, write=(folder / "inside",)),
    )
    with converse(launch, log=folder / "log", bounds=Bounds(timeout_s=timeout_s)) as talking:
        yield talking


def test_both_sides_talk_in_turn(tmp_path: Path, level: Level) -> None:
    with talk(tmp_path, level, ECHO) as talking:
        for word in (b"abc", b"x" * 300_000):
            assert talking.send(word + b"\n")
            assert talking.line(10) == word[::-1]
        talking.close_input()
        assert talking.line(10) == b"bye"
        assert talking.line(10) is None
        receipt = talking.end()
    assert (receipt.ending, receipt.exit, receipt.confinement) == ("exited", 0, level)


def test_standard_error_goes_into_the_log(tmp_path: Path, level: Level) -> None:
    with talk(tmp_path, level, "import sys; print('said'); print('complained', file=sys.stderr)") as talking:
        assert talking.line(10) == b"said"
        assert talking.line(10) is None
    assert (tmp_path / "log").read_text() == "complained\n"


def test_silence_is_told_and_the_talk_goes_on(tmp_path: Path, level: Level) -> None:
    with talk(tmp_path, level, ECHO) as talking:
        with pytest.raises(SilenceError, match=r"0\.3 seconds"):
            talking.line(0.3)
        assert talking.send(b"on\n")
        assert talking.line(10) == b"no"


def test_a_line_without_an_end_is_cut_and_the_next_one_is_whole(tmp_path: Path, level: Level) -> None:
    code = f"""
    import sys
    for _ in range(3):
        sys.stdout.write("x" * {LONGEST_LINE // 2})
    print()
    print("next", flush=True)
    """
    with talk(tmp_path, level, code) as talking:
        line = talking.line(10)
        assert (len(line or b""), talking.cut) == (LONGEST_LINE, True)
        assert (talking.line(10), talking.cut) == (b"next", False)


def test_silence_in_the_middle_of_a_long_line_does_not_make_two_of_it(tmp_path: Path, level: Level) -> None:
    code = f"""
    import sys, time
    sys.stdout.write("x" * {LONGEST_LINE + 100_000}); sys.stdout.flush()
    time.sleep(1)
    print("y"); print("next", flush=True)
    """
    with talk(tmp_path, level, code) as talking:
        line = None
        while line is None:
            with contextlib.suppress(SilenceError):
                line = talking.line(0.3)
        assert (len(line), talking.cut) == (LONGEST_LINE, True)
        assert (talking.line(10), talking.cut) == (b"next", False)


def test_a_signal_reaches_the_program_and_not_its_wrapper(tmp_path: Path, level: Level) -> None:
    code = """
    import os, signal, sys, time
    def polite(number, frame):
        os.write(1, b"interrupted" + bytes([10]))  # print may be at work when the signal comes
        sys.exit(7)
    signal.signal(signal.SIGINT, polite)
    print("ready", flush=True)
    time.sleep(60)
    """
    with talk(tmp_path, level, code) as talking:
        assert talking.line(10) == b"ready"
        talking.signal(signal.SIGINT)
        assert talking.line(10) == b"interrupted"
        assert talking.end().exit == 7


def test_what_ignores_every_polite_word_is_killed_with_all_its_children(tmp_path: Path, level: Level) -> None:
    code = """
    import os, signal, sys, time
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
    print("ready", flush=True)
    while True:
        time.sleep(1)
        open("alive", "w").write(str(time.time()))
    """
    with talk(tmp_path, level, code) as talking:
        assert talking.line(10) == b"ready"
        began = time.monotonic()
        receipt = talking.end(0.3)
        assert time.monotonic() - began < 8
    assert receipt.ending == "interrupted"
    assert talking.end() == receipt
    alive = tmp_path / "inside" / "alive"
    before = alive.stat().st_mtime if alive.exists() else 0
    time.sleep(1.5)
    assert (alive.stat().st_mtime if alive.exists() else 0) == before


def test_a_program_that_ended_takes_no_more_words(tmp_path: Path, level: Level) -> None:
    with talk(tmp_path, level, "print('gone')") as talking:
        assert talking.line(10) == b"gone"
        assert talking.line(10) is None
        assert not talking.send(b"x" * (4 << 20))


def test_a_program_that_talks_while_it_is_ended_cannot_hold_us(tmp_path: Path, level: Level) -> None:
    code = """
    import sys
    while True:
        sys.stdout.write("x" * 65536 + chr(10))
    """
    with talk(tmp_path, level, code) as talking:
        assert talking.line(10)
        began = time.monotonic()
        talking.end(0.5)
    assert time.monotonic() - began < 8


def test_a_program_that_reads_nothing_while_it_floods_us_does_not_lock_both(tmp_path: Path, level: Level) -> None:
    code = """
    import sys, time
    for number in range(200):
        print("x" * 65536, flush=True)
    print("now", len(sys.stdin.readline()), flush=True)
    """
    with talk(tmp_path, level, code) as talking:
        sender = threading.Thread(target=talking.send, args=(b"y" * (3 << 20) + b"\n",))
        sender.start()
        lines = [talking.line(20) for _ in range(201)]
        sender.join()
    assert lines[-1] == b"now %d" % ((3 << 20) + 1)


def test_the_time_limit_holds_for_a_talk_too(tmp_path: Path, level: Level) -> None:
    with talk(tmp_path, level, ECHO, timeout_s=0.5) as talking:
        assert talking.line(10) in {None, b"bye"}
        assert talking.end().ending == "timeout"


def test_a_program_that_is_not_there_is_a_receipt(tmp_path: Path, level: Level) -> None:
    launch = Launch(
        command=("no-such-client",),
        cwd=tmp_path,
        env={"PATH": os.defpath},
        confinement=Confinement(level=level, write=(tmp_path,)),
    )
    with converse(launch, log=tmp_path / "log", bounds=Bounds(timeout_s=5)) as talking:
        assert talking.line(10) is None
        assert talking.end().ending == "not-started"


def test_an_exception_in_the_talk_ends_the_program_at_once(tmp_path: Path, level: Level) -> None:
    began = time.monotonic()
    with pytest.raises(ZeroDivisionError), talk(tmp_path, level, "import time; time.sleep(60)"):
        raise ZeroDivisionError
    assert time.monotonic() - began < 5
