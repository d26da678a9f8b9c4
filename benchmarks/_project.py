"""A repository whose agent and gates take no time: what is measured is the harness."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).parent.parent
IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}
ENVIRONMENT = {**os.environ, **IDENTITY, "PYTHONPATH": str(ROOT)}
POLICY = """version = 1
[planning]
lead = "actor"
[dispatch]
parallel = 8
[agents.actor]
kind = "command"
command = ["sh", "./agent.sh"]
[tests]
run = []
"""
AGENT = """set -e
name=$(sed -n 's/^- you may create `\\(.*\\)`$/\\1/p' "$ORCHESTRATE_BRIEF")
echo done > "$name"
printf '## Summary\\nx\\n## Files Changed\\n- %s\\n## Verification\\nnone\\n## Risks / Edge Cases\\nnone\\n## Out-of-Scope Issues Found\\nnone\\n' "$name" > "$ORCHESTRATE_REPORT"
"""


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, env=ENVIRONMENT, check=True, capture_output=True)


def make(root: Path, *, tickets: int) -> None:
    """Make the repository, with a plan of tickets that have nothing to do with each other."""
    root.mkdir(parents=True)
    (root / "orchestrate.toml").write_text(POLICY, encoding="utf-8")
    (root / "agent.sh").write_text(AGENT, encoding="utf-8")
    for number in range(200):
        file = root / f"src/part{number % 10}/file{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{number}\n" * 50, encoding="utf-8")
    plan = {"request": "nothing much", "tickets": [_ticket(number) for number in range(tickets)]}
    (root / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    git(root, "init", "-qb", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "begin")


def _ticket(number: int) -> dict[str, object]:
    return {
        "key": f"k{number}",
        "title": f"ticket {number}",
        "objective": "Write one file.",
        "non_goals": ["anything else"],
        "scope": {"new": [f"out{number}.txt"]},
        "acceptance": [{"run": ["test", "-f", f"out{number}.txt"]}],
    }


def orchestrate(root: Path, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "orchestrator", *arguments], cwd=root, env=ENVIRONMENT, check=True, capture_output=True
    )


def timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def machine() -> str:
    load = os.getloadavg()[0]
    return f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}"


def table(title: str, rows: Sequence[tuple[str, list[float], float | None]]) -> None:
    """Print median, least and greatest of each series, and its ratio to the peer's median."""
    print(f"\n{title}\n{machine()}\n")
    print(f"{'':44}{'median s':>10}{'min':>8}{'max':>8}{'ratio':>8}")
    for name, values, peer in rows:
        median = statistics.median(values)
        ratio = f"{median / peer:8.2f}" if peer else ""
        print(f"{name:44}{median:>10.3f}{min(values):>8.3f}{max(values):>8.3f}{ratio}")
