from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agents import hands

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Hands at work in a folder."""

    tree: Path
    process: subprocess.Popen[bytes]

    def do(self, what: str, **given: Any) -> tuple[bool, str]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"id": "one", "do": what, **given}).encode() + b"\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert answer["id"] == "one"
        return answer["done"], answer["text"]

    def written(self, name: str, text: str = "") -> Path:
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    tree = tmp_path / "tree"
    tree.mkdir()
    command = [sys.executable, "-I", "-S", hands.__file__]
    env = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path / "tmp")}
    with subprocess.Popen(command, cwd=tree, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Pair(tree=tree, process=process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0


def test_a_file_is_read_in_parts(pair: Pair) -> None:
    pair.written("a", "".join(f"line {number}\n" for number in range(1, 3001)))
    done, text = pair.do("read", path="a")
    assert done
    assert text.startswith("line 1\nline 2\n")
    assert text.endswith("line 1000\n\n[the file goes on: ask with first_line = 1001]")
    assert pair.do("read", path="a", first_line=2999) == (True, "line 2999\nline 3000\n")
    assert pair.do("read", path="a", first_line=5, lines=1)[1].startswith("line 5\n\n[the file goes on")
    assert pair.do("read", path="a", first_line=9999) == (True, "[the file has fewer than 9999 lines]")
    pair.written("empty")
    assert pair.do("read", path="empty") == (True, "[the file is empty]")


def test_a_file_of_one_endless_line_is_bounded(pair: Pair) -> None:
    pair.written("a", "x" * 10_000_000)
    done, text = pair.do("read", path="a")
    assert done
    assert len(text) < 2 * hands.LONGEST


def test_what_is_no_text_file_is_not_read_and_not_waited_for(pair: Pair) -> None:
    (pair.tree / "binary").write_bytes(b"\0\1\2")
    os.mkfifo(pair.tree / "pipe")
    assert pair.do("read", path="binary") == (False, "the file is binary")
    assert pair.do("read", path="pipe") == (False, "pipe is no regular file")
    assert pair.do("read", path="/dev/zero") == (False, "/dev/zero is no regular file")
    assert pair.do("read", path="nothing") == (False, "nothing: No such file or directory")
    assert pair.do("read", path="a\0b") == (False, "embedded null byte")
    assert pair.do("read", path=".")[0] is False
    assert pair.do("write", path="pipe", content="") == (False, "pipe is no regular file")


def test_a_file_is_written_with_its_folders_and_exactly(pair: Pair) -> None:
    assert pair.do("write", path="a/b/c.txt", content="x\r\n\u00e9") == (True, "a/b/c.txt: 5 bytes written")
    assert (pair.tree / "a/b/c.txt").read_bytes() == b"x\r\n\xc3\xa9"
    script = pair.written("run.sh", "echo one\n")
    script.chmod(0o755)
    assert pair.do("edit", path="run.sh", old="one", new="two")[0]
    assert (script.read_text(encoding="utf-8"), script.stat().st_mode & 0o777) == ("echo two\n", 0o755)


def test_a_text_is_replaced_only_where_it_is_there_once(pair: Pair) -> None:
    pair.written("a", "x = 1\nx = 1\ny = 2\n")
    assert pair.do("edit", path="a", old="x = 1", new="x = 3") == (
        False,
        "nothing was changed, because the text `old` is there 2 times: give more of what stands around it",
    )
    assert pair.do("edit", path="a", old="z", new="")[1].endswith("is not there: read the file")
    assert pair.do("edit", path="a", old="y = 2\n", new="") == (True, "a: changed")
    assert (pair.tree / "a").read_text(encoding="utf-8") == "x = 1\nx = 1\n"


@pytest.mark.parametrize("path", ["../outside", "/etc/signalbox-was-here", "link/outside", "file"])
def test_nothing_is_written_outside_of_the_folder(pair: Pair, path: str) -> None:
    other = pair.tree.parent / "other"
    other.mkdir()
    (other / "kept").write_text("kept", encoding="utf-8")
    (pair.tree / "link").symlink_to(other)
    (pair.tree / "file").symlink_to(other / "kept")
    for what in ({"do": "write", "content": "x"}, {"do": "edit", "old": "kept", "new": "x"}):
        order = {key: value for key, value in what.items() if key != "do"}
        assert pair.do(what["do"], path=path, **order) == (False, f"{path} leads out of the folder you work in")
    assert [(one.name, one.read_text(encoding="utf-8")) for one in other.iterdir()] == [("kept", "kept")]


def test_files_are_listed_and_searched_without_caches_and_links(pair: Pair) -> None:
    for name in ("src/a.py", "src/deep/er/b.py", ".git/config", "src/__pycache__/a.pyc", "notes.md"):
        pair.written(name, "needle\n")
    (pair.tree / "loop").symlink_to(pair.tree)
    done, text = pair.do("list")
    assert done
    assert text.split("\n") == [
        ".git/",
        "loop",
        "notes.md",
        "src/",
        "src/__pycache__/",
        "src/a.py",
        "src/deep/",
        "src/deep/er/",
    ]
    assert pair.do("list", path="src", depth=1)[1].split("\n") == ["src/__pycache__/", "src/a.py", "src/deep/"]
    assert pair.do("search", pattern="need.e", files="*.py") == (
        True,
        "src/a.py:1: needle\nsrc/deep/er/b.py:1: needle",
    )
    assert pair.do("search", pattern="needle", path="notes.md") == (True, "notes.md:1: needle")
    assert pair.do("search", pattern="nowhere") == (True, "[nothing was found]")
    assert pair.do("search", pattern="(")[1].startswith("the pattern is no regular expression of Python")
    assert pair.do("list", path="notes.md") == (False, "notes.md is no folder")


def test_many_files_and_many_hits_are_bounded(pair: Pair) -> None:
    for number in range(hands.MOST_ENTRIES + 50):
        pair.written(f"f{number:04}", "needle " + "x" * 1000 + "\n")
    assert pair.do("list")[1].endswith(f"[only the first {hands.MOST_ENTRIES}: list a folder below]")
    text = pair.do("search", pattern="needle")[1]
    assert (text.count("needle"), len(text) < 2 * hands.LONGEST) == (hands.MOST_HITS, True)


def test_a_pattern_that_would_take_for_ever_is_given_up(tmp_path: Path) -> None:
    """The limit is shortened for the test alone; the alarm is the real one."""
    (tmp_path / "a").write_text("a" * 60 + "!", encoding="utf-8")
    code = (
        "import importlib.util, sys; spec = importlib.util.spec_from_file_location('hands', sys.argv[1]);"
        "hands = importlib.util.module_from_spec(spec); spec.loader.exec_module(hands); hands.LOOKING_S = 0.5; hands.main()"
    )
    order = {"id": 1, "do": "search", "pattern": "(a+)+$"}
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, hands.__file__],
        cwd=tmp_path,
        input=json.dumps(order).encode() + b"\n",
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout) == {"id": 1, "done": False, "text": "it took more than 0.5 seconds"}
    assert time.monotonic() - begun < 30


def test_a_shell_line_gives_its_output_and_exit_code(pair: Pair) -> None:
    assert pair.do("run", command="echo out; echo err >&2; cat; exit 3", timeout_s=20) == (
        True,
        "out\nerr\n\n[exit code 3]",
    )
    assert pair.do("run", command="kill -9 $$", timeout_s=20)[1].endswith("[exit code -9]")


def test_the_output_of_a_shell_line_is_bounded_in_its_middle(pair: Pair) -> None:
    text = pair.do("run", command="echo first; head -c 30000000 /dev/zero | tr '\\0' x; echo last", timeout_s=60)[1]
    assert (text.startswith("first\nx"), text.endswith("xlast\n\n[exit code 0]")) == (True, True)
    assert " bytes left out]" in text
    assert len(text) < 2 * hands.LONGEST


@pytest.mark.slow
def test_a_shell_line_that_does_not_end_is_ended_with_its_children(pair: Pair) -> None:
    begun = time.monotonic()
    line = "trap '' TERM; echo begun; sleep 300 & echo $! > pid; while :; do sleep 0.1; done"
    done, text = pair.do("run", command=line, timeout_s=1)
    assert (done, text) == (True, "begun\n\n[ended after 1 s: it had not finished by then]")
    assert time.monotonic() - begun < 20
    child = Path("/proc", (pair.tree / "pid").read_text(encoding="utf-8").strip(), "stat")
    for _ in range(100):
        if not child.exists() or ") Z " in child.read_text(encoding="utf-8"):
            return
        time.sleep(0.05)
    pytest.fail("a child of the shell line is still there")


def test_a_child_in_the_background_does_not_keep_the_answer_back(pair: Pair) -> None:
    begun = time.monotonic()
    done, text = pair.do("run", command="sleep 8 & echo started", timeout_s=60)
    assert (done, text) == (True, "started\n\n[exit code 0]")
    assert time.monotonic() - begun < 5
    assert pair.do("run", command="echo next", timeout_s=60)[1].startswith("next\n")
