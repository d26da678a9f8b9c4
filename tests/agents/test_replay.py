from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from agents.causes import Cause
from agents.drivers.replay import ReplayDriver
from agents.protocol import Assignment, Facts, Outcome, PlanningTask, Question
from agents.recordings import File, Recording, hash_of, save
from agents.transcripts import read
from agents.usage import NOTHING, Usage
from tickets.errors import InputError
from tickets.model import Ticket
from workbench import Desk, workbench

if TYPE_CHECKING:
    from pathlib import Path

    from agents.protocol import Bench

BRIEF = "# T-0001\nAdd it.\n"
TICKET = Ticket.model_validate(
    {
        "id": "T-0001",
        "title": "t",
        "objective": "o",
        "non_goals": ("n",),
        "scope": {"new": ("a",)},
        "acceptance": ({"run": ("true",)},),
    }
)
ENDED = Outcome(
    ending="done",
    cause=Cause.DONE,
    reason="",
    report="## Summary\nit is there",
    transcript="/elsewhere",
    used=Usage(input=10, output=2, usd=0.5),
    session="s",
    client="fake 1",
)
Made = tuple[str, Any, bytes]


@dataclass(frozen=True, kw_only=True)
class Stage:
    bench: Bench
    driver: ReplayDriver

    def keep(self, *made: Made, **more: Any) -> Path:
        files = tuple(
            File.model_construct(path=path, mode=mode, content=base64.b64encode(data).decode())
            for path, mode, data in made
        )
        values: dict[str, Any] = {
            "brief_sha256": hash_of(BRIEF),
            "title": "t",
            "recorded_from": "T-0001 attempt 1",
            "outcome": ENDED.to_json(),
            "files": files,
        }
        return save(self.driver.folder, Recording.model_construct(**(values | more)))

    def work(self, brief: str = BRIEF) -> Outcome:
        return self.driver.work(Assignment(ticket=TICKET, attempt=1, brief=brief, bench=self.bench))

    def tree(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for path in sorted(self.bench.tree.rglob("*")):
            if path.is_symlink():
                found[str(path.relative_to(self.bench.tree))] = str(path.readlink())
            elif path.is_file():
                found[str(path.relative_to(self.bench.tree))] = path.read_bytes()
        return found


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(bench=workbench(tmp_path, Desk()), driver=ReplayDriver(name="again", folder=tmp_path / "recordings"))


def test_what_was_recorded_is_made_exactly(stage: Stage) -> None:
    (stage.bench.tree / "old" / "deep").mkdir(parents=True)
    (stage.bench.tree / "old" / "deep" / "gone.py").write_text("x", encoding="utf-8")
    (stage.bench.tree / "kept.py").write_text("kept", encoding="utf-8")
    (stage.bench.tree / "changed.py").write_text("before", encoding="utf-8")
    (stage.bench.tree / "link").write_text("a file becomes a link", encoding="utf-8")
    stage.keep(
        ("old/deep/gone.py", "deleted", b""),
        ("changed.py", "100644", b"after\r\n\x00"),
        ("src/new/tool.sh", "100755", b"#!/bin/sh\n"),
        ("link", "120000", b"src/new/tool.sh"),
        ("old", "100644", b"a folder becomes a file"),
    )
    outcome = stage.work()
    assert (outcome.ending, outcome.cause, outcome.report) == ("done", Cause.DONE, "## Summary\nit is there")
    assert stage.tree() == {
        "changed.py": b"after\r\n\x00",
        "kept.py": b"kept",
        "link": "src/new/tool.sh",
        "old": b"a folder becomes a file",
        "src/new/tool.sh": b"#!/bin/sh\n",
    }
    modes = {name: (stage.bench.tree / name).stat().st_mode & 0o777 for name in ("changed.py", "src/new/tool.sh")}
    assert modes == {"changed.py": 0o644, "src/new/tool.sh": 0o755}


def test_nothing_is_used_and_no_session_is_left(stage: Stage) -> None:
    stage.keep()
    outcome = stage.work()
    assert (outcome.used, outcome.counted, outcome.session) == (NOTHING, NOTHING, "")
    assert outcome.client == "fake 1"


def test_the_transcript_is_told_again(stage: Stage) -> None:
    told = [
        {"kind": "said", "text": "hello"},
        {"kind": "call", "id": "1", "tool": "Write", "given": {"a": 1}},
        {"kind": "result", "id": "1", "text": "no", "state": "refused"},
        {"kind": "usage", "input": 5},
        {"kind": "ended", "cause": "done", "text": ""},
        {"kind": "odd"},
        {},
    ]
    stage.keep(transcript=tuple(told))
    stage.work()
    kinds = [event.kind for event in read(stage.bench.transcript.file)]
    assert kinds == ["note", "said", "call", "result", "note", "ended"]


def test_another_brief_is_refused_and_named_by_its_hash(stage: Stage) -> None:
    stage.keep(("a", "100644", b"x"))
    outcome = stage.work(f"{BRIEF} ")
    assert (outcome.ending, outcome.cause) == ("not-started", Cause.MISSING)
    assert hash_of(f"{BRIEF} ") in outcome.reason
    assert "orchestrate agents record" in outcome.reason
    assert stage.tree() == {}


def test_a_recording_under_the_name_of_another_is_refused(stage: Stage) -> None:
    file = stage.keep(("a", "100644", b"x"))
    file.rename(file.with_name(f"{hash_of('other')}.json"))
    assert "it is the recording of another brief" in stage.work("other").reason


@pytest.mark.parametrize(
    "path",
    [
        "../out",
        "/etc/out",
        "a/../../out",
        ".",
        "",
        "a//b",
        "./a",
        ".git/config",
        "a/.GIT/x",
        ".git. ",
        "git~1/x",
        "a\0b",
    ],
)
def test_a_path_that_leaves_the_tree_is_refused_before_anything_is_written(stage: Stage, path: str) -> None:
    stage.keep(("good", "100644", b"x"), (path, "100644", b"x"))
    outcome = stage.work()
    assert outcome.cause is Cause.MISSING
    assert "expected a path inside the tree" in outcome.reason
    assert stage.tree() == {}


def test_no_link_is_followed(stage: Stage, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("as it was", encoding="utf-8")
    (stage.bench.tree / "folder").symlink_to(outside)
    (stage.bench.tree / "file").symlink_to(outside / "victim")
    stage.keep(("folder/new", "100644", b"x"))
    assert "folder/new cannot be made as it was recorded" in stage.work().reason
    stage.keep(("folder/victim", "deleted", b""))
    assert stage.work().cause is Cause.MISSING
    stage.keep(("file", "100644", b"a file of its own"))
    assert stage.work().cause is Cause.DONE
    assert (outside / "victim").read_text(encoding="utf-8") == "as it was"
    assert sorted(path.name for path in outside.iterdir()) == ["victim"]


def test_a_recorded_link_out_of_the_tree_is_not_used_as_a_folder(stage: Stage, tmp_path: Path) -> None:
    stage.keep(("way", "120000", str(tmp_path).encode()), ("way/out", "100644", b"x"))
    assert stage.work().cause is Cause.MISSING
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_files_is_not_taken_away(stage: Stage) -> None:
    (stage.bench.tree / "a").mkdir()
    (stage.bench.tree / "a" / "mine").write_text("x", encoding="utf-8")
    stage.keep(("a", "100644", b"x"))
    assert "a cannot be made as it was recorded" in stage.work().reason


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"brief_sha256": 5}',
        '{"a": 1, "a": 2}',
        "\x00",
        json.dumps({"files": [{"path": "a", "mode": "100666"}]}),
    ],
)
def test_a_recording_that_is_none_is_one_clear_sentence(stage: Stage, text: str) -> None:
    stage.driver.folder.mkdir()
    (stage.driver.folder / f"{hash_of(BRIEF)}.json").write_text(text, encoding="utf-8")
    outcome = stage.work()
    assert outcome.cause is Cause.MISSING
    assert ".json" in outcome.reason


@pytest.mark.parametrize(
    "outcome", [{}, {"cause": "odd"}, {"cause": "done", "used": {"x": 1}, "counted": {}, "calls": []}]
)
def test_an_outcome_of_another_version_is_refused(stage: Stage, outcome: dict[str, Any]) -> None:
    stage.keep(outcome=outcome)
    assert "is none of this version" in stage.work().reason


def test_content_that_is_no_base64_is_refused(stage: Stage) -> None:
    file = stage.keep(("a", "100644", b"x"))
    file.write_text(file.read_text(encoding="utf-8").replace("eA==", "?"), encoding="utf-8")
    assert "the content of a is no base64" in stage.work().reason


def test_a_lead_and_an_auditor_are_answered_from_recordings_too(stage: Stage) -> None:
    stage.keep(outcome=None, answer='{"findings": []}')
    question = Question(ticket=TICKET, attempt=1, phase=1, brief=BRIEF, bench=stage.bench)
    facts = Facts(project="p", target="main", paths=(), read=lambda _: None)
    assert stage.driver.answer(question) == '{"findings": []}'
    assert (
        stage.driver.plan(PlanningTask(request="r", brief=BRIEF, facts=facts, bench=stage.bench)) == '{"findings": []}'
    )
    assert "recorded as an answer, not as an attempt" in stage.work().reason
    stage.keep()
    with pytest.raises(InputError, match="recorded as an attempt, not as an answer"):
        stage.driver.answer(question)


def test_it_is_ready_where_there_are_recordings(stage: Stage) -> None:
    assert not stage.driver.probe().ready
    stage.keep()
    assert stage.driver.probe().detail.startswith("1 recording")
    assert not stage.driver.runs_foreign_code
