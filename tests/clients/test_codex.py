"""The real Codex against a scripted model: whole tickets, broken gates, and each trap as a fact that a new version may change."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agents.causes import Cause
from agents.clients.codex.config import furnish
from agents.drivers.codex import CodexDriver
from agents.protocol import Assignment, Facts, PlanningTask
from agents.usage import NOTHING
from tickets.agents import Agent
from tickets.model import Ticket
from workbench import YES, Desk, Purse, Stage, forbidding, workbench
from worktrees.gateway import gateway
from worktrees.levels import trouble
from worktrees.process import run

if TYPE_CHECKING:
    from agents.protocol import Outcome
    from agents.scripted_model.server import ModelServer
    from worktrees.confinement import Level

pytestmark = pytest.mark.clients
BREAKER = Path(__file__).parents[1] / "support" / "codex_gate_breaker.py"
LEVELS: tuple[Level, ...] = ("none", "landlock", "bubblewrap")
FORMS = ("strict", "plain")
REPORT = "## Summary\n\nadd() adds now."
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
GATE = """
import json, sys
event = json.load(sys.stdin)
bad = next((word for word in ("evil", "git ") if word in str(event["tool_input"])), "")
said = {"hookEventName": "PreToolUse", "permissionDecision": "deny" if bad else "allow",
        "permissionDecisionReason": f"{bad} is not in the ticket's scope" if bad else "fine"}
print(json.dumps({"hookSpecificOutput": said}))
"""
HOOK = (sys.executable, "-I", "-S", "-c", GATE)
Model = Callable[..., "ModelServer"]
Step = dict[str, Any]


def shell(command: str, **more: Any) -> Step:
    return {"text": "I run a command.", "tools": [{"name": "exec_command", "input": {"cmd": command, **more}}]}


def patch(text: str) -> Step:
    patched = f"*** Begin Patch\n{text}*** End Patch\n"
    return {"text": "I edit.", "tools": [{"name": "apply_patch", "custom": True, "input": patched}]}


def adds(path: str) -> Step:
    return patch(f"*** Add File: {path}\n+x = 1\n")


END: Step = {"text": REPORT}
FIX = patch("*** Update File: src/calc.py\n@@\n def add(a, b):\n-    return a - b\n+    return a + b\n")
CHECK = f"{sys.executable} -B -c 'import src.calc as c; assert c.add(2, 3) == 5; print(42)' > seen.txt"
WHOLE = (shell("cat src/calc.py"), adds("src/evil.py"), shell("git commit -am sneaky"), FIX, shell(CHECK), END)


@dataclass(kw_only=True)
class Lab:
    """The client, a scripted model, and a bench around them."""

    folder: Path
    program: Path
    model: Model
    level: Level = "none"
    form: str = "strict"
    purse: Purse = field(default_factory=Purse)
    desk: Desk = field(default_factory=lambda: Desk(judge=forbidding("evil", "git ")))
    hook: tuple[str, ...] = HOOK
    server: ModelServer | None = None
    more: Step = field(default_factory=dict)
    command: tuple[str, ...] = ()
    """Instead of the program alone."""

    def driver(self) -> CodexDriver:
        command = self.command or (str(self.program),)
        settings = Agent.model_validate({"kind": "codex", "command": command, "form": self.form, **self.more})
        return CodexDriver(name="coder", settings=settings, root=self.folder)

    def work(self, *steps: Step, feedback: str = "", before: Outcome | None = None) -> Outcome:
        if steps:
            self.server = self.model({"steps": steps})
        assert self.server
        with gateway([self.server.url.partition("//")[2]], level=self.level, log=self.folder / "network") as way:
            stage = Stage(level=self.level, opening=way.opening, variables=way.variables, hook=self.hook)
            bench = workbench(self.folder, self.desk, purse=self.purse, stage=stage)
            (bench.tree / "src").mkdir(exist_ok=True)
            if steps:
                (bench.tree / "src" / "calc.py").write_text("def add(a, b):\n    return a - b\n", encoding="utf-8")
            task = Assignment(ticket=TICKET, attempt=1, brief="# T-0001", bench=bench, feedback=feedback)
            known = before.session if before else ""
            counted = before.counted if before else NOTHING
            return self.driver().aimed_at(self.server.url).work(replace(task, session=known, before=counted))

    def told(self) -> list[str]:
        """Give what the model was told of each call that it had made."""
        assert self.server
        return [str(row["results"]) for row in self.server.requests() if row.get("results")]

    def tree(self, name: str) -> Path:
        return self.folder / "tree" / name


@pytest.fixture
def lab(tmp_path: Path, codex: Path, model: Model) -> Lab:
    return Lab(folder=tmp_path, program=codex, model=model)


# whole tickets


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("form", FORMS)
def test_a_whole_ticket_is_carried_out_and_what_is_forbidden_is_not(lab: Lab, form: str, level: Level) -> None:
    if why := trouble(level):
        pytest.skip(f"no {level} here: {why}")
    lab.form, lab.level = form, level
    outcome = lab.work(*WHOLE)
    assert (outcome.ending, outcome.cause, outcome.report) == ("done", Cause.DONE, REPORT), outcome.reason
    assert (outcome.sandbox, outcome.client[:8], outcome.survivors) == (level, "codex 0.", 0)
    assert (outcome.used.input, outcome.used.output) == (6000, 300)
    assert lab.tree("src/calc.py").read_text("utf-8").endswith("return a + b\n")
    assert lab.tree("seen.txt").read_text("utf-8") == "42\n"
    assert not lab.tree("src/evil.py").exists()
    made = [call.id for call in outcome.calls if not call.refused]
    assert len(made) == 3
    if form == "strict":
        assert [event["tool_name"] for event in lab.desk.asked] == [
            "Bash",
            "apply_patch",
            "Bash",
            "apply_patch",
            "Bash",
        ]
        assert set(made) <= {event["tool_use_id"] for event in lab.desk.asked}
        assert lab.desk.asked[0]["tool_input"] == {"command": "cat src/calc.py"}
    else:
        assert "is not in the ticket's scope" in lab.told()[1]


def test_the_model_is_told_why_it_was_refused(lab: Lab) -> None:
    lab.work(adds("src/evil.py"), END)
    assert lab.server
    assert "evil is not in the ticket's scope" in str(lab.server.requests()[-1]["told"])


@pytest.mark.parametrize("form", FORMS)
def test_a_session_is_taken_up_again_with_the_feedback_alone_and_its_count_goes_on(lab: Lab, form: str) -> None:
    lab.form = form
    first = lab.work(FIX, END, adds("more.py"), {"text": "## Summary\n\nMore."})
    second = lab.work(feedback="The test is red.", before=first)
    assert (second.cause, second.session, second.report) == (Cause.DONE, first.session, "## Summary\n\nMore.")
    assert (first.counted.input, second.counted.input, second.used.input) == (2000, 4000, 2000)
    assert len(second.calls) == 1
    assert lab.server
    assert lab.server.requests()[-1]["told"] == "The test is red."
    unknown = lab.work(feedback="x", before=replace(first, session="01a1fddf-73ce-7021-bf21-248ed418279b"))
    assert (unknown.cause, unknown.used.input) == (Cause.DONE, 2000)
    assert unknown.session not in {first.session, ""}


def test_the_strict_form_is_stopped_while_it_spends(lab: Lab) -> None:
    lab.purse.tokens = 2000
    outcome = lab.work(*[shell(f"echo {number}") for number in range(9)], END)
    assert (outcome.cause, outcome.reason) == (Cause.BUDGET, "2100 tokens were used; 2000 were allowed")
    assert 2100 <= outcome.used.tokens <= 4200


def test_a_plan_is_what_it_says_last(lab: Lab) -> None:
    server = lab.model({"steps": [{"text": "request: r"}]})
    facts = Facts(project="p", target="main", paths=(), read=lambda _: None)
    task = PlanningTask(request="r", brief="# Plan", facts=facts, bench=workbench(lab.folder, lab.desk))
    assert lab.driver().aimed_at(server.url).plan(task) == "request: r"


def test_the_trial_writes_a_file(lab: Lab) -> None:
    outcome = lab.work(*lab.driver().trial("tried.txt"))
    assert (outcome.cause, lab.tree("tried.txt").read_text("utf-8")) == (Cause.DONE, "tried\n")


def test_the_probe_names_the_version(lab: Lab) -> None:
    probe = lab.driver().probe()
    assert probe.ready, probe.detail
    assert probe.version.startswith("0.")


@pytest.mark.parametrize("form", FORMS)
def test_commands_see_the_trees_environment_and_no_key(lab: Lab, form: str) -> None:
    lab.form = form
    lab.work(shell('env > "env".txt'), END)
    seen = lab.tree("env.txt").read_text("utf-8")
    assert f"HOME={lab.folder}/home\n" in seen
    assert f"{os.environ['PATH']}\n" in seen  # the client puts a folder of its own before it
    assert "OPENAI_API_KEY" not in seen


def test_the_time_that_the_driver_adds_is_small(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    driven, bare = [], []
    for _ in range(5):
        driven.append(lab.work(shell("echo 1"), END).seconds)
        bare.append(_bare_seconds(lab))
    added = min(driven) - min(bare)
    with capsys.disabled():
        print(f"\nstrict: {min(driven):.2f} s with the driver, {min(bare):.2f} s without, {added:.2f} s added")  # noqa: T201 - the measured number
    assert added < 0.3


def _bare_seconds(lab: Lab) -> float:
    """Have the same turn from the same client, with nothing around it."""
    bench = workbench(lab.folder, lab.desk)
    env = {**bench.variables, "CODEX_HOME": str(bench.session / "codex"), "OPENAI_API_KEY": "none"}
    begun = time.monotonic()
    with subprocess.Popen(
        [lab.program, "app-server"], cwd=bench.tree, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as client:
        assert client.stdin
        assert client.stdout

        def send(**message: Any) -> None:
            assert client.stdin
            client.stdin.write(json.dumps(message).encode() + b"\n")
            client.stdin.flush()

        send(id=1, method="initialize", params={"clientInfo": {"name": "x", "title": "x", "version": "1"}})
        send(method="initialized")
        send(
            id=2,
            method="thread/start",
            params={"cwd": str(bench.tree), "approvalPolicy": "untrusted", "sandbox": "danger-full-access"},
        )
        for message in map(json.loads, client.stdout):
            if message.get("id") == 2 and "method" not in message:
                thread = message["result"]["thread"]["id"]
                words = [{"type": "text", "text": "# T-0001"}]
                send(id=3, method="turn/start", params={"threadId": thread, "input": words})
            elif "id" in message and "method" in message:
                send(id=message["id"], result={"decision": "accept"})
            elif message.get("method") == "turn/completed":
                client.stdin.close()
    assert client.returncode == 0
    return time.monotonic() - begun


# broken gates


HOOKS: dict[str, tuple[str, ...]] = {
    "it fails": ("/bin/false",),
    "it is silent": ("/bin/true",),
    "it is missing": ("/no/such/program",),
    "it prints garbage": ("/bin/echo", "garbage"),
    "it crashes": ("/bin/sh", "-c", "kill -9 $$"),
    "it refuses by exit code alone": ("/bin/sh", "-c", "exit 2"),
    "it hangs": ("/bin/sleep", "50"),
    "it refuses without a reason": (
        "/bin/echo",
        '{"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "deny"}}',
    ),
    "it refuses without the event": ("/bin/echo", '{"hookSpecificOutput": {"permissionDecision": "deny"}}'),
}


@pytest.mark.parametrize("how", HOOKS)
def test_no_write_gets_through_a_broken_hook_in_the_plain_form(
    lab: Lab, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "it hangs":
        monkeypatch.setattr("agents.clients.codex.config.HOOK_ANSWER_S", 2)  # the harness is more patient than a test
    lab.form, lab.hook = "plain", HOOKS[how]
    outcome = lab.work(adds("evil.py"), shell("echo x > evil.txt"), END)
    assert {path.name for path in lab.tree(".").iterdir()} == {"src"}
    assert (outcome.cause, outcome.calls) == (Cause.DONE, ())


@pytest.mark.parametrize("how", ["it is not trusted", "it is switched off"])
def test_a_hook_that_the_client_would_skip_keeps_the_plain_form_from_starting(lab: Lab, how: str) -> None:
    lab.form = "plain"
    untrusted = (sys.executable, str(BREAKER), "untrusted", str(lab.program))
    lab.command = untrusted if how == "it is not trusted" else (str(lab.program), "-c", "features.hooks=false")
    outcome = lab.work(adds("evil.py"), END)
    assert (outcome.cause, lab.told()) == (Cause.MISSING, [])
    assert "does not say that it will ask the live gate before each call" in outcome.reason
    assert not lab.tree("evil.py").exists()


BROKEN = ["error", "nothing", "null", "text", "maybe", "other word", "number", "other request"]


@pytest.mark.parametrize("how", [*BROKEN, "no JSON", "silence", "crash"])
def test_nothing_gets_through_a_broken_gate_of_the_strict_form(lab: Lab, how: str) -> None:
    lab.command, lab.more["silence_s"] = (sys.executable, str(BREAKER), how, str(lab.program)), 4.0
    lab.desk.judge = lambda _: YES
    lab.work(adds("evil.py"), shell("echo x > evil.txt"), END)
    assert lab.desk.asked, "the gate was asked, and its answer spoilt"
    assert {path.name for path in lab.tree(".").iterdir()} == {"src"}


def test_trap_a_list_that_begins_with_the_word_is_a_yes(lab: Lab) -> None:
    lab.command = (sys.executable, str(BREAKER), "list", str(lab.program))
    lab.work(adds("listed.py"), END)
    assert lab.tree("listed.py").exists()


def test_a_thread_that_would_ask_about_nothing_keeps_the_strict_form_from_starting(lab: Lab) -> None:
    lab.command = (sys.executable, str(BREAKER), "never asks", str(lab.program))
    outcome = lab.work(adds("evil.py"), END)
    assert outcome.cause is Cause.MISSING
    assert "does not begin as one that asks before each call" in outcome.reason
    assert not lab.tree("evil.py").exists()


def test_a_gate_that_raises_lets_nothing_through(lab: Lab) -> None:
    def judge(_: object) -> Any:
        raise RuntimeError("the gate broke")

    lab.desk.judge = judge
    with pytest.raises(RuntimeError, match="the gate broke"):
        lab.work(adds("evil.py"), END)
    assert {path.name for path in lab.tree(".").iterdir()} == {"src"}


def test_no_write_gets_through_in_the_strict_form_that_the_gate_does_not_answer_with_a_yes(lab: Lab) -> None:
    lab.work(
        adds("evil.py"),
        shell("echo x > evil.txt"),
        patch("*** Update File: src/calc.py\n*** Move to: evil.py\n@@\n"),
        END,
    )
    assert {path.name for path in lab.tree(".").rglob("*.*")} == {"calc.py"}


@pytest.mark.parametrize("form", FORMS)
def test_nothing_can_be_typed_into_a_shell_that_was_allowed_once(lab: Lab, form: str) -> None:
    lab.form = form
    typed = {"name": "write_stdin", "input": {"session_id": 1, "chars": "echo x > sneaked.txt\n"}}
    outcome = lab.work(shell("bash", tty=True, yield_time_ms=300), {"text": "I type.", "tools": [typed]}, END)
    assert outcome.cause is Cause.DONE, outcome.reason
    assert "TTY execution is disabled" in lab.told()[0]
    assert not lab.tree("sneaked.txt").exists()


def test_calls_from_within_a_script_of_the_model_are_asked_about_too(lab: Lab) -> None:
    scripts = [
        "const r = await tools.exec_command({cmd: 'echo x > evil.txt'}); text(r.output ?? '');",
        "const r = await tools.apply_patch('*** Begin Patch\\n*** Add File: evil.py\\n+x = 1\\n*** End Patch\\n'); text('');",
        "const r = await tools.apply_patch('*** Begin Patch\\n*** Add File: good.py\\n+x = 1\\n*** End Patch\\n'); text('');",
    ]
    steps = [{"text": "I script.", "tools": [{"name": "exec", "custom": True, "input": script}]} for script in scripts]
    lab.server = lab.model({"steps": [*steps, END]})
    bench = workbench(lab.folder, lab.desk)
    driver = lab.driver().aimed_at(lab.server.url)
    driver = replace(driver, settings=driver.settings.model_copy(update={"model": "gpt-6-sol"}))
    outcome = driver.work(Assignment(ticket=TICKET, attempt=1, brief="# T-0001", bench=bench))
    assert outcome.cause is Cause.DONE, outcome.reason
    assert {path.name for path in bench.tree.iterdir()} == {"good.py"}
    assert [event["tool_name"] for event in lab.desk.asked] == ["Bash", "apply_patch", "apply_patch"]


@pytest.mark.parametrize("form", FORMS)
def test_a_patch_that_is_given_to_the_shell_is_asked_about_too(lab: Lab, form: str) -> None:
    lab.form = form
    lines = "*** Begin Patch\n*** Add File: {}\n+x = 1\n*** End Patch"
    steps = [shell(f"apply_patch <<'EOF'\n{lines.format(name)}\nEOF\n") for name in ("evil.py", "good.py")]
    outcome = lab.work(*steps, END)
    assert outcome.cause is Cause.DONE, outcome.reason
    assert {path.name for path in lab.tree(".").iterdir()} == {"src", "good.py"}


@pytest.mark.parametrize("form", FORMS)
def test_several_calls_of_one_answer_are_each_asked_about(lab: Lab, form: str) -> None:
    lab.form = form
    calls = [adds("evil.py"), shell("echo 1 > one.txt"), adds("good.py"), shell("echo x > evil.txt")]
    outcome = lab.work({"text": "I do it all.", "tools": [one["tools"][0] for one in calls]}, END)
    assert outcome.cause is Cause.DONE, outcome.reason
    assert {path.name for path in lab.tree(".").iterdir()} == {"src", "good.py", "one.txt"}
    assert len([call for call in outcome.calls if not call.refused]) == 2


@pytest.mark.parametrize("form", FORMS)
def test_settings_of_the_repository_do_not_switch_the_gate_off(lab: Lab, form: str) -> None:
    lab.form = form
    own = lab.tree(".codex")
    own.mkdir(parents=True)
    lines = ['approval_policy = "never"', "[features]", "hooks = false", "unified_exec_tty = true"]
    (own / "config.toml").write_text("\n".join(lines), encoding="utf-8")
    (own / "rules").mkdir()
    rule = 'prefix_rule(pattern=[["echo", "bash", "/bin/bash"]], decision="allow")\n'
    (own / "rules" / "default.rules").write_text(rule, encoding="utf-8")
    outcome = lab.work(adds("evil.py"), shell("echo x > evil.txt"), shell("bash", tty=True), END)
    assert outcome.cause is Cause.DONE, outcome.reason
    assert {path.name for path in lab.tree(".").iterdir()} == {"src", ".codex"}
    assert "TTY execution is disabled" in lab.told()[-1]


def test_what_an_attempt_planted_in_the_clients_home_does_not_switch_the_gate_off_in_the_next(lab: Lab) -> None:
    rule = 'prefix_rule(pattern=[["echo", "bash", "/bin/bash"]], decision="allow")'
    planted = shell(f"mkdir -p $CODEX_HOME/rules; echo '{rule}' > $CODEX_HOME/rules/default.rules")
    first = lab.work(planted, END, shell("echo x > evil.txt"), END)
    assert (lab.folder / "session" / "codex" / "rules" / "default.rules").exists()
    second = lab.work(feedback="Go on.", before=first)
    assert second.cause is Cause.DONE, second.reason
    assert not lab.tree("evil.txt").exists()


@pytest.mark.parametrize("form", FORMS)
def test_what_is_planted_in_the_clients_home_while_it_runs_does_not_switch_the_gate_off(lab: Lab, form: str) -> None:
    lab.form = form
    rule = 'prefix_rule(pattern=[["echo", "bash", "/bin/bash"]], decision="allow")'
    planted = (
        f"mkdir -p $CODEX_HOME/rules; echo '{rule}' > $CODEX_HOME/rules/default.rules; echo > $CODEX_HOME/config.toml"
    )
    outcome = lab.work(shell(planted), shell("echo x > evil.txt"), adds("evil.py"), END)
    assert outcome.cause is Cause.DONE, outcome.reason
    assert {path.name for path in lab.tree(".").iterdir()} == {"src"}


# trouble with the model's service


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ({"fault": "status", "status": 401}, Cause.SIGN_IN),
        ({"fault": "status", "status": 429}, Cause.RATE),
        ({"fault": "status", "status": 404, "message": "The model `x` does not exist."}, Cause.REFUSED),
        ({"fault": "status", "status": 500}, Cause.NETWORK),
        ({"fault": "cut"}, Cause.NETWORK),
        ({"fault": "reset"}, Cause.NETWORK),
        ({"fault": "garbage"}, Cause.NETWORK),
        ({"fault": "empty"}, Cause.EMPTY),
    ],
)
def test_each_trouble_of_the_service_has_its_cause(lab: Lab, form: str, fault: Step, cause: Cause) -> None:
    lab.form = form
    outcome = lab.work({**fault, "text": "x"})
    assert (outcome.ending, outcome.cause) == ("failed", cause), outcome.reason


@pytest.mark.parametrize("form", FORMS)
def test_without_a_key_nobody_is_signed_in(lab: Lab, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    lab.form = form
    assert lab.driver().probe().signed_in is False
    bench = workbench(lab.folder, lab.desk, stage=Stage(hook=HOOK))
    outcome = lab.driver().work(Assignment(ticket=TICKET, attempt=1, brief="# T-0001", bench=bench))
    assert outcome.cause is Cause.SIGN_IN, outcome.reason


def test_a_service_that_cannot_be_reached_is_given_up_soon(lab: Lab) -> None:
    bench = workbench(lab.folder, lab.desk)
    outcome = lab.driver().aimed_at("http://127.0.0.1:9").work(
        Assignment(ticket=TICKET, attempt=1, brief="# T-0001", bench=bench)
    )  # fmt: skip
    assert outcome.cause is Cause.NETWORK
    assert outcome.seconds < 20


@pytest.mark.parametrize("level", ["landlock", "bubblewrap"])
def test_trap_the_clients_own_sandbox_does_not_start_within_ours(lab: Lab, level: Level) -> None:
    if why := trouble(level):
        pytest.skip(f"no {level} here: {why}")
    server = lab.model({"steps": [shell("echo 42; sleep 0.3"), END]})
    with gateway([server.url.partition("//")[2]], level=level, log=lab.folder / "network") as way:
        stage = Stage(level=level, opening=way.opening, variables=way.variables)
        bench = workbench(lab.folder, lab.desk, stage=stage)
        settings = lab.driver().aimed_at(server.url).settings
        client = furnish(bench, settings, lab.program, plain=False, account=False)
        words = ("exec", "--json", "--skip-git-repo-check", "-s", "read-only", "Do it.")
        receipt = run(client.launch(*words), log=bench.log, bounds=bench.bounds)
    assert receipt.exit == 0
    assert "bubblewrap" in str(server.requests()) or "bwrap" in str(server.requests())
