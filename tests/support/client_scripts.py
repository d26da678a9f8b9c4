"""What a scripted model says to each client: one whole ticket, in the client's own tools, with two things that must be refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.roles import named

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

REPORT = """## Summary

Added {path}.

## Files Changed

- `{path}`

## Verification

none by the author

## Risks / Edge Cases

none

## Out-of-Scope Issues Found

none
"""
FORBIDDEN = "src/evil.py"
Steps = list[dict[str, Any]]


def call(name: str, **given: Any) -> dict[str, Any]:
    return {"text": f"Using {name}.", "tools": [{"name": name, "input": given}]}


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one ticket's agent does."""

    tree: Path
    path: str
    text: str
    role: str = "executor"

    @property
    def report(self) -> str:
        """What its role has to say at the end."""
        more = "".join(f"\n## {field.name}\n\nnone\n" for field in named(self.role).report)
        return REPORT.format(path=self.path) + more


def claude(job: Job) -> Steps:
    """Look, try what is forbidden, try git, do it, run it, report; this client wants absolute paths."""
    tree, path = job.tree, job.path
    return [
        call("Read", file_path=f"{tree}/src/lib.py"),
        call("Write", file_path=f"{tree}/{FORBIDDEN}", content="x = 1\n"),
        call("Bash", command="git commit -am sneaky", description="commit"),
        call("Write", file_path=f"{tree}/{path}", content=job.text),
        call("Bash", command=f"python -B {path}", description="run it"),
        {"text": job.report},
    ]


def codex(job: Job) -> Steps:
    path = job.path

    def patch(name: str, lines: str) -> dict[str, Any]:
        added = "".join(f"+{line}\n" for line in lines.splitlines())
        body = f"*** Begin Patch\n*** Add File: {name}\n{added}*** End Patch\n"
        return {"text": "Patching.", "tools": [{"name": "apply_patch", "custom": True, "input": body}]}

    return [
        call("exec_command", cmd="cat src/lib.py"),
        patch(FORBIDDEN, "x = 1\n"),
        call("exec_command", cmd="git commit -am sneaky"),
        patch(path, job.text),
        call("exec_command", cmd=f"python -B {path}"),
        {"text": job.report},
    ]


def loop(job: Job) -> Steps:
    """For our own loop of kind `openai`."""
    path = job.path
    return [
        call("read_file", path="src/lib.py"),
        call("write_file", path=FORBIDDEN, content="x = 1\n"),
        call("run", command="git commit -am sneaky"),
        call("write_file", path=path, content=job.text),
        call("run", command=f"python -B {path}"),
        {"text": job.report},
    ]


def gemini(job: Job) -> Steps:
    tree, path = job.tree, job.path
    return [
        call("read_file", file_path=f"{tree}/src/lib.py"),
        call("write_file", file_path=f"{tree}/{FORBIDDEN}", content="x = 1\n"),
        call("run_shell_command", command="git commit -am sneaky", description="commit"),
        call("write_file", file_path=f"{tree}/{path}", content=job.text),
        call("run_shell_command", command=f"python -B {path}", description="run it"),
        {"text": job.report},
    ]


def opencode(job: Job) -> Steps:
    """A refusal ends the turn of this client: what comes after it is the next attempt's."""
    tree, path = job.tree, job.path
    return [
        call("read", filePath=f"{tree}/src/lib.py"),
        call("write", filePath=f"{tree}/{FORBIDDEN}", content="x = 1\n"),
        call("write", filePath=f"{tree}/{path}", content=job.text),
        call("bash", command=f"python -B {path}", description="run it"),
        {"text": job.report},
    ]


def readers(tool: str) -> list[dict[str, Any]]:
    """What a challenger and an auditor say: one minor objection each, after a look by this tool."""
    look = call(tool, **({"cmd": "cat src/a.py"} if tool == "exec_command" else {"pattern": "src/*.py"}))
    minor = {"severity": "minor", "claim": "a better name"}
    found = {**minor, "path": "src/a.py", "line": 3, "quote": "X = 1", "why": "it says little"}
    judged = {"index": 0, "verdict": "confirmed", "because": "line 3 says so"}
    return [
        {"when": "# Challenge this plan", "steps": [{"text": json.dumps([minor])}]},
        {"when": "This is phase 1 of 2", "steps": [look, {"text": json.dumps({"findings": [found]})}]},
        {"when": "This is phase 2 of 2", "steps": [look, {"text": json.dumps({"findings": [judged], "missed": []})}]},
    ]


def plan(tickets: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"text": json.dumps({"request": "three modules", "tickets": list(tickets)})}


def conversations(
    root: Path, tickets: Sequence[dict[str, Any]], hands: Sequence[Callable[[Job], Steps]]
) -> dict[str, Any]:
    """One server for the lead of the repository at `root`, and for each of its tickets, done by these hands in their order."""
    talks: list[dict[str, Any]] = []
    for number, (ticket, hand) in enumerate(zip(tickets, hands, strict=True), 1):
        tree = root.parent / f"{root.name}-wt" / f"t-{number:04}-{ticket['title'].replace(' ', '-')}"
        text = f'"""{ticket["title"]}."""\n\nX = {number}\n'
        job = Job(tree=tree, path=ticket["scope"]["new"][0], text=text, role=ticket.get("role", "executor"))
        talks.append({"when": f"# T-{number:04}: ", "steps": hand(job)})
    return {"conversations": talks, "steps": [plan(tickets)], "usage": {"input": 1000, "output": 50}}
