"""The Codex driver against a client that plays recorded lines: what counts as done, what the gate holds, and every way to misbehave."""

from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from agents.causes import Cause
from agents.clients.codex.config import hook_command
from agents.clients.codex.errors import again_at, error_of
from agents.clients.codex.questions import OddError, command_event, edit_event, inner
from agents.drivers.codex import CodexDriver
from agents.protocol import Assignment, Facts, PlanningTask, Question
from agents.usage import Usage
from tickets.agents import Agent
from tickets.errors import InputError, SignalboxError
from tickets.model import Ticket
from workbench import YES, Desk, Purse, Stage, forbidding, workbench

if TYPE_CHECKING:
    from agents.protocol import Bench, Outcome

FAKE = Path(__file__).parents[1] / "support" / "fake_codex.py"
THREAD, TURN = "01a1fddf-73ce-7021-bf21-248ed418279b", "01a1fddf-73fe-7f02-9b1b-f30da96a5f56"
WHERE = {"threadId": THREAD, "turnId": TURN}
REPORT = "## Summary\n\nDone."
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
Step = dict[str, Any]


@dataclass(kw_only=True)
class Play:
    """A bench, a gate, and a driver whose client plays a scene."""

    folder: Path
    desk: Desk = field(default_factory=Desk)
    purse: Purse = field(default_factory=Purse)
    settings: Step = field(default_factory=dict)
    session: str = ""
    before: Usage = field(default_factory=Usage)
    timeout_s: float = 60.0

    @property
    def bench(self) -> Bench:
        return workbench(self.folder, self.desk, purse=self.purse, stage=Stage(timeout_s=self.timeout_s))

    def driver(self, scene: Step) -> CodexDriver:
        journal = self.folder / "journal"
        (self.folder / "scene.json").write_text(json.dumps({"journal": str(journal), **scene}), encoding="utf-8")
        command = (sys.executable, str(FAKE), str(self.folder / "scene.json"))
        settings = Agent.model_validate({"kind": "codex", "command": command, **self.settings})
        return CodexDriver(name="coder", settings=settings, root=self.folder)

    def work(self, scene: Step, **more: Any) -> Outcome:
        task = Assignment(ticket=TICKET, attempt=1, brief="# Brief", bench=self.bench, session=self.session, **more)
        return self.driver(scene).work(replace(task, before=self.before))

    def strict(self, *play: Step, **scene: Any) -> Outcome:
        return self.work({"play": play, **scene})

    def plain(self, *play: Step, **scene: Any) -> Outcome:
        self.settings = {"form": "plain", **self.settings}
        return self.work({"play": play, **scene})

    def sent(self) -> list[Step]:
        """Everything that the client was sent."""
        return [json.loads(line) for line in (self.folder / "journal").read_text("utf-8").splitlines()]

    def written(self) -> set[str]:
        return {path.name for path in self.bench.tree.iterdir()}


@pytest.fixture
def play(tmp_path: Path) -> Play:
    return Play(folder=tmp_path)


def tells(method: str, **params: Any) -> Step:
    return {"say": {"method": method, "params": {**WHERE, **params}}}


def item(kind: str, *, over: bool = True, name: str = "call_1", **values: Any) -> Step:
    return tells("item/completed" if over else "item/started", item={"type": kind, "id": name, **values})


def says(text: str) -> Step:
    return item("agentMessage", name="msg_1", text=text)


def ends(status: str = "completed", error: Step | None = None) -> Step:
    return tells("turn/completed", turn={"id": TURN, "status": status, "error": error, "items": []})


def uses(tokens: int) -> Step:
    total = {"totalTokens": tokens, "inputTokens": tokens - 50, "cachedInputTokens": 10, "outputTokens": 50}
    return tells("thread/tokenUsage/updated", tokenUsage={"total": total, "last": total})


def asks(method: str = "item/commandExecution/requestApproval", **params: Any) -> Step:
    return {"ask": {"method": method, "id": 7, "params": {**WHERE, "itemId": "call_1", **params}}}


def runs(command: str, *, status: str = "completed") -> tuple[Step, ...]:
    """Give what the client says around a command that it asks about."""
    line = f"/bin/bash -c '{command}'"
    return (
        item("commandExecution", over=False, command=line, status="inProgress"),
        asks(command=line, kind="command"),
        item("commandExecution", command=line, status=status, exitCode=0, aggregatedOutput="hello\n"),
    )


def edits(path: str, *, status: str = "completed") -> tuple[Step, ...]:
    changes = [{"path": path, "kind": {"type": "add"}, "diff": "x = 1\n"}]
    return (
        item("fileChange", over=False, changes=changes, status="inProgress"),
        asks("item/fileChange/requestApproval", reason=None, grantRoot=None),
        {"write": path},
        item("fileChange", changes=changes, status=status),
    )


REROUTED = tells("model/rerouted", fromModel="gpt-5.5", toModel="gpt-4")
OVER = (uses(1050), says(REPORT), ends())
EVENTS = (
    {"say": {"type": "thread.started", "thread_id": THREAD}},
    {"say": {"type": "turn.started"}},
    {"say": {"type": "item.completed", "item": {"id": "item_1", "type": "agent_message", "text": REPORT}}},
    {
        "say": {
            "type": "turn.completed",
            "usage": {"input_tokens": 1000, "cached_input_tokens": 10, "output_tokens": 50},
        }
    },
)
RAN = {"id": "item_0", "type": "command_execution", "command": "/bin/bash -c ls", "status": "completed"}


# a turn that goes well


def test_a_turn_is_done_when_exit_code_status_and_report_agree(play: Play) -> None:
    outcome = play.strict(*runs("ls"), *OVER)
    assert (outcome.ending, outcome.cause, outcome.reason) == ("done", Cause.DONE, "")
    assert (outcome.report, outcome.session, outcome.client) == (REPORT, THREAD, "codex 0.169.0")
    assert outcome.used == outcome.counted == Usage(input=1000, cached=10, output=50, model="gpt-5.5")
    assert [(call.id, call.tool, call.refused) for call in outcome.calls] == [("call_1", "Bash", False)]
    kinds = [json.loads(line)["kind"] for line in play.bench.transcript.file.read_text("utf-8").splitlines()]
    assert kinds == ["told", "call", "result", "usage", "said", "ended"]


def test_the_thread_is_one_that_asks_about_everything(play: Play) -> None:
    play.strict(*OVER)
    started = next(message["params"] for message in play.sent() if message.get("method") == "thread/start")
    assert (started["approvalPolicy"], started["approvalsReviewer"], started["cwd"]) == (
        "untrusted",
        "user",
        str(play.bench.tree),
    )
    turn = next(message["params"] for message in play.sent() if message.get("method") == "turn/start")
    assert turn == {"threadId": THREAD, "input": [{"type": "text", "text": "# Brief"}]}


@pytest.mark.parametrize("said", [{"approval": "on-request"}, {"reviewer": "guardian"}, {"sandbox": "readOnly"}])
def test_a_client_that_would_not_ask_is_not_given_the_ticket(play: Play, said: Step) -> None:
    outcome = play.work({"play": OVER, **said})
    assert (outcome.cause, outcome.report) == (Cause.MISSING, None)
    assert "does not begin as one that asks before each call" in outcome.reason
    assert not any(message.get("method") == "turn/start" for message in play.sent())


@pytest.mark.parametrize("form", ["strict", "plain"])
@pytest.mark.parametrize("features", [{}, {"unified_exec_tty": True, "view_image": False}, {"unified_exec_tty": False}])
def test_a_client_that_cannot_shut_the_ways_around_the_gate_is_not_given_the_ticket(
    play: Play, form: str, features: Step
) -> None:
    play.settings = {"form": form}
    outcome = play.work({"play": OVER, "features": features})
    assert outcome.cause is Cause.MISSING
    assert "through which calls get past the live gate" in outcome.reason
    assert not any(message.get("method") == "turn/start" or "argv" in message for message in play.sent())


# the gate


def test_a_refused_edit_is_not_made_and_the_model_is_told_why(play: Play) -> None:
    play.desk.judge = forbidding("evil.py")
    path = str(play.folder / "tree" / "evil.py")
    outcome = play.strict(*edits(path, status="declined"), *OVER)
    assert outcome.cause is Cause.DONE
    assert play.written() == set()
    assert [call.refused for call in outcome.calls] == [True]
    steered = next(message["params"] for message in play.sent() if message.get("method") == "turn/steer")
    assert "evil.py is not in the ticket's scope" in steered["input"][0]["text"]
    assert play.desk.asked[0]["tool_use_id"] == "call_1"


def test_an_allowed_edit_is_made(play: Play) -> None:
    outcome = play.strict(*edits(str(play.folder / "tree" / "good.py")), *OVER)
    assert (outcome.cause, play.written()) == (Cause.DONE, {"good.py"})
    assert f"*** Add File: {play.folder}/tree/good.py\n+x = 1" in play.desk.asked[0]["tool_input"]["command"]


@pytest.mark.parametrize(
    "step",
    [
        asks("item/permissions/requestApproval", permissions={}),
        asks("execCommandApproval", command=["ls"]),
        asks("applyPatchApproval", fileChanges={}),
        asks("something/new"),
        asks("item/fileChange/requestApproval", grantRoot="/"),
        asks("item/fileChange/requestApproval"),
        asks(kind="writeStdin", command="ls"),
        asks(command="ls", networkApprovalContext={"host": "example.org"}),
        asks(command=None),
        asks(command=["ls"]),
        asks(command="ls", itemId=None),
    ],
)
def test_whatever_is_odd_is_refused_without_asking_the_gate(play: Play, step: Step) -> None:
    outcome = play.strict(step, {"write": str(play.folder / "tree" / "evil.py")}, *OVER)
    assert (outcome.cause, play.written(), play.desk.asked) == (Cause.DONE, set(), [])
    answer = next(message for message in play.sent() if message.get("id") == 7)
    assert "error" in answer or answer["result"] == {"decision": "decline"}


@pytest.mark.parametrize(
    ("steps", "what"),
    [
        ([item("commandExecution", command="ls", status="completed")], "Bash (call_1) was not asked about"),
        ([item("fileChange", changes=[], status="completed")], "apply_patch (call_1) was not asked about"),
        ([item("mcpToolCall", status="completed")], "mcpToolCall (call_1) was not asked about"),
        ([item("somethingNew")], "somethingNew (call_1) was not asked about"),
        ([*runs("evil.py")], "Bash (call_1) ran although it was refused"),
        ([tells("item/commandExecution/terminalInteraction", itemId="c", stdin="x\n")], "typed into a running program"),
    ],
)
def test_a_call_without_a_yes_ends_the_run(play: Play, steps: list[Step], what: str) -> None:
    play.desk.judge = forbidding("evil.py")
    outcome = play.strict(*steps, {"await": "turn/interrupt"}, ends("interrupted"))
    assert outcome.cause is Cause.UNGATED
    assert what in outcome.reason
    assert outcome.calls


def test_a_question_after_the_stop_is_refused(play: Play) -> None:
    play.purse.tokens = 100
    path = str(play.folder / "tree" / "late.py")
    outcome = play.strict(uses(1050), {"await": "turn/interrupt"}, *edits(path, status="declined"), ends("interrupted"))
    assert (outcome.cause, play.written()) == (Cause.BUDGET, set())


# ends


def test_a_used_up_budget_stops_the_turn_and_keeps_what_was_counted(play: Play) -> None:
    play.purse.tokens = 1000
    outcome = play.strict(uses(1050), {"await": "turn/interrupt"}, uses(1090), ends("interrupted"))
    assert (outcome.cause, outcome.used.tokens) == (Cause.BUDGET, 1090)
    assert outcome.reason == "1050 tokens were used; 1000 were allowed"


def test_a_model_that_needs_too_many_answers_is_stopped(play: Play) -> None:
    play.settings = {"max_turns": 2}
    outcome = play.strict(uses(1), uses(2), uses(3), {"await": "turn/interrupt"}, ends("interrupted"))
    assert outcome.cause is Cause.TURNS


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ({"message": "no room", "codexErrorInfo": "contextWindowExceeded"}, Cause.CONTEXT),
        ({"message": "no model", "codexErrorInfo": "modelNotFound"}, Cause.REFUSED),
        ({"message": "no key", "codexErrorInfo": {"httpConnectionFailed": {"httpStatusCode": 401}}}, Cause.SIGN_IN),
        (
            {"message": "too many", "codexErrorInfo": {"responseTooManyFailedAttempts": {"httpStatusCode": 429}}},
            Cause.RATE,
        ),
        ({"message": "gone", "codexErrorInfo": {"httpConnectionFailed": {"httpStatusCode": None}}}, Cause.NETWORK),
        ({"message": "stream disconnected before completion", "codexErrorInfo": "other"}, Cause.NETWORK),
        ({"message": "who knows", "codexErrorInfo": "other"}, Cause.FAILED),
        (None, Cause.FAILED),
    ],
)
def test_each_error_of_a_turn_has_its_cause(play: Play, error: Step | None, cause: Cause) -> None:
    outcome = play.strict(uses(1050), ends("failed", error))
    assert (outcome.ending, outcome.cause, outcome.used.tokens) == ("failed", cause, 1050)


def test_an_error_that_was_not_tried_again_is_none_of_a_turn_that_went_well(play: Play) -> None:
    error = {"message": "unexpected status 500", "codexErrorInfo": None}
    assert play.strict(tells("error", error=error, willRetry=False), *OVER).cause is Cause.NETWORK
    assert play.strict(tells("error", error=error, willRetry=True), *OVER).cause is Cause.DONE


@pytest.mark.parametrize(
    ("play_", "scene", "cause", "reason"),
    [
        ([ends()], {}, Cause.EMPTY, "without a word"),
        ([says("Shall I begin?"), ends()], {}, Cause.EMPTY, "nothing but ask a question"),
        ([says(REPORT), ends("interrupted")], {}, Cause.PROTOCOL, "'interrupted'"),
        ([says(REPORT), ends("inProgress")], {}, Cause.PROTOCOL, "'inProgress'"),
        (OVER, {"exit": 3}, Cause.CRASH, "exit code 3"),
        ([says(REPORT), {"exit": 0}], {}, Cause.CRASH, "ended before it was done"),
        ([{"die": signal.SIGKILL}], {}, Cause.CRASH, "exit code -9"),
        ([{"raw": "[1, 2"}], {}, Cause.PROTOCOL, "no JSON object: '[1, 2'"),
        ([{"raw": "[" * 100_000}], {}, Cause.PROTOCOL, "no JSON"),
        ([{"raw": "[1]"}], {}, Cause.PROTOCOL, "no JSON object"),
        ([{"raw": ""}], {}, Cause.PROTOCOL, "no JSON"),
        (OVER, {"version": "0.165.9"}, Cause.MISSING, "Codex 0.165.9 is too old: version 0.166.0"),
        (OVER, {"version": "new"}, Cause.PROTOCOL, "named no version"),
        (OVER, {"refuses": ["thread/start"]}, Cause.PROTOCOL, "thread/start: no such thing"),
        (OVER, {"refuses": ["turn/start"]}, Cause.PROTOCOL, "turn/start: no such thing"),
        (OVER, {"model": "gpt-4"}, Cause.MODEL, "Codex takes 'gpt-4', not 'gpt-5.5'"),
        ([REROUTED, {"await": "turn/interrupt"}, ends("interrupted")], {}, Cause.MODEL, "gpt-4 answers instead"),
        ([REROUTED, {"exit": 0}], {}, Cause.MODEL, "gpt-4 answers instead"),
    ],
)
def test_each_bad_end_has_a_name(play: Play, play_: list[Step], scene: Step, cause: Cause, reason: str) -> None:
    play.settings = {"model": "gpt-5.5"}
    begun = time.monotonic()
    outcome = play.work({"play": list(play_), **scene})
    assert (outcome.ending, outcome.cause) == ("not-started" if cause is Cause.MISSING else "failed", cause)
    assert reason in outcome.reason
    assert time.monotonic() - begun < 30


def test_a_crash_is_told_with_what_the_client_printed_last(play: Play) -> None:
    outcome = play.strict({"exit": 1}, stderr="x\nERROR: Missing environment variable: `OPENAI_API_KEY`.\n")
    assert outcome.cause is Cause.SIGN_IN
    assert outcome.reason == (
        "Codex ended before it was done (exit code 1): ERROR: Missing environment variable: `OPENAI_API_KEY`."
    )


def test_a_client_that_says_nothing_is_ended(play: Play) -> None:
    play.settings = {"silence_s": 1.0}
    outcome = play.strict({"hang": 60})
    assert (outcome.cause, outcome.reason) == (Cause.SILENT, "Codex said nothing for 1 seconds and was ended")
    assert outcome.seconds < 20


def test_a_client_that_never_stops_talking_meets_the_time_limit(play: Play) -> None:
    play.timeout_s = 3.0
    outcome = play.strict({"times": 10**9, "each": tells("item/agentMessage/delta", delta="x")})
    assert (outcome.ending, outcome.cause) == ("timeout", Cause.TIMEOUT)


@pytest.mark.long
def test_an_event_of_half_a_gigabyte_is_cut_and_named(play: Play) -> None:
    before = psutil.Process().memory_info().rss
    outcome = play.strict({"flood": 500 << 20}, {"raw": ""}, {"hang": 60})
    assert outcome.cause is Cause.PROTOCOL
    assert "more than 32 MiB" in outcome.reason
    assert psutil.Process().memory_info().rss - before < 300 << 20


@pytest.mark.long
def test_a_client_that_makes_calls_without_end_is_stopped(play: Play) -> None:
    steps = [
        {"say": {"method": "item/completed", "params": {**WHERE, "item": {"type": "fileChange", "id": f"c{number}", "status": "declined"}}}}
        for number in range(5_002)
    ]  # fmt: skip
    assert play.strict(*steps, {"hang": 30}).cause is Cause.TURNS


def test_what_comes_twice_counts_once(play: Play) -> None:
    outcome = play.strict(*runs("ls"), runs("ls")[2], *OVER, *OVER)
    assert (outcome.cause, len(outcome.calls), outcome.used.tokens) == (Cause.DONE, 1, 1050)


def test_the_end_of_another_threads_turn_is_not_ours(play: Play) -> None:
    other = {
        "say": {"method": "turn/completed", "params": {"threadId": "x", "turn": {"id": TURN, "status": "completed"}}}
    }
    assert play.strict(other, *OVER).report == REPORT


def test_a_client_that_was_replaced_while_it_ran_is_named(play: Play) -> None:
    program = play.folder / "codex"
    program.write_text(f"#!{sys.executable}\n{FAKE.read_text('utf-8')}", encoding="utf-8")
    program.chmod(0o755)
    play.settings = {"command": (str(program), str(play.folder / "scene.json"))}
    outcome = play.strict({"replace": str(program)}, *OVER)
    assert (outcome.cause, outcome.reason) == (Cause.CHANGED, f"{program} was replaced while it ran")


# sessions


def record(name: str, kind: str = "CommandExecution") -> Step:
    done = {"type": kind, "id": name, "status": "completed"}
    return {"record": [{"type": "event_msg", "payload": {"type": "item_completed", "item": done}}]}


def test_a_session_is_taken_up_with_the_feedback_alone_and_counted_on_from_before(play: Play) -> None:
    play.strict(record("call_0"), *OVER)
    play.session, play.before = THREAD, Usage(input=1000, cached=10, output=50)
    outcome = play.work({"play": (uses(3050), says(REPORT), ends())}, feedback="The test is red.")
    assert (outcome.used.input, outcome.counted.input) == (2000, 3000)
    resumed, told = play.sent()[-2:]
    assert (resumed["method"], resumed["params"]["threadId"], resumed["params"]["approvalPolicy"]) == (
        "thread/resume",
        THREAD,
        "untrusted",
    )
    assert told["params"]["input"] == [{"type": "text", "text": "The test is red."}]


@pytest.mark.parametrize("refuses", [[], ["thread/resume"]])
def test_a_session_that_the_client_does_not_know_begins_anew_with_the_whole_brief(
    play: Play, refuses: list[str]
) -> None:
    if refuses:
        play.strict(record("call_0"), *OVER)
    play.session, play.before = THREAD, Usage(input=900)
    outcome = play.work({"play": OVER, "refuses": refuses}, feedback="The test is red.")
    assert (outcome.cause, outcome.used.input) == (Cause.DONE, 1000)
    assert play.sent()[-1]["params"]["input"] == [{"type": "text", "text": "# Brief"}]


def test_what_an_attempt_left_in_the_clients_home_is_gone_but_its_sessions(play: Play) -> None:
    home = play.bench.session / "codex"
    (home / "rules").mkdir(parents=True)
    (home / "sessions").mkdir()
    (home / "rules" / "default.rules").write_text("x", encoding="utf-8")
    (home / "hooks.json").write_text("x", encoding="utf-8")
    (home / "config.toml").symlink_to(play.folder / "elsewhere")
    (home / "state_5.sqlite").write_text("x", encoding="utf-8")
    play.strict(*OVER)
    assert sorted(path.name for path in home.iterdir()) == ["config.toml", "sessions", "state_5.sqlite"]
    assert not (play.folder / "elsewhere").exists()
    config = (home / "config.toml").read_text("utf-8")
    assert 'wire_api = "responses"' in config
    assert "unified_exec_tty = false" in config
    assert 'env_key = "OPENAI_API_KEY"' in config


def test_a_home_below_tmpdir_is_refused(play: Play) -> None:
    bench = replace(play.bench, variables={**play.bench.variables, "TMPDIR": str(play.folder)})
    outcome = play.driver({}).work(Assignment(ticket=TICKET, attempt=1, brief="", bench=bench))
    assert (outcome.ending, outcome.cause) == ("not-started", Cause.MISSING)
    assert "lies below TMPDIR" in outcome.reason


# the plain form


def test_the_plain_form_is_proven_to_ask_and_its_calls_have_the_names_that_the_gate_was_asked_under(play: Play) -> None:
    ran = ({"say": {"type": "item.started", "item": RAN}}, {"say": {"type": "item.completed", "item": RAN}})
    outcome = play.plain(EVENTS[0], *ran, record("call_9"), *EVENTS[1:])
    assert (outcome.cause, outcome.report, outcome.session) == (Cause.DONE, REPORT, THREAD)
    assert outcome.used == Usage(input=1000, cached=10, output=50)
    assert [(call.id, call.tool) for call in outcome.calls] == [("call_9", "Bash")]
    assert play.sent()[-1] == {"argv": ["exec", "--json", "--skip-git-repo-check", "-"], "stdin": "# Brief"}


@pytest.mark.parametrize("trust", ["untrusted", "missing", "extra", "modified"])
def test_a_hook_that_is_not_proven_keeps_the_plain_form_from_starting(play: Play, trust: str) -> None:
    outcome = play.plain(*EVENTS, trust=trust)
    assert (outcome.cause, outcome.report) == (Cause.MISSING, None)
    assert "does not say that it will ask the live gate" in outcome.reason
    assert not any("argv" in message for message in play.sent())


def test_a_call_that_the_clients_record_does_not_have_keeps_a_name_that_nobody_was_asked_about(play: Play) -> None:
    outcome = play.plain(EVENTS[0], {"say": {"type": "item.completed", "item": RAN}}, *EVENTS[1:])
    assert [call.id for call in outcome.calls] == ["unrecorded-1"]


def test_the_plain_form_takes_a_session_up_and_reads_only_what_is_new_of_its_record(play: Play) -> None:
    play.plain(EVENTS[0], record("call_1"), *EVENTS[1:])
    play.session, play.before = THREAD, Usage(input=400)
    outcome = play.work({"play": (EVENTS[0], record("call_2"), *EVENTS[1:])}, feedback="The test is red.")
    assert ([call.id for call in outcome.calls], outcome.used.input) == (["call_2"], 600)
    assert play.sent()[-1]["argv"] == ["exec", "--json", "--skip-git-repo-check", "resume", THREAD, "-"]
    assert play.sent()[-1]["stdin"] == "The test is red."


@pytest.mark.parametrize(
    ("events", "scene", "cause"),
    [
        (EVENTS[:3], {}, Cause.CRASH),
        ((EVENTS[0], EVENTS[3]), {}, Cause.EMPTY),
        ((*EVENTS, {"exit": 1}), {}, Cause.CRASH),
        ((EVENTS[0], {"raw": '{"type": "turn.comp'}), {}, Cause.PROTOCOL),
        ((*EVENTS[:2], {"say": {"type": "turn.failed", "error": {"message": "last status: 429 Too Many"}}}, {"exit": 1}), {}, Cause.RATE),
        ((*EVENTS[:2], {"say": {"type": "error", "message": "unexpected status 401 Unauthorized: x"}}, {"exit": 1}), {}, Cause.SIGN_IN),
        (({"exit": 1},), {"stderr": "Error: thread/resume failed\n"}, Cause.CRASH),
        ((*EVENTS,), {"exit": 1}, Cause.CRASH),
    ],
)  # fmt: skip
def test_each_bad_end_of_the_plain_form_has_a_name(
    play: Play, events: tuple[Step, ...], scene: Step, cause: Cause
) -> None:
    outcome = play.plain(*events, **scene)
    assert (outcome.ending, outcome.cause) == ("failed", cause)


ALLOW = '{"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "allow"}}'
DENY = '{"hookSpecificOutput": {"permissionDecision": "deny", "permissionDecisionReason": "no \\"a\\" here"}}'


@pytest.mark.parametrize(
    ("hook", "code", "reason"),
    [
        (("/bin/echo", ALLOW), 0, ""),
        (("/bin/echo", DENY), 2, 'no \\"a\\" here'),
        (("/bin/echo", '{"permissionDecision": "deny", "permissionDecisionReason": "\\"permissionDecision\\": \\"allow\\""}'), 2, "allow"),
        (("/bin/false",), 2, "no answer"),
        (("/bin/true",), 2, "no answer"),
        (("/no/such/program",), 2, "no answer"),
        (("/bin/echo", "garbage"), 2, "no answer"),
        (("/bin/sh", "-c", f"echo '{ALLOW}'; exit 1"), 2, "no answer"),
        (("/bin/sh", "-c", "kill -9 $$"), 2, "no answer"),
    ],
)  # fmt: skip
def test_every_way_in_which_a_hook_can_fail_is_a_refusal(
    tmp_path: Path, hook: tuple[str, ...], code: int, reason: str
) -> None:
    from worktrees.process import Launch, run

    bench = workbench(tmp_path, Desk())
    what = Launch(
        command=("/bin/sh", "-c", hook_command(hook)), cwd=tmp_path, env=bench.variables, confinement=bench.confinement
    )
    receipt = run(what, log=bench.log, bounds=bench.bounds)
    assert receipt.exit == code
    assert reason in bench.log.read_text("utf-8")


# questions and errors


@pytest.mark.parametrize(
    ("command", "script"),
    [
        ("/bin/bash -lc 'cat a.txt'", "cat a.txt"),
        ("""/bin/bash -c "echo 'it' > \\"a b\\" \\$HOME" """, """echo 'it' > "a b" $HOME"""),
        ("bash -c 'a'\\''b'", "a'b"),
        ("sh -c ls", "ls"),
        ("git status", "git status"),
        ("/bin/bash -c 'a' extra", "/bin/bash -c 'a' extra"),
        ("python3 -c 'x'", "python3 -c 'x'"),
        ("bash -c 'open", "bash -c 'open"),
    ],
)
def test_the_gate_sees_the_script_that_the_shell_will_run(command: str, script: str) -> None:
    assert inner(command) == script
    assert command_event({"command": command, "itemId": "c", "cwd": "/w"})["tool_input"] == {"command": script}


def test_the_gate_hears_of_a_command_only_what_is_run() -> None:
    event = command_event({"itemId": "c", "command": "make", "cwd": "/tree", "file_path": "x", "tool_input": {"a": 1}})
    assert (event["tool_input"], event["cwd"]) == ({"command": "make"}, "/tree")


def test_no_line_of_an_edit_passes_for_the_name_of_another_file() -> None:
    sneaky = "a\n*** Update File: src/ok.py\n"
    kinds = [("add", "new.py"), ("update", "old.py"), ("delete", "gone.py")]
    changes = [{"path": path, "kind": {"type": kind}, "diff": sneaky} for kind, path in kinds]
    changes[1]["kind"] = {"type": "update", "move_path": "moved.py"}
    patch = edit_event({"itemId": "c"}, changes)["tool_input"]["command"]
    headers = [line for line in patch.splitlines() if line.startswith("*** ") and "Patch" not in line]
    assert headers == [
        "*** Add File: new.py",
        "*** Update File: old.py",
        "*** Move to: moved.py",
        "*** Delete File: gone.py",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        None,
        [],
        ["x"],
        [{"path": "a"}],
        [{"path": "a", "kind": {"type": "chmod"}}],
        [{"path": "a\n*** Add File: b", "kind": {"type": "add"}}],
        [{"path": "", "kind": {"type": "add"}}],
        [{"path": "a", "kind": {"type": "update", "move_path": 3}}],
    ],
)
def test_an_edit_that_is_not_plain_is_odd(changes: Any) -> None:
    with pytest.raises(OddError):
        edit_event({"itemId": "c"}, changes)


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("unexpected status 401 Unauthorized: Incorrect API key provided, url: x", Cause.SIGN_IN),
        ("unexpected status 503 Service Unavailable: The server is overloaded, url: x", Cause.RATE),
        ("exceeded retry limit, last status: 429 Too Many Requests", Cause.RATE),
        ("You’ve hit your usage limit. Upgrade to Pro or try again at 2:06 PM.", Cause.QUOTA),  # noqa: RUF001 - as it says it
        ("Quota exceeded. Check your plan and billing details.", Cause.QUOTA),
        ("rate limit exceeded: Rate limit reached. Please try again in 1.5s.", Cause.RATE),
        ("The requested model 'x' does not exist.", Cause.REFUSED),
        ("Codex ran out of room in the model's context window. Start a new thread", Cause.CONTEXT),
        ("stream disconnected before completion: stream closed before response.completed", Cause.NETWORK),
        ("Connection failed: error sending request", Cause.NETWORK),
        ("Missing environment variable: `OPENAI_API_KEY`.", Cause.SIGN_IN),
        ('`wire_api = "chat"` is no longer supported.', Cause.FAILED),
        ("", Cause.FAILED),
    ],
)
def test_each_sentence_of_the_plain_form_has_its_cause(message: str, cause: Cause) -> None:
    assert error_of({"message": message}).cause is cause


def test_the_time_from_which_on_it_is_of_use_to_go_on_is_read_where_it_is_named() -> None:
    noon = datetime(2026, 11, 21, 12, 0).astimezone().timestamp()
    assert again_at("try again at 2:06 PM.", now=noon) == noon + 126 * 60
    assert again_at("try again at 11:00 AM", now=noon) == noon + 23 * 3600
    assert again_at("try again at Nov 23rd, 2026 12:00 PM.", now=noon) == noon + 48 * 3600
    assert again_at("Please try again in 1.5s.", now=noon) == noon + 1.5
    assert again_at("Please try again in 20ms", now=noon) == noon + 0.02
    assert again_at("try again in 2 minutes", now=noon) == noon + 120
    assert again_at("try again later", now=noon) is None


# what the harness asks a driver


def test_a_plan_and_an_answer_are_what_it_says_last(play: Play) -> None:
    facts = Facts(project="p", target="main", paths=(), read=lambda _: None)
    task = PlanningTask(request="r", brief="# Plan", facts=facts, bench=play.bench)
    assert play.driver({"play": OVER}).plan(task) == REPORT
    asked = Question(ticket=TICKET, attempt=1, phase=1, brief="# Audit", bench=play.bench)
    assert play.driver({"play": OVER}).answer(asked) == REPORT
    with pytest.raises(SignalboxError, match="the agent coder gave no answer: the model ended without a word"):
        play.driver({"play": [ends()]}).answer(asked)
    with pytest.raises(InputError, match=r"agents\.coder: Codex 0\.1\.0 is too old"):
        play.driver({"version": "0.1.0"}).plan(task)


def test_a_client_that_is_not_there_is_told_with_the_way_to_get_it(play: Play) -> None:
    settings = Agent(kind="codex", command=("no-such-codex",))
    driver = CodexDriver(name="coder", settings=settings, root=play.folder)
    assert not driver.probe().ready
    outcome = driver.work(Assignment(ticket=TICKET, attempt=1, brief="", bench=play.bench))
    assert (outcome.ending, outcome.cause) == ("not-started", Cause.MISSING)
    assert "npm install -g @openai/codex" in outcome.reason


def test_the_probe_names_version_and_sign_in(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    probe = play.driver({}).probe()
    assert (probe.ready, probe.version, probe.signed_in) == (True, "0.169.0", False)
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    assert play.driver({}).probe().signed_in is True
    old = play.driver({"version": "0.165.0"}).probe()
    assert (old.ready, old.version) == (False, "0.165.0")
    assert "too old" in old.detail


def test_behind_the_starter_that_npm_leaves_lies_the_binary(tmp_path: Path) -> None:
    modules = tmp_path / "node_modules"
    starter = modules / "@openai" / "codex" / "bin" / "codex.js"
    binary = modules / "@openai" / "codex-linux-x64" / "vendor" / "x86_64-unknown-linux-musl" / "bin" / "codex"
    for path in (starter, binary):
        path.parent.mkdir(parents=True)
        path.write_text("#!/bin/sh\necho codex-cli 0.170.1\n", encoding="utf-8")
        path.chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "codex").symlink_to(starter)
    settings = Agent(kind="codex", command=(str(tmp_path / "bin" / "codex"),))
    assert CodexDriver(name="c", settings=settings, root=tmp_path).probe().detail == f"Codex 0.170.1 at {binary}"


def test_aimed_at_a_scripted_model_it_has_no_account_and_a_model_that_can_edit(play: Play) -> None:
    aimed = play.driver({"play": OVER}).aimed_at("http://127.0.0.1:9")
    bench = replace(play.bench, variables={**play.bench.variables, "OPENAI_API_KEY": "secret"})
    aimed.work(Assignment(ticket=TICKET, attempt=1, brief="", bench=bench))
    config = (bench.session / "codex" / "config.toml").read_text("utf-8")
    assert 'base_url = "http://127.0.0.1:9/v1"' in config
    assert 'model = "gpt-5.5"' in config
    assert aimed.trial("a.py")[0]["tools"][0]["name"] == "apply_patch"


@pytest.mark.parametrize("form", ["strict", "plain"])
def test_each_form_says_what_it_can_do(play: Play, form: str) -> None:
    play.settings = {"form": form}
    can = play.driver({}).capabilities
    assert (can.gate, can.gate_failure, can.shell, can.usage, can.usage_scope) == (
        "every-call",
        "closed",
        "gated",
        "tokens",
        "session",
    )
    assert can.budget == ("live" if form == "strict" else "after")
    assert YES.allowed
