"""The driver of Claude Code against a program that speaks its wire: how runs end, what is kept, and what hostile output does not do."""

from __future__ import annotations

import json
import resource
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import fake_claude
from agents.causes import Cause
from agents.clients.claude.report import form
from agents.drivers.claude import HANDS, ClaudeDriver
from agents.protocol import Assignment, PlanningTask
from agents.reports import markdown
from agents.usage import Usage
from fake_claude import INIT, RESULT, SESSION, asks, called, ended, message, said
from tickets.agents import Agent
from tickets.errors import InputError, SignalboxError
from tickets.model import Ticket
from tickets.plan import read_plan
from workbench import Desk, Purse, Stage, forbidding, workbench

if TYPE_CHECKING:
    from agents.protocol import Bench, Outcome

FAKE = Path(fake_claude.__file__)
KEY = "sk-ant-api03-" + "Ab3xQ9zK" * 12  # of nobody
Act = dict[str, Any]


def ticket(*fields: str) -> Ticket:
    draft = {
        "key": "calc",
        "title": "Mend calc",
        "objective": "Let calc add.",
        "non_goals": ["anything else"],
        "scope": {"write": ["src/**"], "new": ["src/calc.py"]},
        "acceptance": [{"run": "true"}],
        "report_fields": list(fields),
    }
    plan = read_plan(json.dumps({"request": "mend calc", "tickets": [draft]}), "plan", max_tickets=1)
    return Ticket.from_draft(plan.tickets[0], feature="F-0001", ids={"calc": "T-0001"})


@dataclass(kw_only=True)
class Stand:
    folder: Path
    desk: Desk = field(default_factory=Desk)
    settings: dict[str, Any] = field(default_factory=dict)
    program: Path = FAKE

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    def scenario(self, *acts: Act, **more: Any) -> tuple[str, ...]:
        file = self.folder / "scenario.json"
        file.write_text(json.dumps({"acts": acts, "heard": str(self.folder / "heard"), **more}), encoding="utf-8")
        return sys.executable, str(self.program), str(file)

    def driver(self, *acts: Act, **more: Any) -> ClaudeDriver:
        settings = Agent(kind="claude", command=self.scenario(*acts, **more), **({"silence_s": 20.0} | self.settings))
        return ClaudeDriver(name="coder", settings=settings, root=self.folder)

    def bench(self, **chosen: Any) -> Bench:
        return workbench(self.folder, self.desk, **chosen)

    def work(self, *acts: Act, bench: Bench | None = None, fields: tuple[str, ...] = (), **more: Any) -> Outcome:
        task = Assignment(ticket=ticket(*fields), attempt=1, brief="Mend calc.", bench=bench or self.bench())
        return self.driver(*acts, **more).work(task)

    def heard(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "heard").read_text(encoding="utf-8").splitlines()]

    def transcript(self) -> list[dict[str, Any]]:
        lines = (self.folder / "logs" / "transcript.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    made = Stand(folder=tmp_path)
    made.tree.mkdir()
    return made


def say(event: dict[str, Any]) -> Act:
    return {"say": event}


def result(**changes: Any) -> Act:
    return say(RESULT | changes)


def write(path: Path, identity: str = "toolu_1", **more: Any) -> Act:
    return {"call": {"id": identity, "tool": "Write", "input": {"file_path": str(path), "content": "x = 1\n"}}, **more}


BEGIN = say(INIT)
WORDS = say(said("I did it."))


# a run that ends well


def test_a_run_that_ends_well_is_done_with_its_words_as_the_report(stand: Stand) -> None:
    outcome = stand.work(BEGIN, WORDS, write(stand.tree / "a.py"), result(result="## Summary\n\nAll done."))
    assert (outcome.ending, outcome.cause, outcome.reason) == ("done", Cause.DONE, "")
    assert outcome.report == "## Summary\n\nAll done."
    assert outcome.session == SESSION
    assert outcome.client == "claude 2.1.329"
    assert [(made.id, made.tool, made.refused) for made in outcome.calls] == [("toolu_1", "Write", False)]
    assert (stand.tree / "a.py").read_text() == "x = 1\n"
    assert outcome.used == Usage(input=1040, cached=40, output=50, usd=0.005, model=fake_claude.MODEL)
    assert outcome.counted == Usage(input=3040, cached=40, output=150, usd=0.015, model=fake_claude.MODEL)


def test_a_report_in_the_form_asked_for_is_rendered(stand: Stand) -> None:
    handed_in = {"summary": "Done.\n\n## Files Changed\n\nnothing", "files_changed": "- a.py", "loss": "0.1"}
    outcome = stand.work(BEGIN, WORDS, result(structured_output=handed_in), fields=("Loss",))
    assert outcome.report == (
        "## Summary\n\nDone.\n\n### Files Changed\n\nnothing\n\n## Files Changed\n\n- a.py\n\n## Loss\n\n0.1"
    )


@pytest.mark.parametrize("handed_in", [None, [], "text", 7, {}, {"summary": 3}, {"unknown": "x"}])
def test_a_report_in_another_form_gives_way_to_the_last_words(stand: Stand, handed_in: Any) -> None:
    outcome = stand.work(BEGIN, WORDS, result(structured_output=handed_in, result="in words"))
    assert (outcome.cause, outcome.report) == (Cause.DONE, "in words")


def test_fields_of_the_report_have_names_that_the_models_service_takes() -> None:
    fields = ("Loss", "loss", "LOSS!", "Ergebnis-Länge", "損失", "x" * 100)
    properties = form(fields)["properties"]
    assert all(1 <= len(key) <= 64 and key.isascii() and key.replace("_", "a").isalnum() for key in properties)
    assert len(properties) == len(form(fields)["required"]) == 5 + len(fields)
    filled = markdown({key: f"value of {key}" for key in properties}, fields)
    assert filled is not None
    assert all(f"## {title}\n" in filled for title in fields)


def test_the_transcript_holds_what_was_told_said_asked_and_counted(stand: Stand) -> None:
    stand.desk.judge = forbidding("evil")
    thought = say(message([{"type": "thinking", "thinking": "hm"}], identity="msg_0"))
    stand.work(BEGIN, thought, WORDS, write(stand.tree / "evil.py"), result())
    kept = [
        (event["kind"], event.get("text") or event.get("tool") or event.get("state")) for event in stand.transcript()
    ]
    assert kept[0][0] == "told"
    assert ("thought", "hm") in kept
    assert ("said", "I did it.") in kept
    assert ("call", "Write") in kept
    assert [event["state"] for event in stand.transcript() if event["kind"] == "result"] == ["refused"]
    assert [kind for kind, _ in kept[-2:]] == ["usage", "ended"]


# the gate


def test_a_refusal_reaches_the_model_and_nothing_is_written(stand: Stand) -> None:
    stand.desk.judge = forbidding("evil")
    outcome = stand.work(BEGIN, WORDS, write(stand.tree / "evil.py"), write(stand.tree / "b.py", "toolu_2"), result())
    answers = [
        line["response"]["response"]["hookSpecificOutput"]
        for line in stand.heard()
        if line["type"] == "control_response"
    ]
    assert [answer["permissionDecision"] for answer in answers] == ["deny", "allow"]
    assert answers[0]["permissionDecisionReason"] == "evil is not in the ticket's scope"
    assert [event["tool_use_id"] for event in stand.desk.asked] == ["toolu_1", "toolu_2"]
    assert [made.refused for made in outcome.calls] == [True, False]
    assert [path.name for path in stand.tree.iterdir()] == ["b.py"]


def test_a_call_that_ran_without_a_question_is_shown_as_made(stand: Stand) -> None:
    outcome = stand.work(BEGIN, write(stand.tree / "a.py", gate="skip"), result())
    assert [made.id for made in outcome.calls] == ["toolu_1"]
    assert stand.desk.asked == []


QUESTIONS: dict[str, dict[str, Any]] = {
    "no input": {"subtype": "hook_callback", "callback_id": "gate"},
    "another gate": asks("toolu_1", "Write", {}) | {"callback_id": "other"},
    "another event": {
        **asks("toolu_1", "Write", {}),
        "input": asks("a", "b", {})["input"] | {"hook_event_name": "Stop"},
    },
    "no tool": asks("toolu_1", "", {}),
    "no id": asks("", "Write", {}),
    "arguments that are none": asks("toolu_1", "Write", ["x"]),  # type: ignore[arg-type] # what a broken client says
    "two ids": asks("toolu_1", "Write", {}) | {"tool_use_id": "toolu_2"},
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_that_is_not_understood_is_refused(stand: Stand, name: str) -> None:
    stand.work(BEGIN, WORDS, {"ask": QUESTIONS[name]}, result())
    (answer,) = [line["response"] for line in stand.heard() if line["type"] == "control_response"]
    assert answer["response"]["hookSpecificOutput"]["permissionDecision"] == "deny"
    assert stand.desk.asked == []


@pytest.mark.parametrize(
    ("tool", "given", "judged"),
    [
        ("Write", {"file_path": "a", "content": "x", "command": "view"}, {"file_path": "a", "content": "x"}),
        ("Bash", {"command": "make", "cwd": "/tmp", "workdir": "/tmp"}, {"command": "make"}),
        ("Edit", {"path": "b", "file_path": "a"}, {"file_path": "a"}),
        ("Unheard", {"path": "b", "command": "view"}, {"path": "b", "command": "view"}),
    ],
)
def test_the_gate_hears_only_of_arguments_that_the_tool_goes_by(
    stand: Stand, tool: str, given: dict[str, Any], judged: dict[str, Any]
) -> None:
    stand.work(BEGIN, say(called("toolu_1", tool, **given)), {"ask": asks("toolu_1", tool, given)}, result())
    assert [(event["tool_name"], event["tool_input"]) for event in stand.desk.asked] == [(tool, judged)]


def test_what_a_person_would_be_asked_is_refused_and_other_requests_are_errors(stand: Stand) -> None:
    stand.work(
        BEGIN, WORDS, {"ask": {"subtype": "can_use_tool", "tool_name": "Bash"}}, {"ask": {"subtype": "new"}}, result()
    )
    first, second = [line["response"] for line in stand.heard() if line["type"] == "control_response"]
    assert (first["response"]["behavior"], second["subtype"]) == ("deny", "error")


def test_a_client_that_does_not_confirm_the_gate_is_told_nothing(stand: Stand) -> None:
    changes: list[dict[str, Any]] = [
        {"hooks_applied": False},
        {"current_permission_mode": "default"},
        {"hooks_applied": "yes"},
    ]
    for change in changes:
        stand.folder.joinpath("heard").unlink(missing_ok=True)
        outcome = stand.work(BEGIN, WORDS, result(), hello=fake_claude.HELLO | change)
        assert outcome.cause is Cause.PROTOCOL, change
        assert not any(line["type"] == "user" for line in stand.heard())


# how it is started


def test_it_is_started_with_the_gate_armed_and_nobodys_settings(stand: Stand) -> None:
    stand.settings |= {"model": "opus", "max_usd": 1.5, "max_turns": 7}
    stand.work(BEGIN, WORDS, result())
    start, hello, told = stand.heard()[:3]
    flags = start["argv"]
    for flag, value in (
        ("--permission-mode", "dontAsk"),
        ("--permission-prompt-tool", "stdio"),
        ("--setting-sources", ""),
        ("--tools", ",".join(HANDS)),
        ("--max-turns", "7"),
        ("--max-budget-usd", "1.5"),
        ("--model", "opus"),
    ):
        assert flags[flags.index(flag) + 1] == value
    assert {"-p", "--strict-mcp-config", "--disable-slash-commands", "--json-schema"} <= set(flags)
    (hook,) = hello["request"]["hooks"]["PreToolUse"]
    assert (hook["matcher"], hook["onFailure"]) == (None, "block")
    assert told["message"]["content"].startswith("Mend calc.")
    assert start["env"]["CLAUDE_CONFIG_DIR"] == str(stand.folder / "session" / "claude")
    assert "ANTHROPIC_BASE_URL" not in start["env"]
    assert "ANTHROPIC_API_KEY" not in start["env"]


def test_the_key_comes_from_the_variable_that_the_settings_name_and_is_in_no_transcript(stand: Stand) -> None:
    stand.settings |= {"key": "MY_KEY", "base_url": "http://127.0.0.1:9"}
    bench = stand.bench(stage=Stage(variables={"MY_KEY": KEY}))
    stand.work(BEGIN, say(said(f"the key is {KEY}")), result(), bench=bench)
    environment = stand.heard()[0]["env"]
    assert (environment["ANTHROPIC_API_KEY"], environment["ANTHROPIC_BASE_URL"]) == (KEY, "http://127.0.0.1:9")
    assert KEY not in (stand.folder / "logs" / "transcript.jsonl").read_text()


def test_a_driver_aimed_at_another_place_takes_no_persons_key_along(stand: Stand) -> None:
    driver = stand.driver(BEGIN, WORDS, result()).aimed_at("http://127.0.0.1:9")
    bench = stand.bench(stage=Stage(variables={"ANTHROPIC_API_KEY": KEY, "CLAUDE_CODE_OAUTH_TOKEN": KEY}))
    driver.work(Assignment(ticket=ticket(), attempt=1, brief="Mend.", bench=bench))
    environment = stand.heard()[0]["env"]
    assert environment["ANTHROPIC_API_KEY"] == "dummy"
    assert KEY not in environment.values()


# sessions


def again(stand: Stand, driver: ClaudeDriver, feedback: str = "Only the feedback.") -> Outcome:
    task = Assignment(
        ticket=ticket(),
        attempt=2,
        brief="The whole brief.",
        feedback=feedback,
        session=SESSION,
        before=Usage(input=2000, output=100, usd=0.010),
        bench=stand.bench(),
    )
    return driver.work(task)


def test_a_session_that_is_taken_up_again_is_told_the_feedback_alone(stand: Stand) -> None:
    old = {key: value for key, value in RESULT.items() if key != "model_usage_since_last_result"}
    outcome = again(stand, stand.driver(resumed=[BEGIN, WORDS, say(old)]))
    start, _, told = stand.heard()[:3]
    assert start["argv"][start["argv"].index("--resume") + 1] == SESSION
    assert "Only the feedback." in told["message"]["content"]
    assert "The whole brief." not in told["message"]["content"]
    assert (outcome.used.input, outcome.used.output) == (1040, 50)
    assert outcome.used.usd == pytest.approx(0.005)


def test_a_session_that_was_interrupted_is_told_to_go_on(stand: Stand) -> None:
    assert again(stand, stand.driver(resumed=[BEGIN, WORDS, result()]), feedback="").cause is Cause.DONE
    assert stand.heard()[2]["message"]["content"].startswith("You were interrupted. Go on where you were")


def test_an_unknown_session_begins_anew_once(stand: Stand) -> None:
    unknown = {
        "subtype": "error_during_execution",
        "is_error": True,
        "terminal_reason": None,
        "errors": [f"No conversation found with session ID: {SESSION}"],
    }
    outcome = again(stand, stand.driver(BEGIN, WORDS, result(), resumed=[result(**unknown)]))
    assert outcome.cause is Cause.DONE
    told = [line["message"]["content"] for line in stand.heard() if line["type"] == "user"]
    assert "The whole brief." in told[-1]
    assert sum(line["type"] == "start" for line in stand.heard()) == 2


def test_a_session_name_that_is_none_is_never_put_on_the_command_line(stand: Stand) -> None:
    driver = stand.driver(BEGIN, WORDS, result())
    task = Assignment(
        ticket=ticket(),
        attempt=2,
        brief="b",
        feedback="f",
        session="--dangerously-skip-permissions",
        bench=stand.bench(),
    )
    assert driver.work(task).cause is Cause.DONE
    assert "--dangerously-skip-permissions" not in stand.heard()[0]["argv"]


# how runs end

API_ERROR = {"is_error": True, "terminal_reason": "api_error"}


def refused(status: int | None, text: str, **more: Any) -> list[Act]:
    """Give what the client says of an error of the model's service: `success`, of all things, with `is_error`."""
    own = said(text, model="<synthetic>", error="unknown", api_error_status=status)
    return [BEGIN, say(own), result(**API_ERROR, api_error_status=status, result=text, **more)]


SERVICE: dict[str, tuple[list[Act], Cause, float | None]] = {
    "a wrong key": (refused(401, "Invalid API key · Fix external API key"), Cause.SIGN_IN, None),
    "no login": (refused(None, "Not logged in · Please run /login"), Cause.SIGN_IN, None),
    "an account that may not": (refused(403, "Failed to authenticate. API Error: 403"), Cause.SIGN_IN, None),
    "an unknown model": (refused(404, "There's an issue with the selected model (x)."), Cause.REFUSED, None),
    "a request that is refused": (refused(400, "API Error: 400 something odd"), Cause.REFUSED, None),
    "too many requests": (refused(429, "API Error: Request rejected (429) · slow down"), Cause.RATE, None),
    "an overloaded model": (refused(529, "API Error: 529 Overloaded."), Cause.RATE, None),
    "a service that fails": (refused(500, "API Error: 500 Internal."), Cause.NETWORK, None),
    "no connection": (refused(None, "API Error: Connection refused"), Cause.NETWORK, None),
    "an allowance with its end": (refused(429, "Claude AI usage limit reached|1795260000"), Cause.QUOTA, 1795260000.0),
    "an allowance": (refused(429, "You've hit your session limit · resets 3pm"), Cause.QUOTA, None),
    "an empty account": (refused(400, "Credit balance is too low"), Cause.QUOTA, None),
    "a long conversation": (
        [BEGIN, result(is_error=True, terminal_reason="prompt_too_long", result="Prompt is too long")],
        Cause.CONTEXT,
        None,
    ),
    "an allowance by its own event": (
        [
            BEGIN,
            say({"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": 1795261111}}),
            *refused(429, "API Error: 429")[1:],
        ],
        Cause.QUOTA,
        1795261111.0,
    ),
}


@pytest.mark.parametrize("name", SERVICE)
def test_trouble_with_the_models_service_is_named(stand: Stand, name: str) -> None:
    acts, cause, again_at = SERVICE[name]
    outcome = stand.work(*acts, exit=1)
    assert (outcome.cause, outcome.ending, outcome.again_at) == (cause, "failed", again_at), outcome.reason
    assert outcome.reason


ENDS: dict[str, tuple[list[Act], dict[str, Any], Cause]] = {
    "its answers are used up": (
        [BEGIN, WORDS, result(subtype="error_max_turns", is_error=True, terminal_reason="max_turns", result=None)],
        {"exit": 1},
        Cause.TURNS,
    ),
    "its money is used up": (
        [BEGIN, WORDS, result(subtype="error_max_budget_usd", is_error=True, result=None)],
        {"exit": 1},
        Cause.BUDGET,
    ),
    "interrupted, with exit code 0": (
        [BEGIN, WORDS, result(subtype="error_during_execution", is_error=True, terminal_reason="aborted_tools")],
        {},
        Cause.INTERRUPTED,
    ),
    "the report never fits the form": (
        [BEGIN, WORDS, result(subtype="error_max_structured_output_retries", is_error=True)],
        {"exit": 1},
        Cause.FAILED,
    ),
    "an error that nobody knows": (
        [BEGIN, WORDS, result(subtype="error_new", is_error=True, terminal_reason="new", errors=["odd"])],
        {"exit": 1},
        Cause.FAILED,
    ),
    "success with a bad exit code": ([BEGIN, WORDS, result()], {"exit": 3}, Cause.CRASH),
    "success of another subtype": ([BEGIN, WORDS, result(subtype="new")], {}, Cause.PROTOCOL),
    "no error flag": ([BEGIN, WORDS, result(is_error=None)], {}, Cause.FAILED),
    "nothing was answered": ([BEGIN, result(result="")], {}, Cause.EMPTY),
    "no result": ([BEGIN, WORDS], {"hasty": True}, Cause.PROTOCOL),
    "no result, and a bad exit code": ([BEGIN, WORDS], {"hasty": True, "exit": 1}, Cause.CRASH),
    "ended by a signal": ([BEGIN, WORDS, {"kill": 9}], {}, Cause.CRASH),
    "ended by a signal that it says itself": ([BEGIN, WORDS], {"hasty": True, "exit": 143}, Cause.CRASH),
    "ended before it began": ([], {"hasty": True, "exit": 1}, Cause.CRASH),
    "a line that is no JSON": ([BEGIN, {"raw": "Warning: something\n"}, WORDS, result()], {}, Cause.PROTOCOL),
    "a line that is no text": ([BEGIN, {"raw": "\udcff\udcfe\n"}, WORDS, result()], {}, Cause.PROTOCOL),
    "JSON that is no event": ([BEGIN, {"raw": "[1]\n"}, WORDS, result()], {}, Cause.PROTOCOL),
    "an event without a kind": ([BEGIN, {"raw": '{"type": 3}\n'}, WORDS, result()], {}, Cause.PROTOCOL),
    "a nest without end": ([BEGIN, {"raw": "[" * 200_000 + "\n"}, WORDS, result()], {}, Cause.PROTOCOL),
    "a stream that breaks off": ([BEGIN, {"raw": '{"type": "resu'}], {"hasty": True}, Cause.PROTOCOL),
    "two results": ([BEGIN, WORDS, result(), result()], {}, Cause.PROTOCOL),
    "a result of another session": ([BEGIN, WORDS, result(session_id="other")], {}, Cause.PROTOCOL),
    "another session midway": ([BEGIN, WORDS, say(INIT | {"session_id": "other"})], {}, Cause.PROTOCOL),
    "a result of no call": ([BEGIN, WORDS, say(ended("toolu_9", "made")), result()], {}, Cause.PROTOCOL),
    "two results of one call": (
        [BEGIN, say(called("toolu_1", "Read")), say(ended("toolu_1", "x")), say(ended("toolu_1", "y")), result()],
        {},
        Cause.PROTOCOL,
    ),
    "one id for two calls": (
        [BEGIN, say(called("toolu_1", "Read")), say(ended("toolu_1", "x")), say(called("toolu_1", "Write")), result()],
        {},
        Cause.PROTOCOL,
    ),
    "work before the gate is armed": ([], {"hello": None}, Cause.SILENT),
    "another model than the one asked for": (
        [say(INIT | {"model": "claude-haiku-4-5"}), {"wait": "interrupt"}],
        {},
        Cause.MODEL,
    ),
    "another model in the middle": (
        [BEGIN, WORDS, say(said("hi", model="claude-haiku-4-5")), {"wait": "interrupt"}, result()],
        {},
        Cause.MODEL,
    ),
    "silence": ([BEGIN, WORDS, {"sleep": 60}], {}, Cause.SILENT),
    "too old by its own word": ([], {"hello": fake_claude.HELLO | {"claude_code_version": "2.1.100"}}, Cause.MISSING),
    "too old": ([], {"version": "2.1.294 (Claude Code)"}, Cause.MISSING),
    "no version": ([], {"version": "hello"}, Cause.MISSING),
    "a program that fails": ([], {"version exit": 1}, Cause.MISSING),
}


@pytest.mark.parametrize("name", ENDS)
def test_each_end_has_its_cause(stand: Stand, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.clients.claude.dialogue.STOP_S", 1.0)
    acts, more, cause = ENDS[name]
    stand.settings |= {"model": "opus", "silence_s": 2.0 if cause is Cause.SILENT else 20.0}
    outcome = stand.work(*acts, **more)
    assert outcome.cause is cause, outcome.reason
    assert outcome.ending == {"missing": "not-started", "interrupted": "interrupted"}.get(cause.value, "failed")
    assert outcome.reason
    assert stand.transcript()[-1]["kind"] == "ended"


def test_an_event_of_a_kind_that_nobody_knows_is_no_trouble(stand: Stand) -> None:
    odd: list[Any] = [
        {"type": "new"},
        {"type": "system", "subtype": "new"},
        {"type": "user"},
        {"type": "assistant", "message": 3},
    ]
    outcome = stand.work(
        BEGIN, *map(say, odd), {"raw": "\n  \n"}, WORDS, result(usage=None, modelUsage=[1], total_cost_usd="x")
    )
    assert outcome.cause is Cause.DONE


def test_figures_that_are_none_count_as_nothing(stand: Stand) -> None:
    models = {
        "a": {"inputTokens": -5, "outputTokens": True, "costUSD": 1e999},
        "b": 3,
        "c": {"inputTokens": 1e9, "costUSD": "1"},
    }
    outcome = stand.work(
        BEGIN, WORDS, result(model_usage_since_last_result=models, modelUsage=models, total_cost_usd=None)
    )
    assert (outcome.used.input, outcome.used.output, outcome.used.usd) == (0, 0, 0.0)


def test_a_time_out_is_the_harnesss_own(stand: Stand) -> None:
    outcome = stand.work(BEGIN, WORDS, {"sleep": 60}, bench=stand.bench(stage=Stage(timeout_s=1.5)))
    assert (outcome.cause, outcome.ending) == (Cause.TIMEOUT, "timeout")


def test_a_client_that_does_not_end_after_its_result_is_ended(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.clients.claude.dialogue.FAREWELL_S", 0.5)
    begun = time.monotonic()
    outcome = stand.work(BEGIN, WORDS, result(), {"sleep": 60})
    assert outcome.cause is Cause.CRASH
    assert time.monotonic() - begun < 15


def test_a_client_that_was_replaced_while_it_ran_is_noticed(stand: Stand) -> None:
    stand.program = Path(shutil.copy(FAKE, stand.folder / "claude.py"))
    outcome = stand.work(BEGIN, WORDS, {"touch": str(stand.program)}, result())
    assert outcome.cause is Cause.CHANGED
    assert "was replaced" in outcome.reason


# money


def test_a_used_up_budget_stops_it_politely_and_keeps_its_counts(stand: Stand) -> None:
    purse = Purse(tokens=2000)
    more = say(message([{"type": "text", "text": "more"}], identity="msg_2"))
    outcome = stand.work(
        BEGIN, WORDS, more, {"wait": "interrupt"}, result(is_error=True), bench=stand.bench(purse=purse)
    )
    assert (outcome.cause, outcome.ending) == (Cause.BUDGET, "failed")
    assert "2000 were allowed" in outcome.reason
    assert outcome.used.usd == 0.005
    assert [used.input for used in purse.counts[:3]] == [0, 1045, 2090]


def test_nothing_is_allowed_once_it_is_being_stopped(stand: Stand) -> None:
    late = write(stand.tree / "late.py")
    outcome = stand.work(
        BEGIN, WORDS, {"wait": "interrupt"}, late, result(is_error=True), bench=stand.bench(purse=Purse(tokens=10))
    )
    assert outcome.cause is Cause.BUDGET
    assert not (stand.tree / "late.py").exists()


def test_an_answer_in_several_parts_is_counted_once_and_grows_with_what_is_written(stand: Stand) -> None:
    purse = Purse()
    stand.work(BEGIN, WORDS, say(said("x" * 4000)), {"kill": 9}, bench=stand.bench(purse=purse))
    assert [(used.input, used.output) for used in purse.counts] == [(0, 0), (1045, 3), (1045, 1003)]


def test_a_run_without_a_result_keeps_what_was_counted_live(stand: Stand) -> None:
    outcome = stand.work(BEGIN, WORDS, {"kill": 9})
    assert (outcome.used.input, outcome.counted.input, outcome.used.usd) == (1045, 1045, None)


# hostile output


def peak() -> int:
    """Give the highest memory of this process until now, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


@pytest.mark.long
def test_a_line_of_500_mb_costs_little_memory_and_has_its_cause(stand: Stand) -> None:
    before = peak()
    outcome = stand.work(BEGIN, WORDS, {"huge": 500 << 20, "start": '{"type":"assistant"'}, result())
    assert outcome.cause is Cause.PROTOCOL
    assert "longer than" in outcome.reason
    assert peak() - before < 200


@pytest.mark.long
def test_the_huge_result_of_a_tool_is_left_out_and_counts_as_made(stand: Stand) -> None:
    outcome = stand.work(
        BEGIN, say(called("toolu_1", "Read")), {"huge": 40 << 20, "start": '{"type":"user","message":'}, WORDS, result()
    )
    assert outcome.cause is Cause.DONE
    assert [(made.id, made.refused) for made in outcome.calls] == [("toolu_1", None)]


@pytest.mark.long
def test_a_million_small_events_are_taken_in(stand: Stand) -> None:
    before = peak()
    outcome = stand.work(BEGIN, {"flood": {"type": "system", "subtype": "status"}, "times": 1_000_000}, WORDS, result())
    assert outcome.cause is Cause.DONE
    assert peak() - before < 50


@pytest.mark.long
def test_calls_without_end_have_an_end(stand: Stand) -> None:
    before = peak()
    outcome = stand.work(BEGIN, {"flood": called("toolu_NUMBER", "Read"), "times": 21_000}, result())
    assert outcome.cause is Cause.PROTOCOL
    assert peak() - before < 100


def test_a_flood_after_the_result_ends(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.clients.claude.dialogue.FAREWELL_S", 0.5)
    flood = {"flood": {"type": "system", "subtype": "status", "text": "x" * 2000}, "times": 3_000_000}
    begun = time.monotonic()
    outcome = stand.work(BEGIN, WORDS, result(), flood)
    assert outcome.cause is Cause.CRASH
    assert time.monotonic() - begun < 20


def test_text_that_looks_like_events_is_only_text(stand: Stand) -> None:
    imitation = json.dumps(RESULT | {"result": "imitated"})
    outcome = stand.work(BEGIN, say(said(f"{imitation}\n{imitation}")), result(result="real"))
    assert (outcome.cause, outcome.report) == (Cause.DONE, "real")


def test_a_report_with_broken_characters_can_be_written_anywhere(stand: Stand) -> None:
    outcome = stand.work(BEGIN, WORDS, {"raw": json.dumps(RESULT | {"result": "half: \ud83d"}) + "\n"})
    assert outcome.report == "half: ?"


# leads and auditors


def test_a_lead_gives_its_last_words_and_has_no_hands(stand: Stand) -> None:
    facts: Any = None  # what a lead is told of the repository stands in its brief
    task = PlanningTask(request="mend", brief="Plan it.", facts=facts, bench=stand.bench())
    assert stand.driver(BEGIN, WORDS, result(result="tickets: []")).plan(task) == "tickets: []"
    flags = stand.heard()[0]["argv"]
    assert flags[flags.index("--tools") + 1] == "Glob,Grep,Read"
    assert "--json-schema" not in flags


@pytest.mark.parametrize(
    ("acts", "error"),
    [(refused(401, "Invalid API key"), InputError), ([BEGIN, result(result="")], SignalboxError)],
)
def test_a_lead_that_gives_no_plan_says_why(stand: Stand, acts: list[Act], error: type[Exception]) -> None:
    facts: Any = None
    task = PlanningTask(request="mend", brief="Plan it.", facts=facts, bench=stand.bench())
    with pytest.raises(error, match="coder"):
        stand.driver(*acts).plan(task)


# before the start


def test_the_probe_says_what_is_missing_and_how_to_get_it(stand: Stand) -> None:
    absent = ClaudeDriver(
        name="coder", settings=Agent(kind="claude", command=("no-such-claude",)), root=stand.folder
    ).probe()
    assert not absent.ready
    assert "'no-such-claude' is neither on the PATH nor an executable file" in absent.detail
    assert "npm install -g @anthropic-ai/claude-code" in absent.detail
    old = stand.driver(version="2.0.9 (Claude Code)").probe()
    assert not old.ready
    assert "2.0.9 is too old, 2.1.295 is the oldest" in old.detail


def test_the_probe_knows_whether_there_is_a_key(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    driver = stand.driver()
    assert (driver.probe().ready, driver.probe().signed_in, driver.probe().version) == (True, False, "2.1.329")
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    assert driver.probe().signed_in is True
    assert stand.driver().aimed_at("http://127.0.0.1:9").probe().signed_in is True


def test_behind_npms_stub_stands_the_platforms_own_binary(stand: Stand) -> None:
    scope = stand.folder / "node_modules" / "@anthropic-ai"
    stub, link = scope / "claude-code" / "bin" / "claude.exe", stand.folder / "node_modules" / ".bin" / "claude"
    for place in (stub, link):
        place.parent.mkdir(parents=True)
    stub.write_text("echo 'native binary not installed' >&2; exit 1\n", encoding="utf-8")
    stub.chmod(0o755)
    link.symlink_to(stub)
    system, machine = {"linux": "linux", "darwin": "darwin"}[sys.platform], "arm64" if "arm" in _machine() else "x64"
    binary = scope / f"claude-code-{system}-{machine}" / "claude"
    binary.parent.mkdir()
    binary.write_text(f"#!{sys.executable}\nprint('2.1.329 (Claude Code)')\n", encoding="utf-8")
    binary.chmod(0o755)
    probe = ClaudeDriver(name="coder", settings=Agent(kind="claude", command=(str(link),)), root=stand.folder).probe()
    assert probe.ready, probe.detail
    assert probe.detail == f"{binary} 2.1.329"


def _machine() -> str:
    import platform

    return platform.machine().lower().replace("aarch64", "arm64")


def test_the_trial_tries_to_write_once_and_ends() -> None:
    driver = ClaudeDriver(name="coder", settings=Agent(kind="claude"), root=Path("/"))
    first, last = driver.trial("src/x.py")
    assert first["tools"][0]["input"]["file_path"] == "src/x.py"
    assert "tools" not in last
