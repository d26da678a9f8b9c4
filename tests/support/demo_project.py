"""A small project under git with a scripted agent, and the real command line as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent.parent
IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}
POLICY = """version = 1
[project]
name = "demo"
[planning]
lead = "actor"
[dispatch]
timeout_s = 60
[agents.actor]
kind = "scripted"
script = "script.yaml"
[tests]
run = ["python", "-m", "pytest", "-q", "-p", "no:hypothesispytest", "-p", "no:schemathesis", "-p", "no:anyio", "-p", "no:xdist", "-p", "no:timeout"]
"""


@dataclass(frozen=True)
class Demo:
    """A small Python project under git, with a scripted agent."""

    root: Path
    home: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
        return {
            **kept,
            "HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "XDG_STATE_HOME": str(self.home / "state"),
            **self.variables,
        }

    def git(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env=self.environment | IDENTITY,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def commit(self, message: str = "change", **files: str) -> str:
        for path, text in files.items():
            self.write(path, text)
        self.git("add", "-A")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "orchestrator", *arguments]
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def orchestrate(self, *arguments: str, exits: int | None = None) -> subprocess.CompletedProcess[str]:
        """Run the command line as a person would; `exits` is the exit code that is expected."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=240)
        done = subprocess.CompletedProcess(arguments, process.returncode, out, err)
        assert exits is None or done.returncode == exits, f"exit {done.returncode}\n{out}\n{err}"
        return done

    def feature(self, *arguments: str, exits: int) -> dict[str, Any]:
        return dict(json.loads(self.orchestrate("feature", *arguments, "--json", exits=exits).stdout))

    def log(self) -> list[dict[str, Any]]:
        return list(json.loads(self.orchestrate("log", "--json", exits=0).stdout))

    def first_parents(self) -> list[str]:
        return self.git("log", "--first-parent", "--format=%H", "main").split()


def ticket(key: str, *, new: str, accept: str, **more: object) -> dict[str, Any]:
    """One ticket of a plan that creates one file."""
    return {
        "key": key,
        "title": f"add {key}",
        "objective": f"Add {key}.",
        "non_goals": ["anything else"],
        "scope": {"new": [new]},
        "acceptance": [{"run": ["python", "-c", accept], "timeout_s": 30}],
        **more,
    }


def script(tickets: list[dict[str, Any]], steps: dict[str, list[list[dict[str, Any]]]]) -> str:
    """A scripted lead and executor in one file; JSON is YAML."""
    return json.dumps({"plan": {"request": "as scripted", "tickets": tickets}, "tickets": steps})


def writes(path: str, text: str) -> list[dict[str, Any]]:
    """The steps of an honest attempt."""
    return [{"write": {"path": path, "text": text}}, {"report": "auto"}]


def home_in(folder: Path) -> Path:
    """A person's home with an identity for git."""
    home = folder / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n", encoding="utf-8")
    return home


def demo_in(folder: Path, home: Path) -> Demo:
    """A repository with one module, one test, a policy, and a script that adds modules a and b."""
    root = folder / "demo"
    root.mkdir()
    made = Demo(root, home)
    made.git("init", "-qb", "main")
    tickets = [
        ticket("a", new="src/a.py", accept="import a; assert a.X == 1"),
        ticket("b", new="src/b.py", accept="import b; assert b.X == 2"),
    ]
    steps = {"add a": [writes("src/a.py", "X = 1\n")], "add b": [writes("src/b.py", "X = 2\n")]}
    made.write("orchestrate.toml", POLICY)
    made.write("script.yaml", script(tickets, steps))
    made.write("pyproject.toml", '[tool.pytest.ini_options]\npythonpath = ["src"]\n')
    made.write("src/lib.py", "def one() -> int:\n    return 1\n")
    made.write("tests/test_lib.py", "from lib import one\n\n\ndef test_one() -> None:\n    assert one() == 1\n")
    made.commit("begin")
    return made
