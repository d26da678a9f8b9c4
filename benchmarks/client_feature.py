"""Eight tickets carried out by Claude Code, its model scripted: plan, gates and landing; wall time and memory.

    python benchmarks/client_feature.py [rounds] [claude|codex|loop]

Wanted: the harness itself under 200 MiB. The clients are those that scripts/clients installs; `loop` needs none.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from _project import ENVIRONMENT, ROOT, git, machine

sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests" / "support"))

import client_scripts
from agents.scripted_model.server import serving

if TYPE_CHECKING:
    from collections.abc import Callable

TICKETS = 8
CLIENTS = Path(os.environ.get("SIGNALBOX_CLIENTS", ROOT / ".clients")) / "node_modules"
PROGRAMS = {"claude": "@anthropic-ai/claude-code-*/claude", "codex": "@openai/codex-*/vendor/*/bin/codex", "loop": ""}
HANDS: dict[str, Callable[[client_scripts.Job], client_scripts.Steps]] = {
    "claude": client_scripts.claude,
    "codex": client_scripts.codex,
    "loop": client_scripts.loop,
}
AGENTS = {
    "claude": 'kind = "claude"\ncommand = ["{program}"]\nbase_url = "{url}"\nmodel = "claude-sonnet-4-5"',
    "codex": 'kind = "codex"\ncommand = ["{program}"]\nbase_url = "{url}/v1"\nmodel = "gpt-5.5"',
    "loop": 'kind = "openai"\nbase_url = "{url}/v1"\nmodel = "scripted"',
}
POLICY = """version = 1
[planning]
lead = "coder"
[dispatch]
parallel = {parallel}
[sandbox]
network = ["127.0.0.1:{port}"]
[tests]
run = []
[agents.coder]
{agent}
price = {{ input = 0.0, output = 0.0 }}
"""
KEYS = {"ANTHROPIC_API_KEY": "sk-ant-scripted", "OPENAI_API_KEY": "sk-scripted"}


class Peak(threading.Thread):
    """Watches how much memory a process holds, and all that it started, each page counted where it belongs."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process = psutil.Process(pid)
        self.own = self.all = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.05):
            try:
                own = self.process.memory_info().rss
                below = sum(_private(child) for child in self.process.children(recursive=True))
            except psutil.NoSuchProcess:
                return
            self.own, self.all = max(self.own, own), max(self.all, own + below)


def _private(process: psutil.Process) -> int:
    try:
        found = process.memory_info()
        return int(found.rss - getattr(found, "shared", 0))
    except psutil.Error:
        return 0


def ticket(number: int) -> dict[str, Any]:
    return {
        "key": f"k{number}",
        "title": f"ticket {number}",
        "objective": "Write one module.",
        "non_goals": ["anything else"],
        "scope": {"new": [f"src/out{number}.py"]},
        "acceptance": [{"run": ["python", "-B", f"src/out{number}.py"]}],
    }


def once(client: str, folder: Path) -> tuple[float, int, int, str]:
    root = folder / "repo"
    (root / "src").mkdir(parents=True)
    (root / "src" / "lib.py").write_text("X = 0\n", encoding="utf-8")
    tickets = [ticket(number) for number in range(1, TICKETS + 1)]
    with serving(client_scripts.conversations(root, tickets, [HANDS[client]] * TICKETS)) as server:
        program = next(map(str, CLIENTS.glob(PROGRAMS[client])), "") if PROGRAMS[client] else ""
        agent = AGENTS[client].format(program=program, url=server.url)
        policy = POLICY.format(parallel=TICKETS, port=server.url.rpartition(":")[2], agent=agent)
        (root / "orchestrate.toml").write_text(policy, encoding="utf-8")
        git(root, "init", "-qb", "main")
        git(root, "add", "-A")
        git(root, "commit", "-qm", "begin")
        began = time.perf_counter()
        command = [sys.executable, "-m", "orchestrator", "feature", "eight modules", "--json"]
        with subprocess.Popen(command, cwd=root, env=ENVIRONMENT | KEYS, stdout=subprocess.PIPE, text=True) as process:
            peak = Peak(process.pid)
            peak.start()
            out, _ = process.communicate(timeout=900)
            peak.over.set()
        return time.perf_counter() - began, peak.own >> 20, peak.all >> 20, json.loads(out).get("outcome", out)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    client = sys.argv[2] if len(sys.argv) > 2 else "claude"  # noqa: PLR2004 - the second argument
    print(f"{TICKETS} tickets by {client}, all at once\n{machine()}\n")
    print(f"{'outcome':10}{'wall s':>8}{'harness MiB':>14}{'with clients MiB':>18}")
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            wall, own, everything, outcome = once(client, Path(folder).resolve())
        print(f"{outcome:10}{wall:>8.1f}{own:>14}{everything:>18}")


if __name__ == "__main__":
    main()
