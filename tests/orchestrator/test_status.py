from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Any

import pytest
from rich.text import Text

from memory.claims import Claims
from memory.trains import Trains
from orchestrator.commands.status import ENDED_SHOWN
from orchestrator.owners import alive, this_process
from orchestrator.telling.board import Board
from orchestrator.telling.page import lines
from story import Story
from tickets.states import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo_project import Demo

HEAD = "0" * 40


@pytest.fixture
def story(demo: Demo) -> Story:
    return Story(demo)


@pytest.fixture
def train(story: Story) -> list[str]:
    """Five changes in the train, one more that left it, one at work, one that waits for a person, one to come."""
    names = story.feature(*"abcdefgh", request="eight modules")
    trains = Trains(story.workspace.database)
    for name in names[:5]:
        story.goes(name, State.QUEUED)
        trains.join(name, "main", attempt=1, head=HEAD)
    trains.leave(names[4], "gate `tests` says no: test_e fails with it and passes without it")
    story.workspace.records.move(names[4], State.REJECTED, "three attempts")
    story.goes(names[5], State.RUNNING)
    story.goes(names[6], State.BLOCKED, "waits for G-0001: dependencies")
    order: list[dict[str, Any]] = [
        {"changes": names[:1], "ahead": [], "state": "passed", "seconds": 3.2},
        {"changes": names[1:3], "ahead": names[:1], "state": "judging", "gate": "tests", "since": time.time() - 3},
    ]
    waiting = [{"ticket": name, "position": 1, "since": "", "reason": ""} for name in names[:3]]
    waiting += [{"ticket": names[3], "position": 4, "since": "", "reason": "behind the window of 3"}]
    story.shows(window=3, slots=2, batch=2, rate=0.125, order=order, waiting=waiting)
    return names


def page(board: dict[str, Any], *, height: int | None = None) -> str:
    return Text.from_markup("\n".join(lines(board, height=height))).plain


# in full, as a line, as a number


def test_open_features_are_in_full_and_ended_ones_are_a_line(story: Story) -> None:
    for number in range(3):
        (name,) = story.feature(f"a{number}", request=f"the request {number}")
        story.goes(name, State.LANDED)
        story.workspace.records.set_feature(f"F-000{number + 1}", "ended", outcome={"outcome": "landed"})
    newest = story.demo.orchestrate("status", exits=0).stdout
    assert "F-0001 landed: the request 0 (1 landed; $0.00 spent)" in newest
    assert "F-0003 landed: the request 2\n  1 landed; $0.00 spent\n  T-0003  landed  add a2" in newest
    story.feature("b", request="what goes on")
    shown = story.demo.orchestrate("status", exits=0).stdout
    assert "F-0003 landed: the request 2 (1 landed; $0.00 spent)" in shown
    assert "F-0004 queued: what goes on\n  1 ready; $0.00 spent\n  T-0004  ready  add b" in shown


def test_of_many_ended_features_the_newest_have_a_line_and_all_can_be_asked_for(story: Story) -> None:
    records = story.workspace.records
    for number in range(ENDED_SHOWN + 3):
        feature = records.add_feature(f"the request {number}", options={}, target="main", before=HEAD)
        records.set_feature(feature, "ended", outcome={"outcome": "refused"})
    data = json.loads(story.demo.orchestrate("status", "--json", exits=0).stdout)
    assert [row["id"] for row in data["features"]] == [f"F-{number:04d}" for number in range(4, ENDED_SHOWN + 4)]
    assert data["left_out"] == 3
    assert "3 more that ended (orchestrate status --all)" in story.demo.orchestrate("status", exits=0).stdout
    everything = json.loads(story.demo.orchestrate("status", "--all", "--json", exits=0).stdout)
    assert len(everything["features"]) == ENDED_SHOWN + 3


def test_a_feature_that_could_not_be_planned_is_not_open(story: Story) -> None:
    records = story.workspace.records
    feature = records.add_feature("odd", options={}, target="main", before=HEAD)
    records.set_feature(feature, "invalid", outcome={"message": "no"})
    waits = records.add_feature("unclear", options={}, target="main", before=HEAD)
    records.set_feature(waits, "waiting", outcome={"questions": []})
    assert [row.id for row in records.open_features()] == [waits]
    assert ([row.id for row in records.ended_features(5)[0]], records.ended_features(0)) == ([feature], ([], 1))


# the page of the train


def test_the_page_says_where_each_change_is_and_why(story: Story, train: list[str]) -> None:
    text = page(Board(story.workspace).look())
    head = story.demo.git("rev-parse", "HEAD")
    for said in (
        f"main at {head[:12]}, judges up to 3 ahead, 2 at once, up to 2 in one run, 12% were at fault so far",
        "  1 T-0001 add a\n    passed in 3 s on main\n",
        "  2 T-0002 add b\n  3 T-0003 add c\n    judging 3 s on main + T-0001, 2 in one run, gate tests\n",
        "  4 T-0004 add d\n    behind the window of 3\n",
        "at work: T-0006 add f",
        "to come: T-0008 add h",
        "waits for a person\n    T-0007 add g: waits for G-0001: dependencies",
        "T-0005 add e: gate `tests` says no: test_e fails with it and passes without it",
        "next: orchestrate resume F-0001",
    ):
        assert said in text
    assert train


def test_the_page_says_whether_anybody_leads_the_train(story: Story, train: list[str]) -> None:
    story.goes(train[7], State.FAILED, "no agent")
    assert "nobody leads the train now" in page(Board(story.workspace).look())
    claims = Claims(story.workspace.database, owner=this_process(), alive=alive)
    with claims.hold("train:main") as claim:
        assert claim
        board = Board(story.workspace).look()
        assert board["train"]["led_by"] == this_process()
        assert "nobody leads" not in page(board)


def test_a_train_that_stands_still_says_what_is_red(story: Story, train: list[str]) -> None:
    records = story.workspace.records
    about = records.ticket(train[0]).about
    board = Board(story.workspace)
    records.note("train.stopped", about, {"target": "main", "finding": "tests/test_lib.py::test_one fails on main"})
    assert "the train stands still: tests/test_lib.py::test_one fails on main" in page(board.look())
    records.note("train.predicted", about, {"changes": train[:1], "ahead": []})
    assert "stands still" not in page(board.look())


def test_what_landed_is_no_longer_among_those_that_left(story: Story, train: list[str]) -> None:
    records, trains = story.workspace.records, Trains(story.workspace.database)
    records.note("landing.moved", records.ticket(train[0]).about, {"target": "main", "new": "b" * 40})
    trains.leave(train[0], "landed")
    board = Board(story.workspace).look()
    assert [one["ticket"] for one in board["landed"]] == [train[0]]
    assert [one["ticket"] for one in board["left"]] == [train[4]]
    assert f"T-0001 add a {'b' * 12}" in page(board)


def test_a_long_train_on_a_low_terminal_keeps_the_end_of_the_page(story: Story) -> None:
    names = story.feature(*(f"m{number}" for number in range(30)), request="thirty modules")
    order = [{"changes": [name], "ahead": names[:place], "state": "waiting"} for place, name in enumerate(names)]
    story.shows(order=order)
    text = page(Board(story.workspace).look(), height=20)
    assert len(text.splitlines()) <= 20
    assert "1 T-0001 add m0" in text
    assert "more behind; a higher terminal shows them" in text
    whole = page(Board(story.workspace).look())
    assert "30 T-0030 add m29\n    waits to be judged on main + 28 changes + T-0029" in whole


def test_marks_in_titles_and_reasons_are_shown_as_they_are(story: Story) -> None:
    (name,) = story.feature("a")
    story.goes(name, State.BLOCKED, "see [red]this[/] and [/nothing]")
    assert "see [red]this[/] and [/nothing]" in page(Board(story.workspace).look())


def test_the_data_of_the_page_once(story: Story, train: list[str]) -> None:
    data = json.loads(story.demo.orchestrate("status", "--watch", "--json", exits=0).stdout)
    assert [car["changes"] for car in data["train"]["order"]] == [train[:1], train[1:3]]
    assert [one["ticket"] for one in data["train"]["behind"]] == [train[3]]
    assert [one["ticket"] for one in data["for_a_person"]] == [train[6]]


def test_the_page_where_nothing_was_asked_for(story: Story) -> None:
    text = page(Board(story.workspace).look())
    assert "no train yet" in text
    assert 'next: orchestrate feature "..."' in text
    assert not (story.demo.root / ".orchestrate").exists()


def test_without_a_terminal_the_page_comes_again_when_it_changed(story: Story, train: list[str]) -> None:
    process = story.demo.start("status", "--watch")
    assert process.stdout is not None
    before = _until(process.stdout, "next: ")
    assert "T-0008 add h" in before
    story.goes(train[7], State.FAILED, "no agent")
    after = _until(process.stdout, "next: ")
    assert "to come" not in after
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "")


def _until(parts: Iterator[str], word: str) -> str:
    """Read until the word has come; give all that came."""
    found = ""
    while word not in found:
        found += next(parts)
    return found


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_on_a_terminal_the_page_fits_whatever_its_size(story: Story, train: list[str]) -> None:
    terminal, theirs = pty.openpty()
    _resize(terminal, lines=12, columns=30)
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "status", "--watch"],
        cwd=story.demo.root,
        env=story.demo.environment | {"TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = _shown(terminal)
    assert "fails with it" not in _until(shown, "T-0001")
    _resize(terminal, lines=50, columns=100)
    _until(shown, "fails with it and passes without it")
    process.send_signal(signal.SIGINT)
    *_, last = shown
    assert process.wait(timeout=30) == 130
    assert "next: orchestrate resume F-0001" in last  # what was seen last stays on the screen
    os.close(terminal)
    assert train


def _resize(terminal: int, *, lines: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def _shown(terminal: int) -> Iterator[str]:
    """Give what came from the terminal each time that there is something, until its end."""
    while True:
        try:
            data = os.read(terminal, 1 << 16)
        except OSError:  # how the end of a terminal is told
            return
        if not data:
            return
        yield data.decode(errors="replace")
