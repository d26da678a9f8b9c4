"""The desk where agents ask: real sockets, real clients. What is asked about is text; none of it is run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gates.live.decision import Bounds, Ground, decide
from orchestrator.guard_clients import client_command
from orchestrator.permission import AT_ONCE, HTTP_VARIABLE, LONGEST_PATH, VARIABLE, Permission, serving
from tickets.model import Ticket
from tickets.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]
TICKET = Ticket.model_validate(
    {
        "id": "T-0001",
        "title": "Try it",
        "scope": {"write": ["src/**"]},
        "acceptance": (),
        "objective": "Try it",
        "non_goals": ("nothing else",),
    }
)
BOUNDS = Bounds(
    ticket=TICKET,
    policy=Policy(),
    ground=Ground(root="/work/tree", home="/work/home", temporary="/work/home/tmp"),
)
PATCH = "*** Begin Patch\n*** Update File: src/a.py\n@@\n-a\n+b\n*** Add File: {}\n+x\n*** End Patch"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Permission]:
    with serving(
        partial(decide, bounds=BOUNDS), folder=tmp_path / "desk", log=tmp_path / "logs" / "permission.jsonl", http=True
    ) as open_desk:
        yield open_desk


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clients")


@pytest.fixture(params=["quick", "python", "by http", "orchestrate guard"])
def client(request: pytest.FixtureRequest, clients: Path) -> list[str]:
    if request.param == "orchestrate guard":
        return [sys.executable, "-m", "orchestrator", "guard"]
    return client_command(clients, http=request.param != "quick")


def run(client: Sequence[str], question: bytes, **environment: str) -> subprocess.CompletedProcess[bytes]:
    given = {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(client, input=question, env=given, capture_output=True, timeout=30, check=False)


def variables(desk: Permission, request: pytest.FixtureRequest) -> dict[str, str]:
    by_http = "by http" in request.node.name
    return {key: value for key, value in desk.variables.items() if by_http or key != HTTP_VARIABLE}


def asked(desk: Permission, event: object) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(desk.socket))
        line.sendall(event if isinstance(event, bytes) else json.dumps(event).encode())
        line.shutdown(socket.SHUT_WR)
        with line.makefile("rb") as stream:
            answer: dict[str, Any] = json.loads(stream.read())
    return answer


def tool(name: str, given: dict[str, Any], event: str = "PreToolUse") -> dict[str, Any]:
    return {"hook_event_name": event, "tool_name": name, "tool_input": given, "cwd": "/work/tree"}


def allowed(answer: dict[str, Any]) -> bool:
    said: bool = answer["hookSpecificOutput"]["permissionDecision"] == "allow"
    return said


def logged(desk: Permission, count: int) -> list[dict[str, Any]]:
    for _ in range(500):  # a line is kept while the client goes on already
        lines = desk.log.read_text(encoding="utf-8").splitlines()
        if len(lines) >= count:
            return [json.loads(line) for line in lines]
        threading.Event().wait(0.01)
    raise AssertionError(f"the log has {len(lines)} lines, not {count}")


def test_every_client_hands_the_answer_on(desk: Permission, client: list[str], request: pytest.FixtureRequest) -> None:
    for path, expected in (("src/a.py", "allow"), ("README.md", "deny")):
        event = tool("Write", {"file_path": f"/work/tree/{path}", "content": "x" * 200_000})
        done = run(client, json.dumps(event).encode(), **variables(desk, request))
        assert (done.returncode, done.stderr) == (0, b"")
        output = json.loads(done.stdout)["hookSpecificOutput"]
        assert (output["hookEventName"], output["permissionDecision"]) == ("PreToolUse", expected)
        assert output["permissionDecisionReason"]


def test_no_client_ever_says_yes_by_failing(tmp_path: Path, client: list[str], request: pytest.FixtureRequest) -> None:
    by_http = "by http" in request.node.name
    (tmp_path / "file").write_text("no socket", encoding="utf-8")
    places = ["http://127.0.0.1:1/x", "nonsense"] if by_http else ["", str(tmp_path / "file"), "/" + "x" * 200]
    for place in places:
        done = run(client, b"{}", **{HTTP_VARIABLE if by_http else VARIABLE: place})
        assert done.returncode == 2
        assert b"refused, because the harness could not be asked: " in done.stderr
        assert not done.stdout
    assert run([*client, "--nonsense"], b"{}").returncode == 2


@pytest.mark.parametrize("said", [b"", b"yes\n", b'{"half": ', b"{}"])
def test_half_an_answer_is_a_refusal(tmp_path: Path, client: list[str], said: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        thread = threading.Thread(target=_say, args=(listener, said))
        thread.start()
        done = run(client, b"{}", **{VARIABLE: str(tmp_path / "s")})
        thread.join()
    assert done.returncode == 2
    assert done.stderr


def _say(listener: socket.socket, said: bytes) -> None:
    line, _ = listener.accept()
    with line:
        while line.recv(1 << 16):
            pass
        line.sendall(said)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (tool("Bash", {"command": "pytest -q"}), True),
        (tool("Bash", {"command": "git status"}), False),
        (tool("Edit", {"file_path": "/work/tree/src/a.py"}), True),
        (tool("MultiEdit", {"file_path": "/work/tree/docs/a.md"}), False),
        (tool("NotebookEdit", {"notebook_path": "/work/tree/a.ipynb"}), False),
        (tool("Read", {"file_path": "/work/tree/README.md"}), True),
        (tool("Read", {"file_path": "/work/tree/.env"}), False),
        (tool("Grep", {"pattern": "x"}), True),
        (tool("TodoWrite", {"todos": []}), True),
        (tool("apply_patch", {"command": PATCH.format("src/b.py")}), True),
        (tool("apply_patch", {"command": PATCH.format("README.md")}), False),
        (tool("apply_patch", {"command": "nothing"}), False),
        (tool("shell", {"command": ["bash", "-lc", "git log"]}), False),
        (tool("exec_command", {"cmd": "ls", "workdir": "src"}), True),
        (tool("run_shell_command", {"command": "echo x > a.py", "directory": "src"}, "BeforeTool"), True),
        (tool("run_shell_command", {"command": "git push"}, "BeforeTool"), False),
        (tool("write_file", {"file_path": "src/a.py"}, "BeforeTool"), True),
        (tool("replace", {"file_path": "setup.cfg"}, "BeforeTool"), False),
        (tool("mcp__x__do", {"path": "src/a.py"}), True),
        (tool("mcp__x__do", {"path": "README.md"}), False),
        (tool("mcp__x__do", {"what": 1}), False),
        (tool("Write", {}), False),
        (tool("Bash", {}), False),
    ],
)
def test_the_clients_tools_are_understood(desk: Permission, event: dict[str, Any], expected: bool) -> None:  # noqa: FBT001 - a table's column
    answer = asked(desk, event)
    assert allowed(answer) is expected, answer
    assert answer["hookSpecificOutput"]["hookEventName"] == event["hook_event_name"]
    if event["hook_event_name"] == "BeforeTool":
        assert answer["decision"] == ("allow" if expected else "deny")


@pytest.mark.parametrize(
    ("question", "why"),
    [
        (b"no json", "no JSON"),
        (b"[]", "no JSON object"),
        (b"[" * 100_000, "no JSON"),
        ({"kind": "delete", "path": "x"}, '"write", "read" or "run"'),
        ({"kind": "run", "command": 3}, "are text"),
        ({"kind": "run"}, "needs its `command`"),
        ({"kind": "write", "path": "README.md"}, "outside the ticket's scope"),
        ({"kind": "run", "command": "git log"}, "the harness owns every git operation"),
    ],
)
def test_a_plain_question_gets_a_plain_answer(desk: Permission, question: object, why: str) -> None:
    answer = asked(desk, question)
    assert answer["allowed"] is False
    assert why in answer["reason"]


def test_a_question_without_a_tool_is_refused(desk: Permission) -> None:
    assert not allowed(asked(desk, {"hook_event_name": "PreToolUse", "tool_input": {}}))
    assert not allowed(asked(desk, {"tool_name": "Bash", "tool_input": "ls"}))


def test_every_question_is_kept_with_its_secrets_masked(desk: Permission) -> None:
    token = "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
    asked(desk, {**tool("Bash", {"command": f"curl -H 'Authorization: token {token}' x"}), "tool_use_id": "t1"})
    asked(desk, tool("Bash", {"command": "git log " + "x" * 5000}))
    first, second = logged(desk, 2)
    assert (first["id"], first["tool"], first["decision"], first["call"]["kind"]) == ("t1", "Bash", "allow", "run")
    assert token not in json.dumps(first)
    assert (second["decision"], second["gate"], len(second["call"]["command"])) == ("deny", "vcs", 1000)
    assert second["ms"] > 0
    assert second["time"]


def test_http_needs_the_token(desk: Permission) -> None:
    def post(url: str) -> dict[str, Any]:
        body = json.dumps({"kind": "read", "path": "README.md"}).encode()
        with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=5) as line:  # noqa: S310 - our own address
            answer: dict[str, Any] = json.load(line)
        return answer

    assert post(desk.url)["allowed"]
    assert f"127.0.0.1:{desk.port}/" in desk.url
    for wrong in (desk.url[:-1], desk.url.rpartition("/")[0], f"{desk.url}x"):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            post(wrong)


def test_many_questions_at_once_all_get_their_own_answer(desk: Permission) -> None:
    answers: dict[int, bool] = {}

    def ask(number: int) -> None:
        path = f"src/{number}.py" if number % 2 else f"docs/{number}.md"
        answers[number] = asked(desk, {"kind": "write", "path": path})["allowed"]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: bool(number % 2) for number in range(60)}
    assert len(logged(desk, 60)) == 60


def test_who_keeps_a_line_open_keeps_nobody_else_waiting(desk: Permission) -> None:
    with socket.socket(socket.AF_UNIX) as idle:
        idle.connect(str(desk.socket))
        assert asked(desk, {"kind": "read", "path": "x"})["allowed"]


def answering() -> int:
    return sum(thread.name.startswith("guard-") for thread in threading.enumerate())


def test_there_are_only_as_many_threads_as_are_asked_at_once(desk: Permission) -> None:
    assert answering() == 2  # one for the socket, one for HTTP
    question = tool("Write", {"file_path": "/work/tree/src/a.py", "content": ""})
    for _ in range(20):
        assert allowed(asked(desk, question))
    assert answering() < AT_ONCE  # one that still writes its log takes no question
    lines = [socket.socket(socket.AF_UNIX) for _ in range(AT_ONCE - 1)]
    for line in lines:
        line.connect(str(desk.socket))
    assert allowed(asked(desk, question))
    assert answering() <= AT_ONCE + 1
    for line in lines:
        line.close()


def test_without_a_log_nothing_is_allowed(tmp_path: Path) -> None:
    with serving(partial(decide, bounds=BOUNDS), folder=tmp_path, log=Path("/dev/full")) as desk:
        asked(desk, {"kind": "read", "path": "x"})
        for _ in range(500):
            answer = asked(desk, {"kind": "read", "path": "x"})
            if not answer["allowed"]:
                break
    assert "questions cannot be kept" in answer["reason"]


def test_a_long_folder_name_gets_a_socket_elsewhere_and_nothing_stays(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    with serving(partial(decide, bounds=BOUNDS), folder=folder, log=tmp_path / "log") as desk:
        assert len(os.fsencode(desk.socket)) <= LONGEST_PATH
        assert desk.socket.stat().st_mode & 0o777 == 0o600
        assert asked(desk, {"kind": "read", "path": "x"})["allowed"]
        assert (desk.port, desk.url) == (0, "")
    assert not desk.socket.exists()


def test_the_quick_client_is_made_once(clients: Path) -> None:
    first = client_command(clients)
    before = Path(first[0]).stat().st_mtime_ns
    assert client_command(clients) == first
    assert Path(first[0]).stat().st_mtime_ns == before
