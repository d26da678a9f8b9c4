"""Gemini CLI and opencode over the Agent Client Protocol, against the scripted model: what they ask, and what comes of a no."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from agents.causes import Cause
from agents.drivers.acp import AcpDriver
from agents.protocol import Assignment, Outcome
from agents.transcripts import read
from tickets.agents import Agent
from tickets.model import Ticket
from workbench import Desk, Stage, forbidding, workbench
from worktrees.gateway import gateway
from worktrees.levels import available

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agents.protocol import Bench
    from agents.scripted_model.server import ModelServer

    Model = Callable[..., ModelServer]

pytestmark = pytest.mark.clients
TICKET = Ticket.model_validate(
    {
        "id": "T-0001",
        "title": "t",
        "objective": "o",
        "non_goals": ("n",),
        "scope": {"new": ("src/new.py",)},
        "acceptance": ({"run": ("true",)},),
    }
)


@dataclass(frozen=True, kw_only=True)
class Words:
    """How a client's tools are called."""

    command: tuple[str, ...]
    write: Callable[[str], dict[str, Any]]
    run: Callable[[str], dict[str, Any]]
    read: Callable[[str], dict[str, Any]]


@pytest.fixture(params=["gemini", "opencode"])
def words(request: pytest.FixtureRequest) -> Words:
    if request.param == "gemini":
        return Words(
            command=(*request.getfixturevalue("gemini"), "--acp", "-m", "gemini-2.5-pro"),
            write=lambda path: {"name": "write_file", "input": {"file_path": path, "content": "x = 1\n"}},
            run=lambda line: {"name": "run_shell_command", "input": {"command": line, "description": "it"}},
            read=lambda path: {"name": "read_file", "input": {"file_path": path}},
        )
    return Words(
        command=(*request.getfixturevalue("opencode"), "acp"),
        write=lambda path: {"name": "write", "input": {"filePath": path, "content": "x = 1\n"}},
        run=lambda line: {"name": "bash", "input": {"command": line, "description": "it"}},
        read=lambda path: {"name": "read", "input": {"filePath": path}},
    )


@dataclass(frozen=True, kw_only=True)
class Lab:
    bench: Bench
    desk: Desk
    words: Words

    def work(self, server: ModelServer, **more: Any) -> Outcome:
        driver = AcpDriver(
            name="x", settings=Agent(kind="acp", command=self.words.command, silence_s=90), root=self.bench.tree
        ).aimed_at(server.url)
        assert driver is not None
        given = {"attempt": 1, "brief": "# Brief\nAdd src/new.py.", **more}
        return driver.work(Assignment(ticket=TICKET, bench=self.bench, **given))

    def notes(self) -> str:
        return "\n".join(event.values["text"] for event in read(self.bench.transcript.file) if event.kind == "note")


@pytest.fixture
def bench_lab(lab: Path, words: Words) -> Lab:
    desk = Desk(judge=forbidding("forbidden", "git"))
    (lab / "tree" / "src").mkdir(parents=True)
    (lab / "tree" / "src" / "old.py").write_text("old = 1\n", encoding="utf-8")
    return Lab(bench=workbench(lab, desk), desk=desk, words=words)


def test_writes_and_commands_are_asked_about_and_a_no_holds(bench_lab: Lab, model: Model) -> None:
    words, tree = bench_lab.words, bench_lab.bench.tree
    steps = [
        {"text": "I read.", "tools": [words.read(str(tree / "src" / "old.py"))]},
        {"text": "I write.", "tools": [words.write(str(tree / "src" / "new.py"))]},
        {"text": "I run.", "tools": [words.run("echo ran > ran.txt")]},
        {"text": "## Summary\nAdded."},
    ]
    outcome = bench_lab.work(model({"steps": steps}))
    assert outcome.cause is Cause.DONE, outcome.reason
    assert outcome.report == "## Summary\nAdded."
    assert (tree / "src" / "new.py").read_text(encoding="utf-8") == "x = 1\n"
    assert (tree / "ran.txt").exists()
    assert outcome.used.tokens > 0
    assert outcome.client
    asked = [(event["tool_name"], *event["tool_input"].values()) for event in bench_lab.desk.asked]
    assert asked == [("Write", str(tree / "src" / "new.py")), ("Bash", "echo ran > ran.txt")]
    assert "for 2 of 3 tool calls (edit 1 of 1, execute 1 of 1, read 0 of 1); 0 refused" in bench_lab.notes()


@pytest.mark.parametrize("what", ["write", "run"])
def test_what_is_refused_does_not_happen(bench_lab: Lab, model: Model, what: str) -> None:
    tree, words = bench_lab.bench.tree, bench_lab.words
    call = words.write(str(tree / "forbidden.txt")) if what == "write" else words.run("echo x > forbidden.txt")
    server = model({"steps": [{"text": "I try.", "tools": [call]}, {"text": "I could not."}]})
    outcome = bench_lab.work(server)
    assert not (tree / "forbidden.txt").exists()
    assert len(bench_lab.desk.asked) == 1
    assert (outcome.cause, outcome.report) == (Cause.DONE, "I could not."), outcome.reason
    # Gemini CLI goes on after a refusal; opencode ends its turn, and is told to go on
    told = ["forbidden is not in the ticket's scope" in str(row["told"]) for row in server.requests()]
    assert any(told) is ("gemini" not in " ".join(words.command))


@pytest.mark.slow
def test_a_session_is_taken_up_again_by_another_process(bench_lab: Lab, model: Model) -> None:
    tree, words = bench_lab.bench.tree, bench_lab.words
    reading = {"text": "I read.", "tools": [words.read(str(tree / "src" / "old.py"))]}
    server = model({"steps": [reading, {"text": "First."}, {"text": "Second."}]})
    first = bench_lab.work(server)
    assert (first.cause, first.report) == (Cause.DONE, "First."), first.reason
    if "gemini" in " ".join(words.command):  # it loses a session that is loaded in the minute in which it began
        time.sleep(60.5 - time.time() % 60)
    again = bench_lab.work(server, attempt=2, session=first.session, feedback="Mend it.", before=first.counted)
    assert (again.cause, again.report, again.session) == (Cause.DONE, "Second.", first.session), again.reason


def test_the_trial_of_the_probe_is_refused_in_the_sandbox_of_this_machine(
    tmp_path: Path, words: Words, model: Model
) -> None:
    command = words.command
    driver = AcpDriver(name="x", settings=Agent(kind="acp", command=command, silence_s=90), root=tmp_path)
    server = model({"steps": list(driver.trial("forbidden.txt"))})
    desk = Desk(judge=forbidding("forbidden"))
    level = available()
    aimed = driver.aimed_at(server.url)
    assert aimed is not None
    with gateway((server.url.removeprefix("http://"),), level=level, log=tmp_path / "network.log") as way:
        bench = workbench(tmp_path, desk, stage=Stage(level=level, opening=way.opening, variables=way.variables))
        outcome = aimed.work(Assignment(ticket=TICKET, attempt=1, brief="# Brief", bench=bench))
    assert outcome.sandbox == level
    assert len(desk.asked) == 1, outcome.reason
    assert not (bench.tree / "forbidden.txt").exists()


def test_a_key_that_is_refused_is_no_ticket_that_failed(bench_lab: Lab, model: Model) -> None:
    step = {"fault": "status", "status": 401, "message": "Incorrect API key provided", "text": "x"}
    outcome = bench_lab.work(model({"steps": [step]}))
    assert outcome.cause is Cause.SIGN_IN, outcome.reason
