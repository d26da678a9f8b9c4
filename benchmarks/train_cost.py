"""What the merge train itself costs for each ticket that lands: gates that run no command, beside `git merge` in a worktree.

    python benchmarks/train_cost.py [rounds] [tickets]

Budget: under 60 ms of processor time for a landed ticket in a repository of 5,000 files and under 150 ms in one of 50,000;
under 300 MiB of memory with 64 tickets in flight. Each measurement is a process of its own. Before it, one ticket lands that is
not counted: it starts the processes of git and writes the snapshot that leases stand on. The processes end within the measurement.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from _project import ENVIRONMENT, ROOT, git, machine
from _yard import repository, timed, yard
from train_yard import QUIET  # on the path since `_yard` was imported

SIZES = (5_000, 50_000)
IN_FLIGHT = (1, 4, 16, 64, 256)
TICKETS = 32
MIB = 1 << 20
ONE_BY_ONE = f"{QUIET}[train]\nbatch = 1\n"
POLICIES = {"batches": QUIET, "one by one": ONE_BY_ONE}


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        size, count, policy = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
        print(json.dumps(_peer(size, count) if policy == "peer" else _train(size, count, policy)))
        return
    given = sys.argv[1:]
    rounds, tickets = (int(word) for word in (*given, *("3", str(TICKETS))[len(given) :]))
    print(f"milliseconds for each of {tickets} landed tickets, medians of {rounds} rounds\n{machine()}\n")
    for files in SIZES:
        _table(files, tickets, rounds)
    print(f"\n{SIZES[0]:,} files, growth with tickets in flight\n\n{'':24}{'processor':>10}{'wall':>8}{'MiB':>8}")
    for number in IN_FLIGHT:
        cost = _in_process(SIZES[0], number, "batches")
        print(f"{number:<24}{cost['processor']:>10.0f}{cost['wall']:>8.0f}{cost['memory'] / MIB:>8.0f}")


def _table(files: int, tickets: int, rounds: int) -> None:
    print(f"{files:,} files\n\n{'':24}{'processor':>10}{'wall':>8}{'MiB':>8}{'ratio':>8}")
    found = {name: [_in_process(files, tickets, name) for _ in range(rounds)] for name in ("peer", *POLICIES)}
    peer = statistics.median(one["processor"] for one in found["peer"])
    for name, costs in found.items():
        middle = {key: statistics.median(one[key] for one in costs) for key in ("processor", "wall", "memory")}
        shown = "git merge in a worktree" if name == "peer" else name
        memory = f"{middle['memory'] / MIB:>8.0f}" if middle["memory"] else f"{'':8}"
        print(f"{shown:24}{middle['processor']:>10.0f}{middle['wall']:>8.0f}{memory}{peer / middle['processor']:>8.2f}")
    print()


def _in_process(files: int, tickets: int, policy: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", str(files), str(tickets), policy]
    env = {**ENVIRONMENT, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests/support'}"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return dict(json.loads(done.stdout))


def _train(files: int, tickets: int, policy: str) -> dict[str, float]:
    from worktrees.deltas import Trees

    with yard(files=files, changes=tickets + 1, policy=POLICIES[policy]) as (made, (first, *others)):
        made.run(first, seconds=120)
        Trees.close_all()
        before, peak = made.workspace.head(), _Peak()

        def land() -> None:
            made.run(*others, seconds=600)
            Trees.close_all()

        spent = timed(land)
        landed = [ticket for step in made.landed(before) for ticket in step]
        if sorted(landed) != sorted(others):
            raise SystemExit(f"not all landed, each once: {made.fates}")
        made.assert_never_red(before)
        return _cost(spent.processor, spent.wall, tickets, peak.stop())


class _Peak:
    """Watches how much memory this process takes."""

    def __init__(self) -> None:
        self._ended, self._most = threading.Event(), 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        import psutil

        process = psutil.Process()
        while not self._ended.wait(0.2):
            self._most = max(self._most, process.memory_info().rss)

    def stop(self) -> int:
        self._ended.set()
        self._thread.join()
        return self._most


def _peer(files: int, tickets: int) -> dict[str, float]:
    """Merge each branch in a worktree that is kept, and let the branch that is checked out follow."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place).resolve() / "repo"
        made = repository(root, files=files, changes=tickets + 1, extra={})
        queue = root.parent / "queue"
        git(root, "worktree", "add", "-q", "--detach", str(queue), "main")

        def land(branch: str) -> None:
            git(queue, "merge", "-q", "--no-ff", "-m", f"land {branch}", branch)
            head = subprocess.run(
                ["git", "rev-parse", "HEAD"], cwd=queue, env=ENVIRONMENT, capture_output=True, check=True
            )
            git(root, "merge", "-q", "--ff-only", head.stdout.decode().strip())

        def land_all() -> None:
            for change in made[1:]:
                land(change.branch)

        land(made[0].branch)
        spent = timed(land_all)
        return _cost(spent.processor, spent.wall, tickets, 0)


def _cost(processor: float, wall: float, tickets: int, memory: int) -> dict[str, float]:
    return {"processor": processor * 1000 / tickets, "wall": wall * 1000 / tickets, "memory": memory}


if __name__ == "__main__":
    main()
