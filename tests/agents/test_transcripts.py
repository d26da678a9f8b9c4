from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from agents.causes import Cause
from agents.transcript import Transcript
from agents.transcripts import RESULT_LINES, SAID_LINES, markdown, read, render, visible
from agents.usage import Usage

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "\x1b]0;title\x07\x1b[2J\r\u202ereversed\x9b31m\u2028next\x00"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "transcript.jsonl"


@pytest.fixture
def told(file: Path) -> Transcript:
    return Transcript(file=file, mask=lambda text: text.replace("hunter2", "***"))


def lines(file: Path, width: int = 80) -> list[str]:
    return render(read(file), width=width).split("\n")


def test_a_run_reads_as_who_said_what(told: Transcript, file: Path) -> None:
    told.told("Add src/a.py.\nNothing else.")
    told.thought("hunter2 is the password")
    told.said("I add it.")
    told.call("1", "Write", {"file_path": "src/a.py", "content": "x = 1\n" * 40})
    told.result("1", "src/a.py is not in the scope", state="refused")
    told.call("2", "Bash", {"command": "make"})
    told.result("2", "exit code 2", state="failed")
    told.result("3", "\n".join(str(number) for number in range(30)))
    told.note("asked 1 of 2")
    told.usage(Usage(input=1200, cached=800, output=30, usd=0.0125, model="m-1"))
    told.ended(Cause.EMPTY, "it reported nothing")
    shown = lines(file)
    assert shown[:7] == [
        "TOLD",
        "    Add src/a.py.",
        "    Nothing else.",
        "THOUGHT",
        "    *** is the password",
        "SAID",
        "    I add it.",
    ]
    assert shown[7].startswith('CALL Write file_path="src/a.py" content="x = 1')
    assert len(shown[7]) == 80
    assert shown[7].endswith("…")
    assert shown[8:12] == [
        "  REFUSED src/a.py is not in the scope",
        'CALL Bash command="make"',
        "  FAILED exit code 2",
        "  -> 0",
    ]
    assert shown[12 + RESULT_LINES - 1] == f"    [{30 - RESULT_LINES} more lines]"
    assert shown[-4:] == [
        "NOTE",
        "    asked 1 of 2",
        "USED 1200 tokens read (800 from a cache), 30 written, $0.0125, m-1",
        "ENDED empty: it reported nothing",
    ]


def test_what_a_terminal_would_obey_is_spelled_out_wherever_a_model_can_put_it(told: Transcript, file: Path) -> None:
    told.said(HOSTILE)
    told.call(HOSTILE, HOSTILE, {HOSTILE: HOSTILE})
    told.result("1", HOSTILE, state="refused")
    told.usage(Usage(model=HOSTILE))
    told.ended(Cause.FAILED, HOSTILE)
    for shown in (render(read(file), width=2000), markdown(read(file))):
        assert not re.search(r"[^\n\t\x20-\x7e\u2026]", shown)
        assert "\\x1b]0;title\\x07" in shown
        assert "\\u202e" in shown


def test_tabs_and_other_scripts_stay_as_they_are() -> None:
    assert visible("a\tb\nÄ 字 🚀") == "a\tb\nÄ 字 🚀"


def test_long_speech_is_folded_and_wrapped(told: Transcript, file: Path) -> None:
    told.said("word " * 100 + "\n" + "x\n" * (SAID_LINES + 5))
    shown = lines(file, width=60)
    assert max(map(len, shown)) <= 60
    assert shown[-1] == "    [6 more lines]"


@pytest.mark.parametrize(
    "broken",
    [
        b'{"kind": "said", "te',
        b"\xff\xfe garbage",
        b"[]",
        b'{"kind": "surprise"}',
        b'{"kind": ["said"]}',
        b"[" * 100_000,
    ],
)
def test_a_line_that_cannot_be_read_is_a_note_and_the_others_stand(told: Transcript, file: Path, broken: bytes) -> None:
    told.said("before")
    with file.open("ab") as stream:
        stream.write(broken + b"\n")
    told.said("after")
    assert [event.kind for event in read(file)] == ["said", "note", "said"]
    assert "line 2 of the transcript cannot be read" in render(read(file), width=200)


def test_values_of_a_wrong_kind_are_left_out(file: Path) -> None:
    file.parent.mkdir()
    events = [
        {"kind": "said", "text": 5},
        {"kind": "call", "tool": None, "given": "x"},
        {"kind": "result", "state": "odd", "text": None},
        {"kind": "usage", "usd": "much"},
        {"kind": "ended", "at": 7},
    ]
    file.write_text("".join(f"{json.dumps(event)}\n" for event in events), encoding="utf-8")
    assert lines(file) == ["SAID", "CALL ?", "  ->", "USED 0 tokens read (0 from a cache), 0 written", "ENDED "]
    assert len(markdown(read(file)).split("\n\n")) > 4


def test_what_was_said_cannot_close_its_fence_in_markdown(told: Transcript, file: Path) -> None:
    told.said("````\n# not a heading\n```")
    told.call("1", "Bash", {"command": "echo `` <b>"})
    shown = markdown(read(file))
    assert "`````text\n````\n# not a heading\n```\n`````" in shown
    assert shown.endswith('**CALL** `` Bash command="echo ` ` <b>" ``')


def test_arguments_nested_without_end_are_left_out_and_nothing_else(told: Transcript, file: Path) -> None:
    given: dict[str, object] = {}
    for _ in range(2000):
        given = {"a": given}
    told.call("1", "Write hunter2", given)
    (event,) = (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines())
    assert (event["id"], event["tool"], event["given"]) == ("1", "Write ***", "[nested too deeply to be kept]")
