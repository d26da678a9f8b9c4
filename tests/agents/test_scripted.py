from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from agents.drivers.scripted import STEPS, ScriptedDriver
from agents.protocol import Assignment, Bench, Facts, Outcome, PlanningTask, Question
from tickets.errors import FileError, InputError
from tickets.model import Ticket
from workbench import Desk, workbench


@dataclass(frozen=True)
class Theatre:
    """Plays scripts on a bench of its own."""

    bench: Bench
    script: Path

    @property
    def tree(self) -> Path:
        return self.bench.tree

    @property
    def driver(self) -> ScriptedDriver:
        return ScriptedDriver(name="actor", script=self.script)

    def play(self, *steps: object, **bounds: Any) -> Outcome:
        self.write(json.dumps({"tickets": {"*": [list(steps)]}}))
        return self.work(**bounds)

    def write(self, text: str) -> None:
        self.script.write_text(text, encoding="utf-8")

    def work(self, *, ticket: str = "T-0001", title: str = "add a", attempt: int = 1, **bounds: Any) -> Outcome:
        values = {"id": ticket, "title": title, "objective": "o", "non_goals": ("n",), "scope": {}, "acceptance": ()}
        bench = replace(self.bench, bounds=replace(self.bench.bounds, **bounds))
        return self.driver.work(
            Assignment(ticket=Ticket.model_validate(values), attempt=attempt, brief="", bench=bench)
        )

    def plan(self) -> str:
        facts = Facts(project="p", target="main", paths=(), read=lambda _: None)
        return self.driver.plan(PlanningTask(request="x", brief="", facts=facts, bench=self.bench))

    def answer(self, attempt: int, phase: int) -> str:
        values = {"id": "T-0001", "title": "t", "objective": "o", "non_goals": ("n",), "scope": {}, "acceptance": ()}
        ticket = Ticket.model_validate(values)
        return self.driver.answer(Question(ticket=ticket, attempt=attempt, phase=phase, brief="", bench=self.bench))

    def files(self) -> dict[str, str]:
        return {
            str(path.relative_to(self.tree)): path.read_text()
            for path in self.tree.rglob("*")
            if path.is_file() and ".git" not in path.parts
        }


@pytest.fixture
def theatre(tmp_path: Path) -> Theatre:
    bench = workbench(tmp_path, Desk())
    return Theatre(bench, tmp_path / "script.yaml")


def test_files_are_written_and_added_to_and_deleted(theatre: Theatre) -> None:
    (theatre.tree / "old").mkdir()
    (theatre.tree / "old" / "f").touch()
    (theatre.tree / "gone").touch()
    (theatre.tree / "link").symlink_to("old")
    outcome = theatre.play(
        {"write": {"path": "deep/a.py", "text": "ä = 1\n"}},
        {"append": {"path": "deep/a.py", "text": "b = 2\n"}},
        {"append": {"path": "new.py", "text": "c\n"}},
        {"delete": "gone"},
        {"delete": "link"},
        {"delete": "old"},
    )
    assert (outcome.ending, outcome.reason, outcome.report) == ("done", "", None)
    assert theatre.files() == {"deep/a.py": "ä = 1\nb = 2\n", "new.py": "c\n"}
    assert not (theatre.tree / "old").exists()
    assert not (theatre.tree / "link").is_symlink()


def test_a_shell_line_runs_in_the_tree(theatre: Theatre) -> None:
    outcome = theatre.play({"write": {"path": "a", "text": "1"}}, {"shell": "tr 1 2 < a > b"}, {"shell": "false"})
    assert outcome.ending == "done"
    assert theatre.files() == {"a": "1", "b": "2"}


def test_what_is_said_is_in_the_transcript(theatre: Theatre) -> None:
    outcome = theatre.play({"say": "hello ü"}, {"say": "again"})
    assert Path(outcome.transcript).read_text(encoding="utf-8") == "hello ü\nagain\n"


def test_a_report_is_what_the_script_says(theatre: Theatre) -> None:
    outcome = theatre.play({"report": "## Summary\n\nmine"})
    assert outcome.report == "## Summary\n\nmine"


def test_an_honest_report_names_what_was_written(theatre: Theatre) -> None:
    report = theatre.play(
        {"write": {"path": "a.py", "text": ""}}, {"write": {"path": "a.py", "text": "x"}}, {"report": "auto"}
    ).report
    assert report is not None
    assert report.count("- `a.py`") == 1
    for section in (
        "## Summary",
        "## Files Changed",
        "## Verification",
        "## Risks / Edge Cases",
        "## Out-of-Scope Issues Found",
    ):
        assert re.search(rf"^{section}\n\n\S", report, re.MULTILINE)


def test_a_lie_claims_what_is_not_so(theatre: Theatre) -> None:
    report = theatre.play({"write": {"path": "a.py", "text": ""}}, {"report": "lie"}).report
    assert report is not None
    assert "a.py`" not in report
    assert "PASS" in report


@pytest.mark.parametrize(("code", "ending"), [(0, "done"), (3, "failed")])
def test_an_exit_ends_the_play(code: int, ending: str, theatre: Theatre) -> None:
    outcome = theatre.play({"exit": code}, {"write": {"path": "late", "text": "x"}})
    assert outcome.ending == ending
    assert theatre.files() == {}


def test_a_step_that_fails_ends_the_play_as_a_failure(theatre: Theatre) -> None:
    assert theatre.play({"delete": "nothing"}).ending == "failed"


def test_sleeping_takes_its_time(theatre: Theatre) -> None:
    assert theatre.play({"sleep": 0.3}).seconds >= 0.3


# misbehaviour


def test_a_hang_is_ended_although_it_ignores_the_polite_signal(theatre: Theatre) -> None:
    outcome = theatre.play({"hang": True}, timeout_s=1.0)
    assert outcome.ending == "timeout"
    assert outcome.seconds < 30


def test_a_crash_is_a_failure(theatre: Theatre) -> None:
    outcome = theatre.play({"crash": True})
    assert outcome.ending == "failed"
    assert "-11" in outcome.reason


def test_git_plants_a_repository(theatre: Theatre) -> None:
    outcome = theatre.play({"write": {"path": "a", "text": "x"}}, {"git": True})
    assert outcome.ending == "done"
    assert (theatre.tree / ".git" / "HEAD").is_file()


def test_writing_outside_is_tried_and_a_refusal_told(theatre: Theatre, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    outcome = theatre.play({"outside": str(tmp_path / "elsewhere" / "x")}, {"outside": str(tmp_path / "file" / "x")})
    assert outcome.ending == "done"
    assert "hostile" in (tmp_path / "elsewhere" / "x").read_text()
    assert "could not write" in Path(outcome.transcript).read_text()


def test_filling_the_disk_is_stopped(theatre: Theatre) -> None:
    assert theatre.play({"fill": 3}).ending == "done"
    assert (theatre.tree / "filler.bin").stat().st_size == 3 << 20
    assert theatre.play({"fill": 400}, {"sleep": 30}, disk_bytes=1 << 20).ending == "disk"


def test_a_flood_is_kept_in_part(theatre: Theatre) -> None:
    outcome = theatre.play({"flood": 20})
    assert outcome.ending == "done"
    assert 1 << 20 < Path(outcome.transcript).stat().st_size < 12 << 20


def test_an_orphan_is_ended_before_it_can_write(theatre: Theatre) -> None:
    outcome = theatre.play({"orphan": 0.8}, {"sleep": 0.2})
    assert (outcome.ending, outcome.survivors) == ("done", 1)
    assert "late.txt" not in theatre.files()


@pytest.mark.parametrize(("code", "report"), [("ln -s /etc/passwd", None), ("mkdir", None)])
def test_a_report_that_is_no_file_is_none(code: str, report: str | None, theatre: Theatre) -> None:
    assert theatre.play({"shell": f'{code} "$ORCHESTRATE_REPORT"'}).report is report


def test_every_step_that_is_offered_can_be_played() -> None:
    from agents.scripted_player import Player

    assert all(callable(getattr(Player, step)) for step in STEPS)
    public = {name for name in vars(Player) if not name.startswith("_")}
    assert public == STEPS


# choosing


SCRIPT = """\
tickets:
  T-0007:
    - - write: {path: by-id, text: x}
  "add *":
    - - write: {path: one, text: x}
    - - write: {path: two, text: x}
  "[!x]*": []
"""


@pytest.mark.parametrize(
    ("ticket", "title", "attempt", "files"),
    [
        ("T-0007", "add a", 1, {"by-id"}),
        ("T-0001", "add a", 1, {"one"}),
        ("T-0001", "add a", 2, {"two"}),
        ("T-0001", "add a", 9, {"two"}),
        ("T-0001", "Add a", 1, set()),
    ],
)
def test_the_first_entry_that_fits_is_played(
    ticket: str, title: str, attempt: int, files: set[str], theatre: Theatre
) -> None:
    theatre.write(SCRIPT)
    assert theatre.work(ticket=ticket, title=title, attempt=attempt).ending == "done"
    assert set(theatre.files()) == files


@pytest.mark.parametrize("text", ["tickets: {}", "plan: {}", "tickets:", 'tickets: {"other": []}'])
def test_no_entry_that_fits_is_an_error(text: str, theatre: Theatre) -> None:
    theatre.write(text)
    with pytest.raises(InputError, match=r"no entry of `tickets:` fits T-0001 \(add a\)"):
        theatre.work()


@pytest.mark.parametrize(
    ("text", "line", "key", "said"),
    [
        ("tickets:\n  '*':\n    - - write: {path: a, text: b}\n      - dance: 1\n", 4, "tickets.*.0.1", "'dance'"),
        ("tickets:\n  '*':\n    - - write: {path: a, text: b}\n        say: x\n", 3, "tickets.*.0.0", "in each step"),
        ("tickets:\n  '*':\n    - - __init__: x\n", 3, "tickets.*.0.0", "__init__"),
        ("tickets:\n  '*':\n    - - just words\n", 3, "tickets.*.0.0", "just words"),
        ("tickets:\n  '*':\n    - - {}\n", 3, "tickets.*.0.0", "in each step"),
        ("tickets:\n  '*':\n    - say: x\n", 3, "tickets.*.0", "a list of steps"),
        ("tickets:\n  '*': x\n", 2, "tickets.*", "a list of attempts"),
        ("tickets:\n  '*': {a: 1}\n", 2, "tickets.*", "a list of attempts"),
        ("tickets: [a]\n", 1, "tickets", "patterns of ids or titles"),
        ("tickets:\n  a: 1\n  a: 2\n", 3, "", "duplicate key"),
        ("- a\n", 1, "", "a mapping with `plan:`"),
    ],
)
def test_a_script_that_is_wrong_is_refused_with_file_and_line(
    text: str, line: int, key: str, said: str, theatre: Theatre
) -> None:
    theatre.write(text)
    with pytest.raises(FileError) as caught:
        theatre.work()
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.key) == (str(theatre.script), line, key)
    assert said in problem.expected
    assert theatre.files() == {}


def test_values_that_yaml_makes_dates_of_are_played_as_text(theatre: Theatre) -> None:
    theatre.write("tickets:\n  '*':\n    - - say: 2026-01-02\n")
    assert Path(theatre.work().transcript).read_text() == "2026-01-02\n"


# as a lead, and probing


def test_a_scripted_lead_gives_its_plan(theatre: Theatre) -> None:
    theatre.write("plan: {request: r, tickets: []}")
    assert json.loads(theatre.plan()) == {"request": "r", "tickets": []}


@pytest.mark.parametrize("text", ["tickets: {}", "plan: [1]", "plan: words"])
def test_a_script_without_a_plan_is_no_lead(text: str, theatre: Theatre) -> None:
    theatre.write(text)
    with pytest.raises(InputError, match="expected a mapping `plan:`"):
        theatre.plan()


def test_a_probe_reads_the_script(theatre: Theatre) -> None:
    assert theatre.driver.probe().ready is False
    assert "cannot be read" in theatre.driver.probe().detail
    theatre.write("tickets: [")
    assert theatre.driver.probe().ready is False
    theatre.write("tickets: {}")
    assert theatre.driver.probe().ready is True


def test_an_auditor_answers_by_attempt_and_phase_and_the_last_attempt_repeats(theatre: Theatre) -> None:
    theatre.write(json.dumps({"audit": [[{"findings": [1]}, "in words"], [{"findings": []}, {}]]}))
    assert [theatre.answer(1, 1), theatre.answer(1, 2)] == ['{"findings": [1]}', "in words"]
    assert [theatre.answer(2, 1), theatre.answer(9, 1), theatre.answer(9, 2)] == [
        '{"findings": []}',
        '{"findings": []}',
        "{}",
    ]


@pytest.mark.parametrize("audit", [None, [], {}, [[]], ["x"], [["only one"]]])
def test_an_auditor_without_an_answer_says_where_it_is_missing(theatre: Theatre, audit: object) -> None:
    theatre.write(json.dumps({"audit": audit}))
    with pytest.raises(FileError, match="audit"):
        theatre.answer(1, 2)
