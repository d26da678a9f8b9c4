"""Time of one live decision inside the harness, and what a client adds to a tool call, beside spawning `/bin/true`.

    python benchmarks/live_permission.py [rounds]

Budget: a decision under 0.001 s; a client (C, and HTTP without a process) at most 1.5 times `/bin/true`. Every question
is another one, so no answer is known already; the harness is a process of its own, as it is in life. `after a pause`
runs another program first, as an agent does between two tool calls: the processor's caches are cold then.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from _project import ENVIRONMENT, ROOT, machine, table, timed

sys.path.insert(0, str(ROOT))

from gates.live.decision import Bounds, Ground, decide
from gates.protocol import Call
from orchestrator.guard_clients import client_command
from orchestrator.permission import HTTP_VARIABLE, VARIABLE, serving
from tickets.model import Ticket
from tickets.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUESTIONS = 1000
COMMANDS = (
    "cd src && python -m pkg.module{n} --seed 1",
    "python -m pytest tests/test_{n}.py -q --tb=short 2>&1 | head -50",
    "grep -rn 'name{n}' src --include='*.py' | cut -d: -f1 | sort -u",
    "cat > src/file{n}.py <<'E'\nX = {n}\nE",
    "for f in a b; do sed -i 's/x/{n}/' src/$f.py; done",
    "ls src/part{n} && wc -l $(ls src/part{n}/*.py)",
    "sed -n '{n},40p' src/a.py",
    "git log -{n}",
)
TICKET = Ticket.model_validate(
    {
        "id": "T-0001",
        "title": "Try it",
        "scope": {"write": ["src/**", "tests/test_a.py"], "deny": ["src/locked.py"]},
        "acceptance": (),
        "objective": "Try it",
        "non_goals": ("nothing else",),
    }
)
BOUNDS = Bounds(
    ticket=TICKET,
    policy=Policy(),
    ground=Ground(root="/tree", home="/agent", temporary="/agent/tmp"),
)


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        serve(Path(sys.argv[2]))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    print(machine())
    decisions()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = subprocess.Popen(
            [sys.executable, __file__, "--serve", name], env=ENVIRONMENT, stdin=subprocess.PIPE, text=True
        )
        try:
            while not (folder / "ready").exists():
                time.sleep(0.01)
            ask(folder, rounds)
        finally:
            server.communicate()


def serve(folder: Path) -> None:
    """Be the harness until standard input ends."""
    with serving(partial(decide, bounds=BOUNDS), folder=folder, log=folder / "log.jsonl", http=True) as desk:
        (folder / "part").write_text(json.dumps(dict(desk.variables)), encoding="utf-8")
        (folder / "part").replace(folder / "ready")
        sys.stdin.read()


def questions() -> list[Call]:
    runs = [Call(kind="run", command=COMMANDS[number % len(COMMANDS)].format(n=number)) for number in range(QUESTIONS)]
    return [*runs, *(Call(kind="write", path=f"src/file{number}.py") for number in range(QUESTIONS))]


def decisions() -> None:
    decide(Call(kind="run", command="true"), BOUNDS)
    times: dict[str, list[float]] = {"run": [], "write": []}
    for call in questions():
        times[call.kind].append(timed(partial(decide, call, BOUNDS)))
    table("inside the harness", [(f"decision on a {kind}", values, None) for kind, values in times.items()])
    for kind, values in times.items():
        print(f"{kind}: median {statistics.median(values) * 1000:.3f} ms")


def ask(folder: Path, rounds: int) -> None:
    variables: dict[str, str] = json.loads((folder / "ready").read_text(encoding="utf-8"))
    files = itertools.cycle([question(folder, number) for number in range(QUESTIONS)])
    by_socket = {"PATH": os.defpath, VARIABLE: variables[VARIABLE]}
    python = client_command(folder, http=True)
    commands: dict[str, Callable[[], object]] = {
        "spawn of /bin/true": partial(spawn, ["/bin/true"], files, by_socket),
        "C client": partial(spawn, client_command(folder), files, by_socket),
        "HTTP, no process": partial(post, variables[HTTP_VARIABLE], files),
        "Python client": partial(spawn, python, files, by_socket),
        "Python client over HTTP": partial(spawn, python, files, variables),
    }
    for title, pause in (("one after the other", False), ("after a pause", True)):
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                if pause:
                    subprocess.run([sys.executable, "-c", "import json"], check=True)
                times[name].append(timed(command))
        peer = statistics.median(times["spawn of /bin/true"])
        table(f"a client's time, {title}", [(name, values, peer) for name, values in times.items()])
        for name, values in times.items():
            print(f"{name}: median {statistics.median(values) * 1000:.2f} ms")


def question(folder: Path, number: int) -> Path:
    command = COMMANDS[number % len(COMMANDS)].format(n=number)
    event = {
        "hook_event_name": "PreToolUse",
        "tool_use_id": f"toolu_{number}",
        "cwd": "/tree",
        "tool_name": "Bash",
        "tool_input": {"command": command, "description": "run the tests"},
    }
    file = folder / f"question{number}.json"
    file.write_text(json.dumps(event), encoding="utf-8")
    return file


def spawn(command: list[str], files: Iterator[Path], environment: dict[str, str]) -> None:
    """Start and wait as a client's hook runner does, with as little of our own as can be."""
    null = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    actions = [(os.POSIX_SPAWN_OPEN, 0, str(next(files)), os.O_RDONLY, 0), null]
    _, status = os.waitpid(os.posix_spawn(command[0], command, environment, file_actions=actions), 0)
    if status:
        raise SystemExit(f"{command[0]} ended with {os.waitstatus_to_exitcode(status)}")


def post(url: str, files: Iterator[Path]) -> None:
    """Ask as a client does that has its HTTP in place: what is timed is the harness, not Python's http.client."""
    place, body = urllib.parse.urlsplit(url), next(files).read_bytes()
    head = f"POST {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=5) as line:
        line.sendall(head.encode() + body)
        if not line.recv(1 << 16).startswith(b"HTTP/1.1 200 OK"):
            raise SystemExit("HTTP gave no answer")


if __name__ == "__main__":
    main()
