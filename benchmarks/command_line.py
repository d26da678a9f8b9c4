"""Wall time of `orchestrate --help` and `orchestrate status`, beside `python -c pass` in the same run.

    python benchmarks/command_line.py [rounds]

Budget on an idle machine: --help under 0.15 s, status under 0.4 s.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from _project import ENVIRONMENT, ROOT, make, orchestrate, table, timed


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "repo"
        make(root, tickets=8)
        orchestrate(root, "feature", "--plan", "plan.json")
        program = Path(sys.executable).parent / "orchestrate"
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "orchestrate --help": [str(program), "--help"],
            "orchestrate status": [str(program), "status"],
            "scripts/orchestrate --help": [str(ROOT / "scripts" / "orchestrate"), "--help"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                times[name].append(
                    timed(partial(subprocess.run, command, cwd=root, env=ENVIRONMENT, check=True, capture_output=True))
                )
    peer = statistics.median(times["python -c pass"])
    table("command line", [(name, values, peer) for name, values in times.items()])


if __name__ == "__main__":
    main()
