from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from demo_project import script, ticket, writes
from memory.events import read
from orchestrator.telling import cursors
from orchestrator.telling.courier import Patience, Round, courier
from orchestrator.telling.cursors import Cursor
from orchestrator.telling.readiness import check
from orchestrator.telling.stream import last_seq
from orchestrator.telling.ways import ways_of
from story import Story, receiver
from tickets.errors import InputError
from tickets.states import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo_project import Demo
    from memory.events import Event
    from story import Receiver

AT_ONCE = Patience(waits_s=(0.01, 0.01), pause_s=0.05)
PROGRAM = """
[[hooks]]
on = ["landed", "refused"]
run = ["{python}", "tell.py"]
env = ["TEAM"]
timeout_s = {timeout}
"""
TELL = """import json, os, sys
with open("told.jsonl", "a") as file:
    file.write(json.dumps({"message": json.load(sys.stdin), "environment": dict(os.environ)}) + "\\n")
"""


@pytest.fixture
def story(demo: Demo) -> Story:
    return Story(demo)


def program(story: Story, text: str, *, timeout: float = 20) -> None:
    story.demo.write("tell.py", text)
    story.configure(PROGRAM.format(python=sys.executable, timeout=timeout))


def webhook(story: Story, server: Receiver, *, on: str = '"landed"', more: str = "") -> None:
    story.configure(f'\n[[hooks]]\non = [{on}]\nurl = "{server.url}"\n{more}\n')


def rounds(story: Story, *, since: int = 0) -> None:
    """Tell everything there is to tell, as the courier does after its run."""
    workspace = story.workspace
    for way in ways_of(workspace):
        if cursors.read(workspace.state, way.identity) is None:
            cursors.keep(workspace.state, way.identity, Cursor(seq=since, hook=way.said))
        Round(workspace, way, lambda: True, AT_ONCE).run()


def failures(story: Story) -> list[Event]:
    return [event for event in read(story.workspace.database) if event.kind == "hook.failed"]


def eventually(found: Callable[[], Any], seconds: float = 20) -> Any:
    until = time.monotonic() + seconds
    while not (value := found()) and time.monotonic() < until:
        time.sleep(0.02)
    assert value
    return value


def told(story: Story) -> list[dict[str, Any]]:
    file = story.demo.root / "told.jsonl"
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


# programs


def test_a_program_gets_the_event_on_its_standard_input_and_nothing_of_our_environment(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM", "red")
    monkeypatch.setenv("SECRET", "no hook asked for it")
    program(story, TELL)
    first, second = story.feature("a", "b")
    story.goes(first, State.LANDED)
    story.goes(second, State.BLOCKED, "waits for nobody here")
    rounds(story)
    (one,) = told(story)
    assert (one["message"]["moment"], one["message"]["title"]) == ("landed", "add a")
    assert one["message"]["event"]["ticket"] == first
    assert one["message"]["text"] == "T-0001 landed  add a"
    assert one["environment"]["TEAM"] == "red"
    assert "SECRET" not in one["environment"]


def test_a_program_that_fails_is_in_the_log_and_in_the_status_and_the_next_event_is_told(story: Story) -> None:
    program(
        story,
        "import os, sys\nif not os.path.exists('ok'):\n    open('ok', 'w')\n    sys.exit('no such team')\n" + TELL,
    )
    first, second = story.feature("a", "b")
    story.goes(first, State.LANDED)
    rounds(story)
    (failed,) = failures(story)
    assert (failed.ticket, failed.data["again"]) == (first, False)
    assert "exit code 1" in failed.data["reason"]
    log = failed.data["reason"].rpartition(" ")[2]
    assert "no such team" in Path(log).read_text("utf-8")
    assert "not told: " in story.demo.orchestrate("status", exits=0).stdout
    story.goes(second, State.LANDED)
    rounds(story)
    assert [one["message"]["event"]["ticket"] for one in told(story)] == [second]
    assert cursors.troubles(story.workspace.state) == []


def test_a_program_that_hangs_is_ended_and_told_again_with_the_next_run(story: Story) -> None:
    program(story, "import os, time\nif not os.path.exists('ok'):\n    time.sleep(60)\n" + TELL, timeout=0.2)
    story.goes(story.feature("a")[0], State.LANDED)
    rounds(story)
    (failed,) = failures(story)
    assert failed.data["again"]
    assert told(story) == []
    story.demo.write("ok", "")
    text = (story.demo.root / "orchestrate.toml").read_text("utf-8").replace("timeout_s = 0.2", "timeout_s = 20")
    story.demo.write("orchestrate.toml", text)
    rounds(story)
    assert len(told(story)) == 1


def test_a_program_that_is_not_there_is_said_before_anything_starts(story: Story) -> None:
    story.configure('\n[[hooks]]\non = ["landed"]\nrun = ["./gone.sh"]\n')
    story.demo.git("commit", "-qam", "hook")
    done = story.demo.orchestrate("feature", "two modules", exits=2)
    assert "hooks.0.run: there is no program './gone.sh'" in done.stderr
    assert json.loads(story.demo.orchestrate("status", "--json", exits=0).stdout)["features"] == []


# webhooks


def test_a_webhook_is_signed_and_names_its_event(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "s3cret")
    with receiver() as server:
        webhook(story, server, more='secret_env = "KEY"')
        story.goes(story.feature("a")[0], State.LANDED)
        rounds(story)
    (headers,), (body,) = server.headers, server.bodies
    said = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert headers["X-Signalbox-Signature"] == f"sha256={said}"
    assert headers["Idempotency-Key"] == server.told[0]["event"]["hash"]
    assert headers["X-Signalbox-Event"] == "landed"
    age = datetime.now(UTC) - datetime.fromisoformat(server.told[0]["sent_at"])
    assert timedelta(seconds=-2) < age < timedelta(minutes=1)


def test_a_key_that_is_not_set_is_said_before_anything_starts(story: Story) -> None:
    story.configure('\n[[hooks]]\non = ["landed"]\nurl = "https://example.org"\nsecret_env = "NOT_SET_AT_ALL"\n')
    with pytest.raises(InputError, match=r"hooks\.0\.secret_env: the environment variable NOT_SET_AT_ALL is not set"):
        check(story.workspace)


def test_a_busy_webhook_is_tried_again_with_the_same_key(story: Story) -> None:
    with receiver(503, 429) as server:
        webhook(story, server)
        story.goes(story.feature("a")[0], State.LANDED)
        rounds(story)
    assert len({headers["Idempotency-Key"] for headers in server.headers}) == 1
    assert len(server.bodies) == 3
    assert failures(story) == []


def test_a_webhook_that_says_no_is_not_asked_again(story: Story) -> None:
    with receiver(404) as server:
        webhook(story, server)
        first, second = story.feature("a", "b")
        story.goes(first, State.LANDED)
        story.goes(second, State.LANDED)
        rounds(story)
    assert [one["event"]["ticket"] for one in server.told] == [first, second]
    assert [(event.ticket, event.data["again"]) for event in failures(story)] == [(first, False)]
    assert cursors.troubles(story.workspace.state) == []  # the next one was told


def test_an_unreachable_webhook_loses_nothing_and_keeps_the_order(story: Story) -> None:
    with receiver(*[500] * 6) as server:
        webhook(story, server)
        first, second = story.feature("a", "b")
        story.goes(first, State.LANDED)
        story.goes(second, State.LANDED)
        rounds(story)
        assert {one["event"]["ticket"] for one in server.told} == {first}
        (trouble,) = cursors.troubles(story.workspace.state)
        assert trouble["hook"] == f"http://127.0.0.1:{server.port}"
        assert trouble["again"]
        server.answers.clear()
        server.bodies.clear()
        rounds(story)
    assert [one["event"]["ticket"] for one in server.told] == [first, second]
    assert len(failures(story)) == 1


def test_no_answer_is_an_unreachable_webhook(story: Story) -> None:
    with receiver(hangs=threading.Event()) as server:
        webhook(story, server, more="timeout_s = 0.1")
        story.goes(story.feature("a")[0], State.LANDED)
        rounds(story)
    assert [event.data["reason"] for event in failures(story)] == ["no answer within 0.1 s"]


def test_a_hook_hears_of_its_own_moments_alone(story: Story) -> None:
    with receiver() as server:
        webhook(story, server, on='"refused", "waiting", "ended", "stopped", "late", "failed"')
        names = story.feature("a", "b", "c", "d")
        for name, state in zip(names, (State.LANDED, State.REJECTED, State.BLOCKED, State.FAILED), strict=True):
            story.goes(name, state, "because")
        records = story.workspace.records
        about = records.ticket(names[0]).about
        for kind in ("train.waiting", "train.stopped", "train.judged"):
            records.note(kind, about, {"reason": "because", "verdict": "pass"})
        records.set_feature("F-0001", "ended", outcome={"outcome": "partial"})
        rounds(story)
    moments = [one["moment"] for one in server.told]
    assert moments == ["refused", "waiting", "failed", "late", "stopped", "ended"]


def test_a_new_hook_is_not_told_the_past_and_neither_is_anybody_what_is_long_ago(story: Story) -> None:
    with receiver() as server:
        webhook(story, server)
        first, second = story.feature("a", "b")
        story.goes(first, State.LANDED)
        with courier(story.workspace):
            story.goes(second, State.LANDED)
            eventually(lambda: server.bodies)
        assert [one["event"]["ticket"] for one in server.told] == [second]
        (way,) = ways_of(story.workspace)
        (event, *_) = read(story.workspace.database)
        one = Round(story.workspace, way, lambda: True, AT_ONCE)
        assert not one.concerns(
            replace(event, kind="ticket.state", data={"to": "landed"}, at="2020-01-01T00:00:00+00:00")
        )


# the courier


def test_the_courier_tells_to_the_end_what_a_killed_run_did(story: Story) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom orchestrator.telling.courier import courier\n"
        "from orchestrator.workspace import Workspace\n"
        "from story import Story, State\nfrom demo_project import Demo\n"
        "story = Story(Demo(Path(sys.argv[1]), Path(sys.argv[2])))\n"
        "with courier(story.workspace):\n"
        "    story.goes('T-0001', State.LANDED)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with receiver() as server:
        webhook(story, server)
        story.feature("a")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", code, str(story.demo.root), str(story.demo.home)], env=environment, check=False
        )
        assert done.returncode == -signal.SIGKILL
        eventually(lambda: server.bodies)
    assert server.told[0]["event"]["ticket"] == "T-0001"
    state, (way,) = story.workspace.state, ways_of(story.workspace)

    def at_the_end() -> bool:
        cursor = cursors.read(state, way.identity)
        return cursor is not None and cursor.seq == last_seq(story.workspace.database)

    eventually(at_the_end)


def test_a_run_does_not_wait_for_a_hook_that_hangs(story: Story) -> None:
    with receiver(hangs=threading.Event()) as server:
        webhook(story, server)
        begun = time.monotonic()
        with courier(story.workspace):
            story.goes(story.feature("a")[0], State.LANDED)
        assert time.monotonic() - begun < 2
        eventually(lambda: server.bodies)


def test_nobody_is_started_where_nobody_is_to_be_told(story: Story) -> None:
    with courier(story.workspace):
        pass
    assert not (story.workspace.state / cursors.FOLDER).exists()


@pytest.mark.slow
def test_a_whole_run_is_told_while_it_goes_on_and_to_its_end(story: Story, tmp_path: Path) -> None:
    with receiver() as server:
        webhook(story, server, on='"landed", "ended"')
        one = ticket("a", new="src/a.py", accept="import a")
        story.demo.commit(**{"script.yaml": script([one], {"add a": [writes("src/a.py", "X = 1\n")]})})
        events = tmp_path / "events.jsonl"
        story.demo.feature("one module", "--events", str(events), exits=0)
        eventually(lambda: len(server.bodies) == 2)
    assert [one["moment"] for one in server.told] == ["landed", "ended"]
    lines = [json.loads(line) for line in events.read_text("utf-8").splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert (lines[0]["kind"], lines[-1]["kind"]) == ("feature.asked", "feature.ended")


# notifications

OLD_MODULES = "ignore:'[a-z]+' is deprecated and slated for removal:DeprecationWarning"
"""Apprise imports what newer versions of Python leave out."""


@pytest.mark.filterwarnings(OLD_MODULES)
def test_a_notification_goes_through_apprise(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as server:
        monkeypatch.setenv("CHAT", f"json://127.0.0.1:{server.port}/")
        story.configure('\n[notify]\nurls_env = "CHAT"\non = ["waiting"]\n')
        check(story.workspace)
        first, second = story.feature("a", "b")
        story.goes(first, State.LANDED)
        story.goes(second, State.BLOCKED, "G-0001 waits for a person")
        rounds(story)
    (one,) = server.told
    assert one["title"] == f"demo: {second} waiting"
    assert "G-0001 waits for a person" in one["message"]


@pytest.mark.filterwarnings(OLD_MODULES)
def test_an_address_that_fails_is_known_by_its_kind_alone(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver(500, 500, 500) as server:
        monkeypatch.setenv("CHAT", f"json://me:password@127.0.0.1:{server.port}/")
        story.configure('\n[notify]\nurls_env = "CHAT"\non = ["landed"]\n')
        story.goes(story.feature("a")[0], State.LANDED)
        rounds(story)
    (failed,) = failures(story)
    assert failed.data["hook"] == "notification by json"
    assert "password" not in json.dumps(failed.to_json())


@pytest.mark.filterwarnings(OLD_MODULES)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('urls_env = "NOT_SET_AT_ALL"', "urls_env: the environment variable NOT_SET_AT_ALL is not set"),
        ('urls_env = "ODD"', r"urls_env: Apprise does not know address 1 of ODD \(nonsense:"),
    ],
)
def test_an_address_that_cannot_work_is_said_before_anything_starts(
    story: Story, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.setenv("ODD", "nonsense://token")
    story.configure(f"\n[notify]\n{text}\n")
    with pytest.raises(InputError, match=said):
        check(story.workspace)


def test_without_the_library_the_configuration_says_what_to_install(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)  # as Python itself marks what cannot be imported
    story.configure("\n[notify]\ndesktop = true\n")
    with pytest.raises(InputError, match=r"pip install 'signalbox\[notify\]'"):
        check(story.workspace)
