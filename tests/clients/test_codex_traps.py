"""Codex by itself, without our driver: what the driver is built around. A test that turns red here says that the vendor changed a fact."""

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
Model = Callable[..., "ModelServer"]
Step = dict[str, Any]
END: Step = {"text": "done"}
FULL = ("-s", "danger-full-access")
TRUSTED = (*FULL, "--dangerously-bypass-hook-trust")
DEAD = "http://127.0.0.1:9"
SESSION = "01a1fddf-73ce-7021-bf21-248ed418279b"
LONG_COMMAND = "tail -f /dev/null"


def shell(command: str, **more: Any) -> Step:
    return {"text": "I run a command.", "tools": [{"name": "exec_command", "input": {"cmd": command, **more}}]}


def adds(path: str) -> Step:
    patched = f"*** Begin Patch\n*** Add File: {path}\n+x = 1\n*** End Patch\n"
    return {"text": "I edit.", "tools": [{"name": "apply_patch", "custom": True, "input": patched}]}


@dataclass(frozen=True, kw_only=True)
class Done:
    """How the client ended, and what it printed."""

    exit: int
    events: list[dict[str, Any]]
    errors: str

    @property
    def kinds(self) -> set[str]:
        return {event["type"] for event in self.events}

    @property
    def items(self) -> set[str]:
        return {event["item"]["type"] for event in self.events if "item" in event}

    @property
    def input_tokens(self) -> int:
        (count,) = (event["usage"]["input_tokens"] for event in self.events if event["type"] == "turn.completed")
        return int(count)


@dataclass(kw_only=True)
class Bare:
    """A tree and a home for the client alone."""

    folder: Path
    program: Path
    serve: Model
    server: ModelServer | None = None
    home: Path | None = None
    more: dict[str, str] = field(default_factory=dict)
    """Variables; an empty one is left out."""
    anywhere: tuple[str, ...] = ("--skip-git-repo-check",)

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    @property
    def evil(self) -> Path:
        return self.tree / "evil.py"

    def config(self, *values: str) -> list[str]:
        """Give the words that make the client use a scripted model, and these settings."""
        url = self.server.url if self.server else DEAD
        provider = f'{{name="lab",base_url="{url}/v1",env_key="OPENAI_API_KEY",wire_api="responses",request_max_retries=0,stream_max_retries=0}}'
        usual = ['model="gpt-5.5"', 'model_provider="lab"', f"model_providers.lab={provider}", 'web_search="disabled"']
        usual += [f"features.{name}=false" for name in ("plugins", "apps", "unbounded_connection_retries")]
        return [word for value in (*usual, *values) for word in ("-c", value)]

    def start(self, *words: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        home = self.home or self.folder / "own"
        for path in (self.tree, home, self.folder / "tmp"):
            path.mkdir(parents=True, exist_ok=True)
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder / "tmp"),
            "LANG": "C.UTF-8",
            "CODEX_HOME": str(home),
            "OPENAI_API_KEY": "sk-scripted",
            "RUST_LOG": "error",
            **self.more,
        }
        return subprocess.Popen(
            [self.program, "exec", "--json", *self.anywhere, *words],
            cwd=self.tree,
            env={name: value for name, value in env.items() if value},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *steps: Step, flags: tuple[str, ...] = (), settings: tuple[str, ...] = ()) -> Done:
        if steps:
            self.server = self.serve({"steps": list(steps)})
        with self.start(*self.config(*settings), *flags, "Do it.") as process:
            out, errors = process.communicate(timeout=90)
        return Done(exit=process.returncode, events=events_of(out), errors=errors)

    def heard(self) -> list[str]:
        """Give what the model was told of its calls."""
        assert self.server is not None
        return [str(row["results"]) for row in self.server.requests() if row.get("results")]


def events_of(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def hooked(command: str, timeout_s: int = 10) -> str:
    handler = f'{{type="command",command={json.dumps(command)},timeout={timeout_s}}}'
    return f'hooks.PreToolUse=[{{matcher="*",hooks=[{handler}]}}]'


@pytest.fixture
def bare(tmp_path: Path, codex: Path, model: Model) -> Bare:
    return Bare(folder=tmp_path, program=codex, serve=model)


# does a gate that is broken let a forbidden write through?

DENY = '{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"deny"}}'
NAMELESS = '{"hookSpecificOutput":{"permissionDecision":"deny","permissionDecisionReason":"no"}}'
HOOKS: dict[str, tuple[str, bool]] = {
    "it fails": ("exit 1", True),
    "it is missing": ("/no/such/gate", True),
    "it hangs": (LONG_COMMAND, True),
    "it prints garbage": ("echo garbage", True),
    "it is silent": ("exit 0", True),
    "it refuses by exit code and words": ("echo no >&2; exit 2", False),
    "it refuses by exit code alone": ("exit 2", True),
    "it refuses without a reason": (f"echo '{DENY}'", True),
    "it refuses without the event": (f"echo '{NAMELESS}'", True),
}
"""What the hook does, and whether the write gets through."""


@pytest.mark.parametrize("how", HOOKS)
def test_trap_a_broken_hook_is_an_open_one(bare: Bare, how: str) -> None:
    command, through = HOOKS[how]
    done = bare.run(adds("evil.py"), END, flags=TRUSTED, settings=(hooked(command, 1 if how == "it hangs" else 10),))
    assert (done.exit, bare.evil.exists()) == (0, through)


def test_trap_a_hook_that_is_not_trusted_is_skipped_in_silence(bare: Bare) -> None:
    done = bare.run(adds("evil.py"), END, flags=FULL, settings=(hooked("echo no >&2; exit 2"),))
    assert (done.exit, bare.evil.exists()) == (0, True)
    assert done.items == {"agent_message", "file_change"}


def test_trap_what_a_hook_refused_is_not_in_the_stream(bare: Bare) -> None:
    done = bare.run(adds("evil.py"), END, flags=TRUSTED, settings=(hooked("echo no >&2; exit 2"),))
    assert (done.exit, bare.evil.exists()) == (0, False)
    assert "file_change" not in done.items


def test_trap_neither_hook_nor_stream_shows_what_is_typed_into_a_running_shell(bare: Bare) -> None:
    seen = bare.folder / "asked"
    hook = hooked(f"cat >> {seen}; echo >> {seen}; exit 0")
    done = bare.run(shell("cat; exit 0", tty=True, yield_time_ms=300), END, flags=TRUSTED, settings=(hook,))
    assert done.exit == 0
    assert "Process running with session ID" in bare.heard()[0]
    tools = [json.loads(line)["tool_name"] for line in seen.read_text("utf-8").splitlines() if line]
    assert tools == ["Bash"]


def test_a_switch_that_would_close_a_failing_hook_is_ignored(bare: Bare) -> None:
    hook = hooked("exit 1").replace('type="command"', 'type="command",onFailure="block"')
    done = bare.run(adds("evil.py"), END, flags=TRUSTED, settings=(hook,))
    assert (done.exit, bare.evil.exists()) == (0, True)


# settings


def test_trap_the_asking_policy_is_none_of_the_plain_form(bare: Bare) -> None:
    done = bare.run(END, settings=('approval_policy="untrusted"',))
    assert done.exit == 1
    assert "is no longer supported" in done.errors


def test_trap_chat_completions_are_an_error_of_the_configuration(bare: Bare) -> None:
    done = bare.run(END, settings=('model_providers.other={name="other",wire_api="chat"}',))
    assert done.exit == 1
    assert 'wire_api = "chat"` is no longer supported' in done.errors


def test_trap_below_tmpdir_the_clients_own_sandbox_fails_and_the_exit_code_stays_0(bare: Bare) -> None:
    bare.home = bare.folder / "tmp" / "codex"
    done = bare.run(shell("cat a.txt; sleep 0.3"), END, flags=("-s", "read-only"))
    assert done.exit == 0
    assert "codex-linux-sandbox" in bare.heard()[0]


def test_trap_a_refused_connection_is_tried_again_for_ever_unless_that_is_switched_off(bare: Bare) -> None:
    endless = bare.config("features.unbounded_connection_retries=true")
    with bare.start(*endless, "Do it.") as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=6)
        process.kill()
    assert bare.run().exit == 1


def test_trap_outside_of_git_it_does_not_start_unless_it_is_told_to(bare: Bare) -> None:
    bare.anywhere = ()
    done = bare.run(END)
    assert (done.exit, done.events) == (1, [])
    assert "--skip-git-repo-check" in done.errors


def test_trap_an_open_standard_input_is_waited_for(bare: Bare) -> None:
    bare.server = bare.serve({"steps": [END]})
    with bare.start(*bare.config(), "Do it.", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        time.sleep(3)
        assert process.poll() is None
        assert bare.server.requests() == []
        process.stdin.close()
        assert process.wait(30) == 0
        assert process.stdout is not None
        assert "turn.completed" in process.stdout.read()


@pytest.mark.parametrize(("name", "edits"), [("gpt-5.5", True), ("of-our-own", False)])
def test_trap_a_model_that_it_does_not_know_has_no_tool_for_edits(bare: Bare, name: str, edits: bool) -> None:  # noqa: FBT001 - a table's column
    bare.run(END, settings=(f'model="{name}"',))
    assert bare.server is not None
    offered = {tool for row in bare.server.requests() for tool in row.get("tools") or []}
    assert ("apply_patch" in offered) is edits


@pytest.mark.parametrize(("inherit", "seen"), [("all", True), ("core", False)])
def test_trap_commands_see_the_variables_of_the_client(bare: Bare, inherit: str, seen: bool) -> None:  # noqa: FBT001 - a table's column
    bare.more = {"WORD_OF_OURS": "sesame"}
    bare.run(
        shell("echo word=$WORD_OF_OURS"), END, flags=FULL, settings=(f'shell_environment_policy.inherit="{inherit}"',)
    )
    assert ("word=sesame" in bare.heard()[0]) is seen


# exit codes and results


def test_a_run_whose_tools_were_refused_ends_well(bare: Bare) -> None:
    done = bare.run(adds("evil.py"), END, flags=("-s", "read-only"), settings=('approval_policy="never"',))
    assert (done.exit, bare.evil.exists()) == (0, False)
    assert "turn.completed" in done.kinds


def test_an_error_of_the_service_fails_the_turn(bare: Bare) -> None:
    done = bare.run({"fault": "status", "status": 400})
    assert done.exit == 1
    assert "turn.failed" in done.kinds


def test_trap_a_form_that_is_not_kept_is_a_success(bare: Bare) -> None:
    form = bare.folder / "form.json"
    form.write_text(
        '{"type":"object","properties":{"summary":{"type":"string"}},"required":["summary"],"additionalProperties":false}',
        encoding="utf-8",
    )
    done = bare.run(END, flags=("--output-schema", str(form)))
    assert done.exit == 0
    assert "turn.completed" in done.kinds


def test_a_session_that_is_not_known_is_told_on_standard_error_alone(bare: Bare) -> None:
    done = bare.run(END, flags=("resume", SESSION))
    assert (done.exit, done.events) == (1, [])
    assert done.errors


def test_without_a_key_the_run_fails(bare: Bare) -> None:
    bare.more = {"OPENAI_API_KEY": ""}
    done = bare.run(END)
    assert done.exit == 1
    assert "OPENAI_API_KEY" in done.errors + json.dumps(done.events)


def test_trap_the_count_is_the_threads(bare: Bare) -> None:
    first = bare.run(END)
    thread = next(event["thread_id"] for event in first.events if event["type"] == "thread.started")
    second = bare.run(flags=("resume", thread))
    assert (first.input_tokens, second.input_tokens) == (1000, 2000)


# signals


@contextlib.contextmanager
def working(bare: Bare) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """Have the client run a command that does not end; the command is gone afterwards."""
    bare.server = bare.serve({"steps": [shell(LONG_COMMAND, yield_time_ms=30000)]})
    with bare.start(*bare.config(), *FULL, "Do it.") as process:
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


@pytest.mark.parametrize(("number", "ends"), [("SIGINT", 1), ("SIGTERM", -15), ("SIGKILL", -9)])
def test_trap_however_it_is_ended_it_says_nothing_of_what_it_used_and_leaves_no_command(
    bare: Bare, number: str, ends: int
) -> None:
    with working(bare) as (process, command):
        process.send_signal(signal.Signals[number])
        out, _ = process.communicate(timeout=30)
        assert process.returncode == ends
        assert "turn.completed" not in {event["type"] for event in events_of(out)}
        command.wait(10)
