from __future__ import annotations

import json
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from memory.events import About, read
from orchestrator.telling import stream
from orchestrator.telling.sentences import in_full
from orchestrator.telling.stream import told
from story import Story
from tickets.errors import InputError
from tickets.states import State

if TYPE_CHECKING:
    from pathlib import Path

    from demo_project import Demo

KEYS = ["seq", "at", "kind", "feature", "ticket", "attempt", "data"]


@pytest.fixture
def story(demo: Demo) -> Story:
    return Story(demo)


def parsed(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_each_event_is_one_line_as_it_happens(story: Story, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text('{"mine": true}\n', encoding="utf-8")
    story.feature("a")
    with told(story.demo.root, str(file), json=True):
        (ticket,) = story.feature("b")
        story.goes(ticket, State.RUNNING)
        until = time.monotonic() + 10
        while "ticket.state" not in file.read_text("utf-8") and time.monotonic() < until:
            time.sleep(0.01)
        assert parsed(file.read_text("utf-8"))[-1]["kind"] == "ticket.state"
    first, *lines = parsed(file.read_text("utf-8"))
    assert first == {"mine": True}
    assert [list(line) for line in lines] == [KEYS] * 3
    assert [line["kind"] for line in lines] == ["feature.asked", "feature.planned", "ticket.state"]
    assert lines[-1] | {"at": "", "seq": 0} == {
        "seq": 0,
        "at": "",
        "kind": "ticket.state",
        "feature": "F-0002",
        "ticket": ticket,
        "attempt": 0,
        "data": {"from": "ready", "to": "running", "reason": ""},
    }


def test_events_begin_before_there_is_anything_in_the_repository(story: Story, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    with told(story.demo.root, str(file), json=False):
        story.feature("a")
    assert [line["seq"] for line in parsed(file.read_text("utf-8"))] == [1, 2]


@pytest.mark.parametrize("to", ["gone/events.jsonl", "folder", "pipe", "nul\0"])
def test_what_cannot_be_written_is_said_before_anything_starts(story: Story, tmp_path: Path, to: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="cannot be written"), told(story.demo.root, str(tmp_path / to), json=False):
        raise AssertionError


def test_a_file_that_cannot_be_written_ends_the_command_line(story: Story) -> None:
    done = story.demo.orchestrate("feature", "two modules", "--events", "gone/events.jsonl", "--json", exits=2)
    assert "--events gone/events.jsonl: cannot be written" in json.loads(done.stdout)["error"]
    assert not (story.demo.root / ".orchestrate").exists()


def test_two_documents_do_not_share_standard_output(story: Story) -> None:
    for command in (("feature", "two modules"), ("resume",)):
        done = story.demo.orchestrate(*command, "--events", "-", "--json", exits=2)
        assert "--events - and --json both want standard output" in done.stderr


def test_with_a_dash_nothing_else_is_on_standard_output(story: Story) -> None:
    done = story.demo.orchestrate("resume", "--events", "-", exits=0)
    assert (done.stdout, "nothing was interrupted" in done.stderr) == ("", True)


def test_a_reader_that_goes_away_stops_nothing(story: Story, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with told(story.demo.root, str(pipe), json=False):
        story.feature("a")
        time.sleep(0.2)
        os.close(reader)
        (ticket,) = story.feature("b")
        time.sleep(0.2)
        story.goes(ticket, State.RUNNING)
    assert story.workspace.records.ticket(ticket).state is State.RUNNING


def test_a_reader_that_sleeps_holds_up_nothing(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LAST_S", 0.2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    begun = time.monotonic()
    with told(story.demo.root, str(pipe), json=False):
        story.feature("a")
        story.workspace.records.note("plan.step", About(), {"said": "x" * 200_000})  # more than a pipe holds
        time.sleep(0.2)
        story.feature("b")
    assert time.monotonic() - begun < 5
    os.close(reader)


# the log


def test_the_log_is_followed_until_somebody_interrupts(story: Story) -> None:
    (ticket,) = story.feature("a")
    process = story.demo.start("log", "--follow", "--json", "--ticket", ticket)
    assert process.stdout is not None
    seen = []
    story.goes(ticket, State.RUNNING)
    seen.append(json.loads(process.stdout.readline()))
    story.feature("b")
    story.workspace.records.note("train.judged", About(), {"changes": [ticket], "verdict": "pass"})
    seen.append(json.loads(process.stdout.readline()))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert [(line["kind"], list(line)) for line in seen] == [("ticket.state", KEYS), ("train.judged", KEYS)]


def test_a_log_whose_reader_went_away_just_ends(story: Story) -> None:
    story.feature("a")
    process = story.demo.start("log", "--follow")
    assert process.stdout is not None
    assert "asked: some modules" in process.stdout.readline()
    process.stdout.close()
    threading.Timer(0.2, story.feature, ("b",)).start()
    assert process.wait(timeout=30) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()


def test_the_log_says_what_each_event_means(story: Story) -> None:
    (ticket,) = story.feature("a")
    records = story.workspace.records
    about = records.ticket(ticket).about
    for kind, data in TOLD:
        records.note(kind, about, data)
    said = {event.kind: in_full(event, "add [a]") for event in read(story.workspace.database)}
    assert said["train.joined"] == "T-0001 joined the train at place 3  add \\[a]"
    assert said["train.predicted"] == "T-0001 is predicted on the target with T-0007, T-0008"
    assert said["train.judged"] == (
        "T-0001, T-0002 judged in the train on the target: [red]fail[/] in 2.5 s; at fault: T-0002"
    )
    assert said["train.left"] == "T-0001 left the train  add \\[a]: gate tests says no"
    assert said["train.stopped"] == "[red]the train stopped[/]: tests/test_a.py fails"
    assert said["train.window"] == "the train judges up to 4 ahead now (was 8)"
    assert said["landing.moved"] == f"T-0001 moved main to {'b' * 12}  add \\[a]"
    assert said["something.new"] == 'T-0001 something.new {"x": 1}'
    text = story.demo.orchestrate("log", "--ticket", ticket, exits=0).stdout
    assert "T-0001 left the train  add a: gate tests says no" in text
    assert len(text.splitlines()) == len(TOLD)
    assert "there is no ticket T-0099" in story.demo.orchestrate("log", "--ticket", "T-0099", exits=2).stderr


TOLD: list[tuple[str, dict[str, Any]]] = [
    ("train.joined", {"seq": 3}),
    ("train.predicted", {"changes": ["T-0001"], "ahead": ["T-0007", "T-0008"]}),
    ("train.started", {"changes": ["T-0001"], "ahead": []}),
    ("train.judged", {"changes": ["T-0001", "T-0002"], "verdict": "fail", "seconds": 2.5, "blamed": ["T-0002"]}),
    ("train.left", {"reason": "gate tests says no"}),
    ("train.window", {"window": 4, "before": 8}),
    ("train.stopped", {"target": "main", "finding": "tests/test_a.py fails"}),
    ("train.waiting", {"reason": "it has waited for 61 minutes to land"}),
    ("landing.intended", {"old": "a" * 40, "new": "b" * 40}),
    ("landing.moved", {"target": "main", "old": "a" * 40, "new": "b" * 40}),
    ("landing.pushed", {"remote": "origin"}),
    ("landing.revert-asked", {"ticket": "T-0009", "reason": "it was slow"}),
    ("landing.followed", {"worktree": "/x", "left_alone": [], "trouble": ""}),
    ("hook.failed", {"hook": "x", "event": 3, "reason": "exit code 1", "again": False}),
    ("runner.recovered", {"archived": ["t-0001"], "locks": []}),
    ("something.new", {"x": 1}),
]


@pytest.mark.parametrize(("kind", "data"), TOLD)
def test_every_sentence_bears_events_that_say_less_than_it_hopes(story: Story, kind: str, data: dict[str, Any]) -> None:
    story.feature("a")
    story.workspace.records.note(kind, About(), {name: data[name] for name in list(data)[:1]})
    (event,) = read(story.workspace.database, after=2)
    assert in_full(event, "")
