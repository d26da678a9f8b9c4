from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import fake_acp
from agents.causes import Cause
from agents.clients.acp.hearing import CALLS
from agents.clients.acp.questions import Where, questions
from agents.drivers.acp import AcpDriver
from agents.protocol import Assignment, Facts, Outcome, PlanningTask, Question
from agents.transcripts import read
from agents.usage import Usage
from tickets.agents import Agent
from tickets.errors import InputError, SignalboxError
from tickets.model import Ticket
from workbench import Desk, Purse, Stage, forbidding, workbench
from worktrees.levels import available

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.protocol import Bench

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
REPORT = [["say", "## Summary\n"], ["say", "done"], ["end", "end_turn"]]
FAKE = str(Path(fake_acp.__file__))


@dataclass(frozen=True, kw_only=True)
class Lab:
    bench: Bench
    desk: Desk
    purse: Purse

    def driver(self, script: dict[str, Any], **settings: Any) -> AcpDriver:
        command = (sys.executable, "-I", FAKE, json.dumps(script))
        return AcpDriver(name="fake", settings=Agent(kind="acp", command=command, **settings), root=self.bench.tree)

    def work(self, *steps: list[Any], assignment: dict[str, Any] | None = None, **script: Any) -> Outcome:
        settings = script.pop("settings", {})
        driver = self.driver({"steps": steps, **script}, **settings)
        given = {"brief": "# Brief", "attempt": 1, **(assignment or {})}
        return driver.work(Assignment(ticket=TICKET, bench=self.bench, **given))

    def heard(self) -> list[dict[str, Any]]:
        """What the agent was sent."""
        log = self.bench.session / "home" / "fake.log"
        return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]

    def sent(self, method: str) -> list[dict[str, Any]]:
        return [message["params"] for message in self.heard() if message.get("method") == method]

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event.to_json() for event in read(self.bench.transcript.file) if event.kind == kind]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    desk, purse = Desk(judge=forbidding("forbidden")), Purse(tokens=5000)
    return Lab(bench=workbench(tmp_path, desk, purse=purse), desk=desk, purse=purse)


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """No test may wait for a bound that it did not set."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < 120


def edit(path: str, identity: str = "c1", **more: Any) -> dict[str, Any]:
    return {"toolCallId": identity, "kind": "edit", "title": f"Write {path}", "locations": [{"path": path}], **more}


def test_an_agent_that_ends_its_turn_with_words_has_done_its_work(lab: Lab) -> None:
    outcome = lab.work(
        ["think", "hm"],
        ["say", "I begin."],
        ["call", {"toolCallId": "r", "kind": "read", "status": "in_progress", "rawInput": {"path": "a"}}],
        ["update", {"sessionUpdate": "tool_call_update", "toolCallId": "r", "status": "completed"}],
        ["say", "## Summary\n"],
        ["say", "done"],
        [
            "end",
            "end_turn",
            {"usage": {"inputTokens": 100, "cachedReadTokens": 30, "outputTokens": 7, "totalTokens": 137}},
        ],
    )
    assert (outcome.ending, outcome.cause, outcome.reason) == ("done", Cause.DONE, "")
    assert outcome.report == "## Summary\ndone"
    assert outcome.used == outcome.counted == Usage(input=130, cached=30, output=7)
    assert (outcome.session, outcome.client) == ("s-1", "fake 3.2.1")
    assert [(call.id, call.tool) for call in outcome.calls] == [("r", "read")]
    kinds = [event.kind for event in read(lab.bench.transcript.file)]
    assert kinds == ["told", "thought", "said", "call", "result", "usage", "said", "note", "ended"]
    assert (
        lab.events("note")[0]["text"] == "the agent asked for permission for 0 of 1 tool calls (read 0 of 1); 0 refused"
    )


def test_the_agent_is_offered_no_files_no_terminal_and_no_settings_of_the_repository(lab: Lab) -> None:
    lab.work(
        ["request", "fs/write_text_file", {"path": "/x", "content": ""}], ["request", "terminal/create", {}], *REPORT
    )
    offered = lab.sent("initialize")[0]
    assert offered["protocolVersion"] == 1
    assert not any(offered.get("clientCapabilities", {}).get(name) for name in ("fs", "terminal"))
    session = lab.sent("session/new")[0]
    assert session["mcpServers"] == []
    assert session["cwd"] == str(lab.bench.tree)
    assert session["_meta"] == {"claudeCode": {"options": {"settingSources": []}}}
    refused = [message["error"]["code"] for message in lab.heard() if "error" in message]
    assert refused == [-32601, -32601]


def test_what_is_asked_reaches_the_gate_and_only_a_yes_lets_it_through(lab: Lab) -> None:
    good, bad = str(lab.bench.tree / "a"), str(lab.bench.tree / "forbidden")
    outcome = lab.work(["ask", {**edit(good), "writes": good}], ["ask", {**edit(bad, "c2"), "writes": bad}], *REPORT)
    assert outcome.cause is Cause.DONE
    assert Path(good).read_text(encoding="utf-8") == "written\n"
    assert not Path(bad).exists()
    assert [(event["tool_name"], event["tool_input"], event["tool_use_id"]) for event in lab.desk.asked] == [
        ("Write", {"file_path": good}, "c1"),
        ("Write", {"file_path": bad}, "c2"),
    ]
    assert {event["hook_event_name"] for event in lab.desk.asked} == {"PreToolUse"}
    chosen = [message["result"]["outcome"] for message in lab.heard() if "outcome" in message.get("result", {})]
    assert chosen == [{"outcome": "selected", "optionId": "once"}, {"outcome": "selected", "optionId": "no"}]
    assert lab.events("note")[0]["text"].endswith("2 of 2 tool calls (edit 2 of 2); 1 refused")
    assert [(event["state"], event["text"]) for event in lab.events("result")] == [
        ("refused", "forbidden is not in the ticket's scope")
    ]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ({"kind": "other", "title": "do it"}, "neither a path nor a command"),
        ({}, "neither a path nor a command"),
        ({"kind": "fetch", "rawInput": {"url": "http://x"}}, "neither a path nor a command"),
        ({"kind": "execute", "title": "  "}, "which command"),
        ({"kind": "switch_mode", "locations": [{"path": "a"}]}, "stays as it is"),
        ({"kind": "edit", "locations": [{"path": f"p{number}"} for number in range(600)]}, "more than 500 paths"),
        ({"kind": "read", "content": [{"type": "diff", "path": "forbidden", "newText": "x"}]}, "forbidden"),
        ({"kind": "execute", "title": "make", "rawInput": {"command": "touch forbidden"}}, "forbidden"),
        ({"kind": "execute", "title": "touch forbidden"}, "forbidden"),
        ({"kind": "edit", "locations": [{"path": "a"}], "rawInput": {"filePath": "forbidden"}}, "forbidden"),
        ({"kind": "other", "rawInput": {"patchText": "*** Begin Patch\n*** Add File: forbidden\n"}}, "forbidden"),
        ({"kind": "other", "rawInput": "*** Begin Patch\n*** Add File: forbidden\n"}, "forbidden"),
        ({"kind": "think", "rawInput": {"cmd": ["touch", "forbidden"]}}, "forbidden"),
    ],
)
def test_a_request_counts_for_all_that_it_names_and_is_refused_where_it_names_nothing(
    lab: Lab, call: dict[str, Any], reason: str
) -> None:
    lab.work(["ask", {"toolCallId": "c", **call}], *REPORT)
    (refused,) = lab.events("result")
    assert refused["state"] == "refused"
    assert reason in refused["text"]


def test_what_was_announced_before_the_question_counts_too(lab: Lab) -> None:
    lab.work(["call", edit("forbidden")], ["ask", {"toolCallId": "c1"}], *REPORT)
    assert lab.events("result")[0]["state"] == "refused"


def test_a_command_is_judged_where_it_runs(lab: Lab) -> None:
    text = {"type": "content", "content": {"type": "text", "text": "[in docs] (says so)"}}
    lab.work(
        ["ask", {"toolCallId": "c", "kind": "execute", "title": "make", "content": [text]}],
        ["ask", {"toolCallId": "e", "kind": "execute", "rawInput": {"command": "make"}}],
        *REPORT,
    )
    assert [event["cwd"] for event in lab.desk.asked] == ["docs", str(lab.bench.tree)]


def run_in(**named: str) -> dict[str, Any]:
    return {"toolCallId": "c", "kind": "execute", "rawInput": {"command": "make", **named}}


@pytest.mark.parametrize(
    ("known", "named", "places"),
    [
        ("workdir", {"workdir": "docs", "cwd": "/tmp"}, ["docs"]),
        ("workdir", {"cwd": "/tmp"}, ["/tmp", "/tree"]),
        ("", {"workdir": "docs", "cwd": "/tmp"}, ["/tmp", "docs", "/tree"]),
        ("", {}, ["/tree"]),
    ],
)
def test_a_folder_that_the_tool_may_not_go_by_never_takes_the_place_of_the_session_s_own(
    known: str, named: dict[str, str], places: list[str]
) -> None:
    asked = questions(run_in(**named), where=Where(cwd="/tree", argument=known))
    assert [event["cwd"] for event in asked] == places
    assert all(event["tool_input"] == {"command": "make"} for event in asked)


def test_the_gate_hears_of_a_write_and_nothing_that_could_turn_it_into_a_read() -> None:
    call = {"toolCallId": "c", "kind": "edit", "rawInput": {"file_path": "a", "content": "x", "command": "view"}}
    asked = questions(call, where=Where(cwd="/tree"))
    assert [(event["tool_name"], event["tool_input"]) for event in asked] == [
        ("Bash", {"command": "view"}),
        ("Write", {"file_path": "a"}),
    ]


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        ([], {"outcome": "cancelled"}),
        ([{"optionId": "all", "name": "A", "kind": "allow_always"}], {"outcome": "cancelled"}),
        ([{"optionId": "never", "name": "N", "kind": "reject_always"}], {"outcome": "selected", "optionId": "never"}),
    ],
)
def test_where_nothing_can_be_allowed_once_it_is_refused(
    lab: Lab, options: list[dict[str, Any]], outcome: dict[str, str]
) -> None:
    lab.work(["ask", edit("a"), options], *REPORT)
    assert [message["result"]["outcome"] for message in lab.heard() if "outcome" in message.get("result", {})] == [
        outcome
    ]


def test_a_question_that_is_none_gets_an_error_and_no_yes(lab: Lab) -> None:
    outcome = lab.work(["request", "session/request_permission", {"toolCall": 5}], *REPORT)
    assert outcome.cause is Cause.DONE
    assert [message["error"]["code"] for message in lab.heard() if "error" in message] == [-32602]
    assert lab.desk.asked == []


def test_calls_that_were_not_asked_about_are_counted(lab: Lab) -> None:
    path = str(lab.bench.tree / "a")
    silent = {"toolCallId": "w", "kind": "edit", "locations": [{"path": path}], "status": "completed"}
    outcome = lab.work(["write", path], ["call", silent], ["ask", edit(path)], *REPORT)
    assert lab.events("note")[0]["text"].startswith(
        "the agent asked for permission for 1 of 2 tool calls (edit 1 of 2)"
    )
    assert [call.id for call in outcome.calls] == ["w"]


@pytest.mark.parametrize(
    ("steps", "cause", "reason"),
    [
        ([["end", "end_turn"]], Cause.EMPTY, "without a report"),
        ([["say", "  \n"], ["end", "end_turn"]], Cause.EMPTY, "without a report"),
        (
            [["say", "I write."], ["ask", edit("forbidden")], ["end", "end_turn"]],
            Cause.EMPTY,
            "1 of its calls were refused",
        ),
        ([["ask", edit("forbidden")], ["end", "cancelled"]], Cause.EMPTY, "1 of its calls were refused"),
        ([["say", "x"], ["end", "cancelled"]], Cause.PROTOCOL, "nobody cancelled it"),
        ([["say", "x"], ["end", "max_tokens"]], Cause.CONTEXT, "length"),
        ([["say", "x"], ["end", "max_turn_requests"]], Cause.TURNS, "answers"),
        ([["say", "x"], ["end", "refusal"]], Cause.EMPTY, "refused to go on"),
        ([["say", "x"], ["end", "victory"]], Cause.PROTOCOL, "none of the protocol"),
        ([["say", "x"], ["leave", 0]], Cause.CRASH, "exit code 0"),
        ([["leave", 3]], Cause.CRASH, "exit code 3"),
        ([["error", -32000, "Authentication required"]], Cause.SIGN_IN, "Authentication required"),
        ([["error", -32603, "429 Too Many Requests"]], Cause.RATE, "429"),
        ([["error", -32603, "You exceeded your current quota"]], Cause.QUOTA, "quota"),
        ([["error", -32603, "fetch failed: ECONNREFUSED"]], Cause.NETWORK, "ECONNREFUSED"),
        ([["error", -32603, "prompt is too long: 210000 tokens"]], Cause.CONTEXT, "too long"),
        ([["error", -32603, "API key not valid"]], Cause.SIGN_IN, "API key"),
        ([["error", -32603, "model gpt-9 does not exist, not known"]], Cause.REFUSED, "gpt-9"),
        ([["error", -32603, "boom"]], Cause.FAILED, "boom"),
    ],
)
def test_each_end_has_its_cause(lab: Lab, steps: list[list[Any]], cause: Cause, reason: str) -> None:
    outcome = lab.work(*steps)
    assert outcome.cause is cause, outcome.reason
    assert reason in outcome.reason
    assert outcome.ending == "failed"
    assert lab.events("ended") == [{**lab.events("ended")[0], "cause": cause.value, "text": outcome.reason}]


def test_an_agent_that_says_nothing_is_cancelled_and_then_ended(lab: Lab) -> None:
    outcome = lab.work(["await_cancel"], ["end", "cancelled"], settings={"silence_s": 0.5})
    assert (outcome.cause, outcome.reason) == (Cause.SILENT, "the agent said nothing for 0.5 seconds")
    assert lab.sent("session/cancel") == [{"sessionId": "s-1"}]


def test_an_agent_that_heeds_nothing_is_ended_all_the_same(lab: Lab) -> None:
    bench = replace(lab.bench, bounds=replace(lab.bench.bounds, timeout_s=3))
    outcome = replace(lab, bench=bench).work(["deaf"], ["sleep", 600])
    assert (outcome.ending, outcome.cause) == ("timeout", Cause.TIMEOUT)


def test_an_agent_that_does_not_even_greet_is_silent(lab: Lab) -> None:
    command = (sys.executable, "-c", "import time; time.sleep(60)")
    driver = AcpDriver(name="x", settings=Agent(kind="acp", command=command, silence_s=0.5), root=lab.bench.tree)
    outcome = driver.work(Assignment(ticket=TICKET, attempt=1, brief="b", bench=lab.bench))
    assert (outcome.cause, outcome.reason) == (Cause.SILENT, "the agent did not answer before its work began")


def test_its_silence_does_not_count_while_the_gate_thinks(lab: Lab) -> None:
    def slow(event: Any) -> Any:
        time.sleep(1.5)
        return forbidding("forbidden")(event)

    lab.desk.judge = slow
    steps: list[list[Any]] = [["ask", edit("a")], ["sleep", 0.5], *REPORT]
    assert lab.work(*steps, settings={"silence_s": 1.0}).cause is Cause.DONE


def test_questions_without_end_are_answered_and_bounded(lab: Lab) -> None:
    call = json.dumps({"toolCallId": "c", "kind": "edit", "locations": [{"path": "a"}]})
    line = '{"jsonrpc":"2.0","id":"q","method":"session/request_permission","params":{"sessionId":"s-1","toolCall":CALL,"options":[]}}'
    outcome = lab.work(
        ["raw", line.replace("CALL", call) + "\n", 300], ["sleep", 1], *REPORT, settings={"max_turns": 1000}
    )
    assert outcome.cause is Cause.DONE, outcome.reason
    assert len(lab.desk.asked) == 300


def test_a_program_that_is_not_there_is_missing_and_says_so(lab: Lab) -> None:
    driver = AcpDriver(name="x", settings=Agent(kind="acp", command=("no-such-agent", "--acp")), root=lab.bench.tree)
    assert not driver.probe().ready
    assert "no-such-agent" in driver.probe().detail
    outcome = driver.work(Assignment(ticket=TICKET, attempt=1, brief="b", bench=lab.bench))
    assert (outcome.ending, outcome.cause) == ("not-started", Cause.MISSING)
    assert "no-such-agent" in outcome.reason


def test_another_version_of_the_protocol_is_no_crash(lab: Lab) -> None:
    outcome = lab.work(*REPORT, greeting={"protocolVersion": 2})
    assert (outcome.ending, outcome.cause) == ("not-started", Cause.MISSING)
    assert "version 2 of the Agent Client Protocol" in outcome.reason


@pytest.mark.parametrize(
    "result", [{"result": None}, {"result": []}, {"result": {"protocolVersion": "one"}}, {"error": "no"}, {"error": {}}]
)
def test_a_greeting_that_is_none_has_a_cause(lab: Lab, result: dict[str, Any]) -> None:
    outcome = lab.work(*REPORT, answers={"initialize": result}, settings={"silence_s": 1.0})
    assert outcome.cause in {Cause.PROTOCOL, Cause.SILENT, Cause.FAILED}
    assert outcome.reason


def test_lines_that_are_no_messages_are_noted_and_passed_over(lab: Lab) -> None:
    noise = ["warning: no ripgrep\n", "\n", "[1, 2]\n", '{"id": [], "result": 1}\n', '{"method": 5, "id": 1}\n', "{}\n"]
    deep = "[" * 100_000 + "\n"
    strange = '{"jsonrpc": "2.0", "method": "session/update", "params": {"update": {"sessionUpdate": %s}}}\n'
    odd = [strange % value for value in ("5", '"new_kind"', '"tool_call"', '"usage_update"', '"agent_message_chunk"')]
    outcome = lab.work(*(["raw", line] for line in (*noise, deep, *odd)), *REPORT)
    assert outcome.cause is Cause.DONE, outcome.reason
    assert "warning: no ripgrep" in lab.events("note")[0]["text"]
    assert len(lab.events("note")) == 4


def test_an_answer_that_comes_twice_counts_once(lab: Lab) -> None:
    twice = '{"jsonrpc": "2.0", "id": 0, "result": {"protocolVersion": 7}}\n'
    assert lab.work(["raw", twice], ["raw", twice], *REPORT).cause is Cause.DONE


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([["raw", "noise\n", 500], ["sleep", 30]], "lines that are no messages"),
        ([["blob", 9], ["sleep", 30]], "more than 8 MiB"),
        ([["raw", '{"jsonrpc": "2.0", "method": "session/up'], ["leave", 0]], "ended before it had answered"),
    ],
)
def test_a_stream_that_cannot_be_followed_is_left(lab: Lab, steps: list[list[Any]], reason: str) -> None:
    outcome = lab.work(*steps)
    assert outcome.cause in {Cause.PROTOCOL, Cause.CRASH}
    assert reason in outcome.reason


@pytest.mark.parametrize("mebibytes", [40, pytest.param(500, marks=pytest.mark.long)])
def test_a_message_of_any_size_fills_no_memory(lab: Lab, mebibytes: int) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = lab.work(["blob", mebibytes], ["sleep", 30])
    assert outcome.cause is Cause.PROTOCOL
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


@pytest.mark.long
def test_an_agent_that_announces_calls_for_ever_is_stopped(lab: Lab) -> None:
    line = '{"jsonrpc":"2.0","method":"session/update","params":{"update":{"sessionUpdate":"tool_call","toolCallId":"%d"}}}\n'
    flood = "".join(line % number for number in range(2000))
    steps = [["raw", flood.replace('Id":"', f'Id":"{number}-')] for number in range(CALLS // 2000 + 1)]
    script = lab.bench.tree / "steps.json"
    script.write_text(json.dumps(steps), encoding="utf-8")
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); from fake_acp import Fake;"
        "steps = json.load(open('steps.json')); Fake({'steps': [*steps, ['await_cancel'], ['end', 'cancelled']]}).main()"
    )
    command = (sys.executable, "-c", code, str(Path(FAKE).parent))
    driver = AcpDriver(name="x", settings=Agent(kind="acp", command=command), root=lab.bench.tree)
    outcome = driver.work(Assignment(ticket=TICKET, attempt=1, brief="b", bench=lab.bench))
    assert outcome.cause is Cause.PROTOCOL
    assert f"more than {CALLS} tool calls" in outcome.reason


def test_the_budget_ends_the_turn_and_what_was_used_is_kept(lab: Lab) -> None:
    usage = {"sessionUpdate": "usage_update", "used": 9000, "size": 10_000, "cost": {"amount": 0.5, "currency": "USD"}}
    outcome = lab.work(["update", usage], ["await_cancel"], ["end", "cancelled"])
    assert (outcome.cause, outcome.reason) == (Cause.BUDGET, "9000 tokens were used; 5000 were allowed")
    assert (outcome.used.input, outcome.used.usd) == (9000, 0.5)
    assert lab.sent("session/cancel") == [{"sessionId": "s-1"}]


def test_a_question_is_refused_once_the_budget_is_used_up(lab: Lab) -> None:
    usage = {"sessionUpdate": "usage_update", "used": 9000, "size": 10_000}
    path = str(lab.bench.tree / "a")
    outcome = lab.work(["update", usage], ["ask", {**edit(path), "writes": path}], *REPORT)
    assert outcome.cause is Cause.BUDGET
    assert not Path(path).exists()


def test_its_answers_are_counted(lab: Lab) -> None:
    steps: list[list[Any]] = []
    for number in range(5):
        steps += [["say", "again"], ["call", {"toolCallId": str(number), "kind": "read", "status": "completed"}]]
    outcome = lab.work(*steps, ["await_cancel"], ["end", "cancelled"], settings={"max_turns": 3})
    assert (outcome.cause, outcome.reason) == (Cause.TURNS, "its 3 answers are used up")


@pytest.mark.parametrize("amount", ["NaN", "Infinity", '"much"', "null", "-1"])
def test_a_cost_that_is_no_amount_is_passed_over(lab: Lab, amount: str) -> None:
    update = {"sessionUpdate": "usage_update", "used": 1, "cost": {"amount": "AMOUNT", "currency": "USD"}}
    line = json.dumps({"jsonrpc": "2.0", "method": "session/update", "params": {"update": update}})
    line = line.replace('"AMOUNT"', amount) + "\n"
    assert (lab.work(["raw", line], *REPORT).used.usd or 0.0) == 0.0


def test_what_gemini_says_of_its_usage_is_read(lab: Lab) -> None:
    quota = {"token_count": {"input_tokens": 60, "output_tokens": 3}, "model_usage": [{"model": "gemini-2.5-pro"}]}
    outcome = lab.work(["say", "x"], ["end", "end_turn", {"_meta": {"quota": quota}}], settings={"model": "gemini-3"})
    assert outcome.used == Usage(input=60, output=3, model="gemini-2.5-pro")
    assert (outcome.cause, outcome.reason) == (Cause.MODEL, "gemini-2.5-pro answered, and gemini-3 was asked for")


def test_a_session_is_taken_up_again_and_told_only_what_was_wrong(lab: Lab) -> None:
    cost = {"sessionUpdate": "usage_update", "used": 10, "cost": {"amount": 0.7, "currency": "USD"}}
    again = {"session": "s-1", "feedback": "mend it", "before": Usage(input=100, output=5, usd=0.5), "attempt": 2}
    outcome = lab.work(["update", cost], *REPORT, assignment=again)
    assert outcome.cause is Cause.DONE
    assert lab.sent("session/prompt")[0]["prompt"] == [{"type": "text", "text": "mend it"}]
    assert lab.sent("session/new") == []
    assert outcome.calls == ()
    assert [event["text"] for event in lab.events("said")] == ["## Summary\ndone"]
    assert outcome.used.usd == pytest.approx(0.2)
    assert (outcome.counted.input, outcome.counted.output, outcome.counted.usd) == (110, 5, 0.7)


@pytest.mark.parametrize("greeting", [{}, {"agentCapabilities": {"loadSession": False}}])
def test_a_session_that_is_not_to_be_had_begins_anew_with_the_whole_brief(lab: Lab, greeting: dict[str, Any]) -> None:
    again = {"session": "gone", "feedback": "mend it", "attempt": 2, "before": Usage(input=9, usd=0.5)}
    cost = {"sessionUpdate": "usage_update", "used": 10, "cost": {"amount": 0.7, "currency": "USD"}}
    outcome = lab.work(["update", cost], *REPORT, assignment=again, greeting=greeting)
    assert outcome.cause is Cause.DONE
    assert (outcome.used.usd, outcome.counted.usd, outcome.counted.input) == (0.7, 0.7, 10)
    assert lab.sent("session/prompt")[0]["prompt"][0]["text"] == "# Brief"
    assert outcome.session == ("" if greeting else "s-1")


def test_a_mode_that_does_not_ask_is_changed_for_one_that_does(lab: Lab) -> None:
    modes = {"currentModeId": "yolo", "availableModes": [{"id": name, "name": name} for name in ("yolo", "default")]}
    lab.work(*REPORT, session={"modes": modes})
    assert lab.sent("session/set_mode") == [{"sessionId": "s-1", "modeId": "default"}]


def test_it_signs_in_with_a_key_and_never_with_a_browser(lab: Lab) -> None:
    assert lab.work(*REPORT, auth=True).cause is Cause.SIGN_IN
    assert lab.sent("authenticate") == []
    with_key = replace(lab.bench, variables={**lab.bench.variables, "FAKE_API_KEY": "k"})
    assert replace(lab, bench=with_key).work(*REPORT, auth=True).cause is Cause.DONE
    assert lab.sent("authenticate") == [{"methodId": "fake-api-key"}]


def test_its_home_is_that_of_the_ticket_and_its_environment_is_what_was_given(lab: Lab) -> None:
    code = "import json, os, sys; json.dump(dict(os.environ), open('env', 'w')); sys.exit(4)"
    settings = Agent(kind="acp", command=(sys.executable, "-c", code), base_url="http://127.0.0.1:9/v1")
    outcome = AcpDriver(name="x", settings=settings, root=lab.bench.tree).work(
        Assignment(ticket=TICKET, attempt=1, brief="b", bench=lab.bench)
    )
    assert "exit code 4" in outcome.reason
    seen = json.loads((lab.bench.tree / "env").read_text(encoding="utf-8"))
    assert seen["HOME"] == str(lab.bench.session / "home")
    urls = {seen[name] for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL")}
    assert urls == {"http://127.0.0.1:9/v1"}
    assert set(seen) <= {*lab.bench.variables, "LC_CTYPE", *(name for name in seen if name.endswith("_BASE_URL"))}


def test_a_lead_or_auditor_answers_in_words_or_says_why_not(lab: Lab) -> None:
    facts = Facts(project="p", target="main", paths=(), read=lambda _: None)
    task = PlanningTask(request="r", brief="# Plan", facts=facts, bench=lab.bench)
    assert lab.driver({"steps": [["say", '{"tickets": []}'], ["end", "end_turn"]]}).plan(task) == '{"tickets": []}'
    question = Question(ticket=TICKET, attempt=1, phase=1, brief="# Audit", bench=lab.bench)
    assert lab.driver({"steps": REPORT}).answer(question) == "## Summary\ndone"
    with pytest.raises(SignalboxError, match="gave no answer: the agent ended its turn without a report"):
        lab.driver({"steps": [["end", "end_turn"]]}).answer(question)
    with pytest.raises(InputError, match=r"agents\.fake: the agent gave an error: Authentication required"):
        lab.driver({"auth": True}).plan(task)


@pytest.mark.parametrize(
    ("command", "tool"),
    [
        (("gemini", "--acp"), "write_file"),
        (("node", "/x/gemini.js", "--acp"), "write_file"),
        (("opencode", "acp"), "write"),
    ],
)
def test_a_known_agent_can_be_put_to_the_test(command: tuple[str, ...], tool: str) -> None:
    driver = AcpDriver(name="x", settings=Agent(kind="acp", command=command), root=Path("/"))
    aimed = driver.aimed_at("http://127.0.0.1:1")
    assert aimed is not None
    assert aimed.trial_url == "http://127.0.0.1:1"
    assert driver.trial("forbidden.txt")[0]["tools"][0]["name"] == tool


def test_an_agent_that_nobody_knows_is_not_put_to_the_test() -> None:
    driver = AcpDriver(name="x", settings=Agent(kind="acp", command=("mine", "--acp")), root=Path("/"))
    assert driver.aimed_at("http://127.0.0.1:1") is None
    assert driver.trial("a") == ()


def test_opencode_is_made_to_ask_whatever_is_configured_besides(lab: Lab) -> None:
    program = lab.bench.tree / "opencode"
    program.write_text(
        f"#!{sys.executable}\nimport os\nopen('env', 'w').write(os.environ['OPENCODE_CONFIG_CONTENT'])\n"
    )
    program.chmod(0o755)
    mine = json.dumps({"theme": "dark", "permission": {"edit": "allow"}})
    bench = replace(lab.bench, variables={**lab.bench.variables, "OPENCODE_CONFIG_CONTENT": mine})
    driver = AcpDriver(name="x", settings=Agent(kind="acp", command=(str(program), "acp")), root=lab.bench.tree)
    driver.work(Assignment(ticket=TICKET, attempt=1, brief="b", bench=bench))
    seen = json.loads((lab.bench.tree / "env").read_text(encoding="utf-8"))
    assert seen["theme"] == "dark"
    assert seen["permission"]["edit"] == seen["permission"]["bash"] == "ask"


def test_it_works_in_the_sandbox_of_this_machine_and_nothing_stays_behind(tmp_path: Path) -> None:
    level = available()
    desk = Desk(judge=forbidding("forbidden"))
    lab = Lab(bench=workbench(tmp_path, desk, stage=Stage(level=level)), desk=desk, purse=Purse())
    path, outside = str(lab.bench.tree / "a"), str(tmp_path / "outside")
    steps: list[list[Any]] = [["ask", {**edit(path), "writes": path}], *REPORT]
    outcome = lab.work(*steps)
    assert outcome.cause is Cause.DONE, outcome.reason
    assert outcome.sandbox == level
    assert Path(path).exists()
    if level == "none":
        pytest.skip("this machine has no sandbox")
    lab.work(["write", outside], *REPORT)
    assert not os.path.lexists(outside)


def test_the_overhead_is_small(lab: Lab) -> None:
    lab.work(*REPORT)  # the library is loaded once
    begun = time.monotonic()
    outcome = lab.work(*REPORT)
    assert outcome.cause is Cause.DONE
    assert time.monotonic() - begun < 2.0


def test_an_agent_whose_turn_ends_at_a_refusal_is_told_why_and_to_go_on(lab: Lab) -> None:
    ends = ["end", "end_turn", {"usage": {"inputTokens": 100, "outputTokens": 10, "totalTokens": 110}}]
    outcome = lab.work(["ask", edit("forbidden")], ends)
    told = [
        message["params"]["prompt"][0]["text"] for message in lab.heard() if message.get("method") == "session/prompt"
    ]
    assert len(told) == 6, "five times, and no more"
    assert all("forbidden is not in the ticket's scope" in text for text in told[1:])
    assert outcome.cause is Cause.EMPTY
    assert (outcome.used.input, outcome.used.output) == (600, 60)
