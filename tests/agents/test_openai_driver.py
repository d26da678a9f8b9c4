from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from agents.causes import Cause
from agents.chat.tools import EDIT, LIST, READ, RUN, SEARCH, WRITE, Words
from agents.feedback import GO_ON
from agents.protocol import Assignment, Facts, Permit, PlanningTask, Question
from agents.scripted_model.server import serving
from agents.usage import Usage
from openai_lab import KEY, REPORT, SAID, TICKET, Lab, answering, at, begin, call
from orchestrator.hooks import calls
from tickets.errors import InputError, SignalboxError
from workbench import Purse, forbidding
from worktrees.levels import trouble

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from agents.chat.tools import Tool
    from agents.drivers.openai import OpenAIDriver
    from worktrees.confinement import Level


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return at(tmp_path)


@pytest.mark.parametrize("level", ["none", "landlock", "bubblewrap"])
def test_a_ticket_is_carried_out_with_every_call_asked_about(
    tmp_path: Path, level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why := trouble(level):
        pytest.skip(why)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    lab = at(tmp_path, level=level, judge=forbidding("evil", "git "))
    (lab.bench.tree / "calc.py").write_text("def add(a, b):\n    return a - b\n", encoding="utf-8")
    outcome, asked = lab.plays(
        {"text": "Reading.", "thought": "hm", **call("read_file", path="calc.py")},
        call("write_file", path="src/evil.py", content="x = 1\n"),
        call("run", command="git commit -am sneaky"),
        call("edit_file", path="calc.py", old="a - b", new="a + b"),
        call("run", command="python3 -c 'import calc; print(calc.add(40, 2))'; env"),
        REPORT,
    )
    assert (outcome.ending, outcome.cause, outcome.sandbox) == ("done", Cause.DONE, level)
    assert (lab.bench.tree / "calc.py").read_text(encoding="utf-8") == "def add(a, b):\n    return a + b\n"
    assert not (lab.bench.tree / "src").exists()
    assert [call.id for call in outcome.calls] == [event["tool_use_id"] for event in lab.desk.asked]
    assert [call.refused for call in outcome.calls] == [False, True, True, False, False, False]
    results = [row["results"] for row in asked]
    assert results[1] == ["def add(a, b):\n    return a - b\n"]
    assert [results[2], results[3]] == [[f"refused: {name} is not in the ticket's scope"] for name in ("evil", "git ")]
    assert results[5][0].startswith("42\n")
    assert results[5][0].endswith("[exit code 0]")
    assert outcome.report is not None
    assert outcome.report.startswith("## Summary\n\ndid it\n\n## Files Changed\n\n- src/a.py: made\n")
    assert outcome.report.endswith("## Confidence\n\nhigh")
    assert outcome.used == outcome.counted == Usage(input=6000, output=300, model="tiny")
    assert all(row["auth"] == ["authorization"] for row in asked)
    said = b"".join(path.read_bytes() for path in lab.folder.rglob("*") if path.is_file())
    assert KEY.encode() not in said


@pytest.mark.parametrize(
    ("tool", "given", "kinds"),
    [
        (READ, {"path": "a"}, ["read"]),
        (LIST, {"path": "a"}, ["read"]),
        (LIST, {}, []),
        (SEARCH, {"pattern": "a", "path": "b"}, ["read"]),
        (WRITE, {"path": "a", "content": ""}, ["write"]),
        (EDIT, {"path": "a", "old": "b", "new": ""}, ["write"]),
        (RUN, {"command": "ls"}, ["run"]),
        (Words().tool, {"answer": "a"}, []),
    ],
)
def test_the_live_gate_understands_each_tool(tool: Tool, given: dict[str, Any], kinds: list[str]) -> None:
    assert [call.kind for call in calls({"tool_name": tool.asked_as, "tool_input": given, "cwd": "/t"})] == kinds


def test_an_argument_that_a_tool_does_not_have_reaches_neither_gate_nor_tool(lab: Lab) -> None:
    lab.plays(call("write_file", path="a", content="x", command="view"), REPORT)
    assert [event["tool_name"] for event in lab.desk.asked] == ["StructuredOutput"]
    assert "has no field command" in lab.events("result")[0]["text"]
    assert not (lab.bench.tree / "a").exists()


def test_the_gate_is_asked_by_names_that_it_knows_and_exactly_about_what_is_done(lab: Lab) -> None:
    outcome, _ = lab.plays(
        call("list_files"), call("search", pattern="x"), call("run", command="true", timeout_s="7"), REPORT
    )
    events = [(event["tool_name"], event["tool_input"]) for event in lab.desk.asked]
    assert events == [
        ("list_directory", {}),
        ("grep_search", {"pattern": "x"}),
        ("run_command", {"command": "true", "timeout_s": 7}),
        ("StructuredOutput", SAID),
    ]
    assert {(event["hook_event_name"], event["cwd"]) for event in lab.desk.asked} == {
        ("PreToolUse", str(lab.bench.tree))
    }
    assert [call.tool for call in outcome.calls] == ["list_files", "search", "run", "report"]


@pytest.mark.parametrize(
    "given",
    [
        {"path": "a", "content": "x", "command": "view"},
        {"path": "a", "content": "x", "file_path": "elsewhere"},
        {"path": "a"},
        {"path": ["a"], "content": "x"},
        {"path": "", "content": "x"},
        {"path": "a", "content": None},
    ],
)
def test_a_call_that_the_gate_could_read_otherwise_than_the_hands_is_not_made(lab: Lab, given: dict[str, Any]) -> None:
    outcome, asked = lab.plays(call("write_file", **given), REPORT)
    assert outcome.cause is Cause.DONE
    assert [event["tool_name"] for event in lab.desk.asked] == ["StructuredOutput"]
    assert asked[1]["results"][0].startswith("error: write_file")
    assert not (lab.bench.tree / "a").exists()


def test_a_gate_that_refuses_everything_lets_nothing_through(tmp_path: Path) -> None:
    lab = at(tmp_path, judge=lambda _: Permit(allowed=False, reason="not now"))
    outcome, _ = lab.plays(call("write_file", path="a", content="x"), call("run", command="touch b"), REPORT)
    assert (outcome.cause, outcome.report) == (Cause.EMPTY, None)
    assert not list(lab.bench.tree.iterdir())


# sessions


def test_a_session_goes_on_with_the_feedback_alone_and_counts_anew(lab: Lab) -> None:
    steps = [call("run", command="true"), REPORT, call("run", command="echo again"), REPORT]
    with serving({"steps": steps}) as server:
        first = lab.work(server.url)
        given = {"session": first.session, "feedback": "Tests fail.", "attempt": 2, "before": first.counted}
        second = lab.work(server.url, given=given)
        asked = server.requests()
    assert (second.cause, second.session, second.used) == (Cause.DONE, first.session, first.used)
    assert [row["told"] for row in asked] == ["# The brief\n"] * 2 + ["Tests fail."] * 2
    assert [row["step"] for row in asked] == [0, 1, 2, 3]


def test_a_session_that_was_stopped_within_a_call_can_go_on(tmp_path: Path) -> None:
    lab = at(tmp_path, purse=Purse(tokens=0))
    steps = [{"tools": [call("read_file", path=name)["tools"][0] for name in "ab"]}, REPORT]
    with serving({"steps": steps}) as server:
        first = lab.work(server.url)
        rich = replace(lab, bench=replace(lab.bench, may_go_on=Purse()))
        second = rich.work(server.url, given={"session": first.session})
        asked = server.requests()
    assert (first.cause, second.cause) == (Cause.BUDGET, Cause.DONE)
    assert asked[1]["told"] == GO_ON
    stored = json.loads(next(lab.bench.session.glob("chat-*")).read_text(encoding="utf-8"))
    assert [message["role"] for message in stored[:6]] == ["system", "user", "assistant", "tool", "tool", "user"]


def test_calls_keep_identities_of_their_own_over_all_attempts_of_a_session(lab: Lab) -> None:
    function = {"name": "report", "arguments": json.dumps(SAID)}
    calls = [{"id": "call_0", "function": function}, {"id": "x" * 100_000, "function": function}]

    def write(handler: BaseHTTPRequestHandler) -> None:
        begin(handler, "application/json")
        handler.wfile.write(json.dumps({"choices": [{"message": {"tool_calls": calls}}]}).encode())

    with answering(write) as url:
        first = lab.work(url)
        second = lab.work(url, given={"session": first.session, "feedback": "Again."})
    stored = json.loads((lab.bench.session / f"chat-{first.session}.json").read_text(encoding="utf-8"))
    names = [call["id"] for message in stored for call in message.get("tool_calls", ())]
    assert (len(names), len(set(names)), max(map(len, names))) == (4, 4, 200)
    assert second.calls[0].id == names[2] != first.calls[0].id == "call_0"


@pytest.mark.parametrize("spoiled", ["gone", "link", "nonsense", "../../etc/passwd"])
def test_a_session_that_is_not_to_be_had_begins_anew_with_the_whole_brief(lab: Lab, spoiled: str) -> None:
    with serving({"steps": [REPORT]}) as server:
        name = lab.work(server.url).session
        file = lab.bench.session / f"chat-{name}.json"
        if spoiled == "nonsense":
            file.write_text('[{"role": "harness"}]', encoding="utf-8")
        else:
            file.rename(lab.folder / "kept.json")
        if spoiled == "link":
            file.symlink_to(lab.folder / "kept.json")
        given = {"session": spoiled if "/" in spoiled else name, "feedback": "Tests fail.", "brief": "# All of it\n"}
        outcome = lab.work(server.url, given=given)
        asked = server.requests()
    assert outcome.cause is Cause.DONE
    assert outcome.session != name
    assert asked[-1]["told"] == "# All of it\n"


@pytest.mark.parametrize("level", ["landlock", "bubblewrap"])
def test_the_stored_conversation_is_out_of_reach_of_the_commands(tmp_path: Path, level: Level) -> None:
    if why := trouble(level):
        pytest.skip(why)
    lab = at(tmp_path, level=level)
    (lab.bench.session / "chat-a.json").write_text("secret", encoding="utf-8")
    _, asked = lab.plays(call("run", command=f"cat {lab.bench.session}/* || touch {lab.bench.session}/b"), REPORT)
    assert "secret" not in asked[1]["results"][0]
    assert not (lab.bench.session / "b").exists()


# a lead and an auditor


def planning(lab: Lab) -> PlanningTask:
    facts = Facts(project="p", target="main", paths=(), read=lambda _: None)
    return PlanningTask(request="add it", brief="# Plan it\n", facts=facts, bench=lab.bench)


def test_a_lead_reads_and_answers_and_is_offered_nothing_that_writes(lab: Lab) -> None:
    (lab.bench.tree / "a.py").write_text("x = 1\n", encoding="utf-8")
    steps = [
        call("search", pattern="x"),
        call("write_file", path="b", content=""),
        call("report", answer="tickets: []"),
    ]
    with serving({"steps": steps}) as server:
        assert lab.driver(server.url).plan(planning(lab)) == "tickets: []"
        asked = server.requests()
    assert asked[0]["tools"] == ["list_files", "read_file", "report", "search"]
    assert asked[1]["results"] == ["a.py:1: x = 1"]
    assert asked[2]["results"][0].startswith("error: there is no tool 'write_file' here")
    assert not (lab.bench.tree / "b").exists()


def test_an_auditor_may_answer_in_words_alone(lab: Lab) -> None:
    question = Question(ticket=TICKET, attempt=1, phase=1, brief="# Look at it\n", bench=lab.bench)
    with serving({"steps": [{"text": '{"findings": []}'}]}) as server:
        assert lab.driver(server.url).answer(question) == '{"findings": []}'


@pytest.mark.parametrize(
    ("step", "error", "words"),
    [
        ({"fault": "empty"}, SignalboxError, "the lead coder gave no plan: the model answered nothing"),
        ({"fault": "status", "status": 401}, InputError, "agents.coder: the model's service answered with status 401"),
        (
            {"fault": "status", "status": 429, "retry_after": 60},
            SignalboxError,
            "the lead coder gave no plan: the model",
        ),
    ],
)
def test_a_lead_that_gives_no_plan_is_told_of(
    lab: Lab, step: dict[str, Any], error: type[SignalboxError], words: str
) -> None:
    with serving({"steps": [step]}) as server, pytest.raises(error) as caught:
        lab.driver(server.url).plan(planning(lab))
    assert type(caught.value) is error
    assert str(caught.value).startswith(words)


# whether it can start here


def test_a_service_that_has_the_model_is_ready(lab: Lab) -> None:
    with serving({"steps": [REPORT], "model": "tiny:latest"}) as server:
        probe = lab.driver(server.url).probe()
    place = server.url.removeprefix("http://")
    assert (probe.ready, probe.detail, probe.version, probe.signed_in) == (True, f"tiny at {place}", "tiny", None)


def test_what_is_missing_is_said_in_one_sentence_and_soon(lab: Lab) -> None:
    begun = time.monotonic()
    with serving({"steps": [REPORT], "model": "other"}) as server:
        other = lab.driver(server.url).probe()
    gone = lab.driver(server.url).probe()
    assert time.monotonic() - begun < 5
    place = server.url.removeprefix("http://")
    assert (other.ready, gone.ready) == (False, False)
    assert other.detail == f"{place} has no model tiny (there are other): look at agents.coder.model"
    assert gone.detail.startswith(f"nothing answers at {place}: ")


def test_a_service_that_wants_a_key_says_so(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def refuse(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(401)
        handler.end_headers()

    with answering(refuse) as url:
        probe = lab.driver(url).probe()
    assert (probe.ready, probe.signed_in) == (False, False)
    assert probe.detail.endswith("put a key into the environment variable OPENAI_API_KEY")


@pytest.mark.long
def test_a_place_that_answers_too_slowly_is_not_waited_for(lab: Lab) -> None:
    def dribble(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(600):
            handler.wfile.write(f"x-{number}: still there\r\n".encode())
            time.sleep(0.1)

    begun = time.monotonic()
    with answering(dribble) as url:
        assert not lab.driver(url).probe().ready
    assert time.monotonic() - begun < 10


def test_a_key_that_is_a_word_like_any_other_takes_nothing_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "bin")
    _, asked = at(tmp_path).plays(call("run", command="echo $PATH"), REPORT)
    assert "/bin" in asked[1]["results"][0]


def test_the_trial_of_a_scripted_model_tries_one_write_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    lab = at(tmp_path, judge=forbidding("forbidden.txt"))
    driver = lab.driver("http://nowhere.example")
    with serving({"steps": list(driver.trial("forbidden.txt"))}) as server:
        aimed: OpenAIDriver = driver.aimed_at(server.url)
        plain = TICKET.model_copy(update={"report_fields": ()})
        outcome = aimed.work(Assignment(ticket=plain, attempt=1, brief="# Try\n", bench=lab.bench))
    assert (outcome.cause, len(lab.desk.asked)) == (Cause.DONE, 2)
    assert [call.refused for call in outcome.calls] == [True, False]
    assert not (lab.bench.tree / "forbidden.txt").exists()
