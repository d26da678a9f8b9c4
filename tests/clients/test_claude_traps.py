"""Claude Code by itself, without our driver: what the driver is built around. A test that turns red here says that the vendor changed a fact."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agents.scripted_model.server import ModelServer

pytestmark = pytest.mark.clients
LONG_COMMAND = "tail -f /dev/null"
SESSION = "efd6be85-c308-4144-a5f1-1dc5dc6e0b70"
FORM = '{"type":"object","properties":{"summary":{"type":"string"}},"required":["summary"]}'
EDITS = ("--permission-mode", "acceptEdits")
Model = Callable[..., "ModelServer"]
Step = dict[str, Any]


def call(tool: str, **given: Any) -> Step:
    return {"text": f"I use {tool}.", "tools": [{"name": tool, "input": given}]}


def shell(command: str) -> Step:
    return call("Bash", command=command, description="a command")


END: Step = {"text": "done"}


@dataclass(frozen=True, kw_only=True)
class Done:
    """How the client ended, and what it printed."""

    exit: int
    events: list[dict[str, Any]]

    @property
    def result(self) -> dict[str, Any]:
        return next((event for event in self.events if event.get("type") == "result"), {})


@dataclass(kw_only=True)
class Bare:
    """A tree and a home for the client alone."""

    folder: Path
    claude: Path
    serve: Model
    server: ModelServer | None = None
    more: dict[str, str] = field(default_factory=dict)

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    @property
    def evil(self) -> Path:
        return self.tree / "evil.py"

    def start(self, *flags: str) -> subprocess.Popen[str]:
        home = self.folder / "home"
        for path in (self.tree, home / "tmp"):
            path.mkdir(parents=True, exist_ok=True)
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "CLAUDE_CONFIG_DIR": str(home / ".claude"),
            "TMPDIR": str(home / "tmp"),
            "CLAUDE_CODE_TMPDIR": str(home / "tmp"),
            "LANG": "C.UTF-8",
            "ANTHROPIC_BASE_URL": self.server.url if self.server else "http://127.0.0.1:9",
            "ANTHROPIC_API_KEY": "sk-ant-scripted",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_MAX_RETRIES": "1",
            **self.more,
        }
        usual = ("-p", "Do it.", "--output-format", "stream-json", "--verbose", "--strict-mcp-config")
        return subprocess.Popen(
            [self.claude, *usual, *flags],
            cwd=self.tree,
            env={name: value for name, value in env.items() if value},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, *steps: Step, flags: tuple[str, ...] = (), sources: str = "") -> Done:
        if steps:
            self.server = self.serve({"steps": list(steps)})
        with self.start("--setting-sources", sources, *flags) as process:
            out, _ = process.communicate(timeout=90)
        return Done(exit=process.returncode, events=events_of(out))

    def heard(self) -> list[str]:
        """Give what the model was told of its calls."""
        assert self.server is not None
        return [str(result) for row in self.server.requests() for result in row.get("results") or []]


def events_of(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def hooked(command: str, **more: Any) -> tuple[str, str]:
    handler = {"type": "command", "command": command, "timeout": 10, **more}
    return "--settings", json.dumps({"hooks": {"PreToolUse": [{"matcher": "*", "hooks": [handler]}]}})


@pytest.fixture
def bare(tmp_path: Path, claude: Path, model: Model) -> Bare:
    return Bare(folder=tmp_path, claude=claude, serve=model)


# does a gate that is broken let a forbidden write through?

DENY = '{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"deny"}}'
NAMELESS = '{"hookSpecificOutput":{"permissionDecision":"deny","permissionDecisionReason":"no"}}'
HOOKS: dict[str, tuple[str, dict[str, Any]]] = {
    "it fails": ("exit 1", {}),
    "it is missing": ("/no/such/gate", {}),
    "it hangs": (LONG_COMMAND, {"timeout": 1}),
    "it prints garbage": ("echo garbage", {}),
    "it is silent": ("exit 0", {}),
    "it refuses by exit code and words": ("echo no >&2; exit 2", {}),
    "it refuses by exit code alone": ("exit 2", {}),
    "it refuses without a reason": (f"echo '{DENY}'", {}),
    "it refuses without the event": (f"echo '{NAMELESS}'", {}),
}
THROUGH_BY_DEFAULT = {
    "it fails",
    "it is missing",
    "it hangs",
    "it prints garbage",
    "it is silent",
    "it refuses without the event",
}
THROUGH_THOUGH_TOLD_TO_BLOCK = {"it prints garbage", "it is silent"}


def through(bare: Bare, how: str, *flags: str, **more: Any) -> bool:
    command, settings = HOOKS[how]
    steps = (call("Write", file_path=str(bare.evil), content="x = 1\n"), END)
    done = bare.run(*steps, flags=(*flags, *hooked(command, **settings, **more)))
    assert done.exit == 0
    return bare.evil.exists()


@pytest.mark.parametrize("how", HOOKS)
def test_trap_by_default_a_broken_gate_is_an_open_one(bare: Bare, how: str) -> None:
    assert through(bare, how, *EDITS) is (how in THROUGH_BY_DEFAULT)


@pytest.mark.parametrize("how", HOOKS)
def test_trap_told_to_block_on_failure_it_still_takes_garbage_and_silence_for_a_yes(bare: Bare, how: str) -> None:
    assert through(bare, how, *EDITS, onFailure="block") is (how in THROUGH_THOUGH_TOLD_TO_BLOCK)


@pytest.mark.parametrize("how", HOOKS)
def test_where_nobody_is_asked_only_a_yes_of_the_gate_lets_a_write_through(bare: Bare, how: str) -> None:
    assert not through(bare, how, "--permission-mode", "dontAsk")


def test_trap_reading_needs_no_yes_where_nobody_is_asked(bare: Bare) -> None:
    flags = ("--permission-mode", "dontAsk", *hooked("exit 1"))
    bare.run(shell("echo it > made.txt"), shell("echo $((6 * 7)) ran"), END, flags=flags)
    first, second = bare.heard()[:2]
    assert "42 ran" not in first
    assert "42 ran" in second
    assert not (bare.tree / "made.txt").exists()


def test_trap_a_repository_can_switch_the_hooks_of_the_command_line_off(bare: Bare) -> None:
    file = bare.tree / ".claude" / "settings.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"disableAllHooks": true}', encoding="utf-8")
    steps = (call("Write", file_path=str(bare.evil), content="x"), END)
    refusing = hooked("echo no >&2; exit 2")
    bare.run(*steps, flags=(*EDITS, *refusing))
    assert not bare.evil.exists(), "without the repository's settings the hook refuses"
    bare.run(*steps, flags=(*EDITS, *refusing), sources="user,project,local")
    assert bare.evil.exists()


@pytest.mark.parametrize(("flag", "armed"), [("--safe-mode", False), ("--bare", False), ("--restricted", True)])
def test_trap_two_flags_switch_hooks_off(bare: Bare, flag: str, armed: bool) -> None:  # noqa: FBT001 - a table's column
    # an edit: with `--bare` there is no tool that writes
    bare.tree.mkdir()
    bare.evil.write_text("x = 1\n", encoding="utf-8")
    step = call("Edit", file_path=str(bare.evil), old_string="1", new_string="2")
    bare.run(
        call("Read", file_path=str(bare.evil)),
        step,
        END,
        flags=(flag, *EDITS, *hooked("grep -q Edit || exit 0; exit 2")),
    )
    assert bare.evil.read_text("utf-8") == ("x = 1\n" if armed else "x = 2\n")


def test_trap_a_rule_against_git_is_passed_by_a_shell_within_the_shell(bare: Bare) -> None:
    lines = ["git --version", "/usr/bin/git --version", "env git --version", "true && git --version"]
    settings = ("--settings", json.dumps({"permissions": {"allow": ["Bash"], "deny": ["Bash(git *)", "Bash(git)"]}}))
    bare.run(*map(shell, [*lines, "sh -c 'git --version'"]), END, flags=settings)
    assert ["git version" in heard for heard in bare.heard()[:5]] == [False] * 4 + [True]


def test_trap_commands_see_the_key(bare: Bare) -> None:
    bare.run(shell("echo key=$ANTHROPIC_API_KEY"), END, flags=("--allowedTools", "Bash"))
    assert "key=sk-ant-scripted" in bare.heard()[0]


def test_trap_a_long_pause_is_refused_by_the_client_itself(bare: Bare) -> None:
    begun = time.monotonic()
    bare.run(shell("sleep 55"), END, flags=("--allowedTools", "Bash"))
    assert time.monotonic() - begun < 40
    assert "sleep" in bare.heard()[0]


# exit codes and results


def said(done: Done) -> tuple[Any, ...]:
    return done.exit, done.result.get("subtype"), done.result.get("is_error")


def test_a_run_whose_tools_were_refused_ends_well(bare: Bare) -> None:
    done = bare.run(call("Write", file_path=str(bare.evil), content="x"), END, flags=("--permission-mode", "dontAsk"))
    assert said(done) == (0, "success", False)
    assert [each["tool_name"] for each in done.result["permission_denials"]] == ["Write"]


def test_trap_the_count_of_turns_is_one_more_than_allowed(bare: Bare) -> None:
    done = bare.run(shell("echo again"), flags=("--max-turns", "3", "--allowedTools", "Bash"))
    assert said(done) == (1, "error_max_turns", True)
    assert done.result["num_turns"] == 4


def test_a_budget_that_is_used_up_has_a_result_of_its_own(bare: Bare) -> None:
    done = bare.run(shell("echo again"), flags=("--max-budget-usd", "0.001", "--allowedTools", "Bash"))
    assert said(done) == (1, "error_max_budget_usd", True)


def test_trap_an_error_of_the_service_is_called_a_success(bare: Bare) -> None:
    done = bare.run({"fault": "status", "status": 400})
    assert said(done) == (1, "success", True)
    assert (done.result["terminal_reason"], done.result["api_error_status"]) == ("api_error", 400)


def test_trap_a_form_that_is_not_kept_is_a_success(bare: Bare) -> None:
    done = bare.run(END, flags=("--json-schema", FORM))
    assert said(done) == (0, "success", False)
    assert "structured_output" not in done.result


def test_a_session_that_is_not_known_is_an_error(bare: Bare) -> None:
    assert said(bare.run(END, flags=("--resume", SESSION))) == (1, "error_during_execution", True)


def test_without_a_key_it_ends_with_an_error(bare: Bare) -> None:
    bare.more = {"ANTHROPIC_API_KEY": ""}
    done = bare.run(END)
    assert done.exit == 1
    assert done.result.get("is_error") is True


def test_the_number_of_tries_is_bounded_by_a_variable(bare: Bare) -> None:
    bare.run({"fault": "status", "status": 500})
    assert bare.server is not None
    posts = [row for row in bare.server.requests() if row["method"] == "POST" and row.get("tools")]
    assert len(posts) == 2


def test_trap_the_cost_goes_on_where_a_session_does_and_usage_does_not(bare: Bare) -> None:
    first = bare.run(END, END, flags=("--session-id", SESSION)).result
    second = bare.run(flags=("--resume", SESSION)).result
    assert second["total_cost_usd"] == pytest.approx(2 * first["total_cost_usd"])
    assert second["usage"]["input_tokens"] == first["usage"]["input_tokens"] == 1000
    (whole,) = (each["inputTokens"] for each in second["modelUsage"].values())
    assert whole == 2000


def test_trap_the_usage_of_a_message_is_that_of_its_beginning(bare: Bare) -> None:
    done = bare.run(END)
    (message,) = (event["message"] for event in done.events if event["type"] == "assistant")
    assert message["usage"]["output_tokens"] < done.result["usage"]["output_tokens"] == 50


def test_trap_a_session_that_is_taken_up_again_forgot_its_flags(bare: Bare) -> None:
    write = call("Write", file_path=str(bare.evil), content="x")
    bare.run(END, write, END, flags=("--session-id", SESSION, *EDITS, *hooked("echo no >&2; exit 2")))
    bare.run(flags=("--resume", SESSION, *EDITS))
    assert bare.evil.exists()


# signals


@contextlib.contextmanager
def working(bare: Bare) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """Have the client run a command that does not end; the command is gone afterwards."""
    bare.server = bare.serve({"steps": [shell(LONG_COMMAND)]})
    with bare.start("--setting-sources", "", "--allowedTools", "Bash") as process:
        command = None
        try:
            command = descendant(process, "tail")
            yield process, command
        finally:
            if process.poll() is None:
                process.kill()
            if command and command.is_running():
                command.kill()


def descendant(process: subprocess.Popen[str], name: str) -> psutil.Process:
    for _ in range(400):
        with contextlib.suppress(psutil.Error):  # one of them ended meanwhile
            for child in psutil.Process(process.pid).children(recursive=True):
                if child.name() == name:
                    return child
        time.sleep(0.1)
    raise AssertionError(f"the client never ran {name}")


def test_trap_told_to_terminate_it_gives_no_result(bare: Bare) -> None:
    with working(bare) as (process, command):
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
        command.wait(10)
    assert process.returncode == 143
    assert not [event for event in events_of(out) if event.get("type") == "result"]


def test_trap_interrupted_it_ends_with_exit_code_0(bare: Bare) -> None:
    with working(bare) as (process, command):
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
        command.wait(10)
    assert process.returncode == 0
    done = Done(exit=0, events=events_of(out))
    if done.result:  # now and then there is none
        assert (done.result["is_error"], done.result["terminal_reason"]) == (True, "aborted_tools")
        assert done.result["total_cost_usd"] > 0


def test_trap_killed_it_leaves_its_command_running_in_a_group_of_its_own(bare: Bare) -> None:
    with working(bare) as (process, command):
        assert os.getpgid(command.pid) != os.getpgid(process.pid)
        process.kill()
        process.wait(10)
        time.sleep(0.5)
        assert command.is_running()
        assert command.status() != psutil.STATUS_ZOMBIE
