"""What the harness itself costs: tickets whose agent and gates take no time, beside a bare shell script's git work.

    python benchmarks/harness_cost.py [rounds]

Budget: one ticket at most 1.5 s, eight independent ones at most 5 s in all, from the start of the process to its end.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from _project import ENVIRONMENT, make, orchestrate, table, timed

SHELL = """set -e
for n in $(seq 0 {last}); do
    git worktree add -q --no-track -b ticket-$n ../wt-$n main
    echo done > ../wt-$n/out$n.txt
    git -C ../wt-$n add -A
    git -C ../wt-$n commit -qm "ticket $n"
done
for n in $(seq 0 {last}); do
    git merge -q --no-ff -m "land $n" ticket-$n
    git worktree remove --force ../wt-$n
done
"""


def harness(tickets: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "repo"
        make(root, tickets=tickets)
        return timed(lambda: orchestrate(root, "feature", "--plan", "plan.json"))


def shell(tickets: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "repo"
        make(root, tickets=tickets)
        script = SHELL.format(last=tickets - 1)
        return timed(
            lambda: subprocess.run(["sh", "-c", script], cwd=root, env=ENVIRONMENT, check=True, capture_output=True)
        )


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for tickets in (1, 8):
        pairs = [(harness(tickets), shell(tickets)) for _ in range(rounds)]
        ours, bare = [one for one, _ in pairs], [other for _, other in pairs]
        peer = statistics.median(bare)
        table(
            f"{tickets} ticket{'s' * (tickets > 1)}",
            [("orchestrate feature", ours, peer), ("bare shell script", bare, peer)],
        )


if __name__ == "__main__":
    main()
