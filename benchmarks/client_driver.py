"""What a driver adds to its client: seconds for each attempt, milliseconds for each tool call that its live gate is asked about.

    python benchmarks/client_driver.py [rounds]

Wanted: under 0.3 s for an attempt, at most 8 ms for a call of Claude Code. The clients are those that scripts/clients installs, their model is
scripted. An attempt's own cost is the time that `work` takes beyond the life of the client's process; a call's is the time between two requests
to the model with our driver, and with the bare client beside it.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _project import ENVIRONMENT, ROOT, machine

sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests" / "support"))

from agents.drivers.claude import ClaudeDriver
from agents.drivers.codex import CodexDriver
from agents.drivers.openai import OpenAIDriver
from agents.protocol import Assignment
from client_scripts import REPORT, call
from tickets.agents import Agent
from tickets.model import Ticket
from workbench import Desk, workbench

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.protocol import Driver

CLIENTS = Path(os.environ.get("SIGNALBOX_CLIENTS", ROOT / ".clients")) / "node_modules"
READS = 20
BARE = (
    "--output-format",
    "stream-json",
    "--verbose",
    "--setting-sources",
    "",
    "--strict-mcp-config",
    "--tools",
    "Read",
)
QUIET = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1", "ANTHROPIC_API_KEY": "scripted"}
TICKET = Ticket.model_validate(
    {
        "id": "T-0001",
        "title": "Read",
        "objective": "Read a file often.",
        "non_goals": ("anything else",),
        "scope": {"new": ("a.py",)},
        "acceptance": ({"run": ("true",)},),
    }
)


def program(pattern: str) -> str:
    found = next(CLIENTS.glob(pattern), None)
    if found is None:
        sys.exit(f"there is no {pattern} in {CLIENTS}: scripts/clients installs the clients")
    return str(found)


def drivers() -> dict[str, tuple[Driver, str, str]]:
    """Each driver, and how its client reads a file."""
    claude = Agent(kind="claude", command=(program("@anthropic-ai/claude-code-*/claude"),))
    codex = Agent(kind="codex", command=(program("@openai/codex-*/vendor/*/bin/codex"),), model="gpt-5.5")
    own = Agent(kind="openai", base_url="http://127.0.0.1:9/v1", model="scripted")
    return {
        "claude": (ClaudeDriver(name="claude", settings=claude, root=ROOT), "Read", "file_path"),
        "codex, strict": (CodexDriver(name="codex", settings=codex, root=ROOT), "exec_command", "cmd"),
        "openai loop": (OpenAIDriver(name="loop", settings=own), "read_file", "path"),
    }


@dataclass
class Figures:
    walls: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    """Seconds of `work` beyond the client's process; only where the driver tells them apart."""
    gaps: list[float] = field(default_factory=list)
    """Seconds between two requests to the model."""


def steps(folder: Path, tool: str, argument: str) -> list[dict[str, Any]]:
    """Read another file each time: the same call again and again is stopped as a loop."""
    files = [folder / "tree" / f"{number}.txt" for number in range(READS)]
    targets = [f"cat {file}" if argument == "cmd" else str(file) for file in files]
    return [*[call(tool, **{argument: target}) for target in targets], {"text": REPORT.format(path="a.py")}]


def gaps(rows: list[dict[str, Any]]) -> list[float]:
    at = [row["at"] for row in rows if row.get("step") is not None][1 : READS + 1]  # the first one is a cold start
    return [later - earlier for earlier, later in itertools.pairwise(at)]


@contextmanager
def served(script: dict[str, Any], folder: Path) -> Iterator[tuple[str, Path]]:
    """Serve the model from a process of its own: within ours, it and the driver would wait for each other."""
    file, log = folder / "script.json", folder / "requests.jsonl"
    file.write_text(json.dumps(script), encoding="utf-8")
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "agents.scripted_model", str(file), "--log", str(log)]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield (process.stdout.readline().strip() if process.stdout else ""), log
        finally:
            process.terminate()


def requests(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def ours(driver: Driver, script: dict[str, Any], folder: Path, figures: Figures) -> None:
    with served(script, folder) as (url, log):
        aimed = driver.aimed_at(url)
        if aimed is None:
            raise ValueError(driver.kind)
        bench = workbench(folder, Desk())
        began = time.perf_counter()
        outcome = aimed.work(Assignment(ticket=TICKET, attempt=1, brief="Read it.", bench=bench))
        wall = time.perf_counter() - began
        figures.walls.append(wall)
        if driver.kind == "claude":
            figures.own.append(wall - outcome.seconds)
        if outcome.ending != "done":
            sys.exit(f"{driver.kind}: {outcome.cause}: {outcome.reason}")
        figures.gaps.extend(gaps(requests(log)))


def bare(script: dict[str, Any], folder: Path, figures: Figures) -> None:
    """Run Claude Code by itself, in the same tree and with no hook."""
    home = folder / "bare"
    home.mkdir(exist_ok=True)
    with served(script, folder) as (url, log):
        variables = {"PATH": ENVIRONMENT["PATH"], "HOME": str(home), "ANTHROPIC_BASE_URL": url, **QUIET}
        command = [program("@anthropic-ai/claude-code-*/claude"), "-p", "Read it.", *BARE]
        began = time.perf_counter()
        subprocess.run(command, cwd=folder / "tree", env=variables, check=True, capture_output=True)
        figures.walls.append(time.perf_counter() - began)
        figures.gaps.extend(gaps(requests(log)))


def show(name: str, figures: Figures) -> None:
    own = f"{statistics.median(figures.own):10.3f}" if figures.own else f"{'':10}"
    wall = f"{statistics.median(figures.walls):10.2f}"
    print(f"{name:24}{wall}{own}{statistics.median(figures.gaps) * 1000:14.1f}{min(figures.gaps) * 1000:8.1f}")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    every, alone = {name: Figures() for name in drivers()}, Figures()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        folder = Path(place).resolve()
        (folder / "tree").mkdir()
        for number in range(READS):
            (folder / "tree" / f"{number}.txt").write_text("hello\n", encoding="utf-8")
        for _ in range(rounds):
            for name, (driver, tool, argument) in drivers().items():
                script = {"steps": steps(folder, tool, argument)}
                ours(driver, script, folder, every[name])
                if name == "claude":
                    bare(script, folder, alone)
    print(f"{rounds} attempts with {READS} calls each\n{machine()}\n")
    print(f"{'':24}{'wall s':>10}{'own s':>10}{'a call ms':>14}{'min':>8}")
    for name, figures in every.items():
        show(name, figures)
    show("claude, by itself", alone)
    added = statistics.median(every["claude"].gaps) - statistics.median(alone.gaps)
    print(f"\nadded to a call of Claude Code: {added * 1000:.1f} ms (median)")


if __name__ == "__main__":
    main()
