"""How fast tickets land: 32 independent ones whose check sleeps one second, by our train and by what else there is.

    python benchmarks/train.py [rounds] [ways] [mergetrain]

Compared are an honest serial queue (merge in a worktree, check, fast-forward), `mergetrain` as its own template sets it up and with all
its parallel switches (`pip install mergetrain`; the path of its command is the last argument), and git's work without any check; with
all changes good, and with one red in eight. Budget: five times the serial queue, three times with red ones, ahead of `mergetrain`, never
red, and at most 1.3 times the least possible runs of the check: one for each commit that lands and one for each red change.
`ways` are some of `train`, `one`, `serial`, `peer`, `git`, with commas between them; the time is from the first boarding to the last landing.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from _project import ENVIRONMENT, git, machine
from _yard import repository, yard
from train_yard import QUIET  # on the path since `_yard` was imported

if TYPE_CHECKING:
    from collections.abc import Callable

TICKETS, FILES, SLOTS, SECONDS = 32, 200, 8, 1
RED = range(3, TICKETS, 8)
CHECK = """#!/bin/sh
test -n "$RUNS" && echo run >> "$RUNS"
sleep {seconds}
test ! -d red
"""
SERIAL = """#!/bin/sh
# The queue as a careful person would write it: nothing lands that was not checked on the very tree that lands.
cd ../queue
for branch in "$@"; do
    git checkout -q --detach main
    git merge -q --no-ff -m "land $branch" "$branch" || { git merge --abort; continue; }
    sh check.sh || continue
    git -C ../repo merge -q --ff-only "$(git rev-parse HEAD)"
done
"""
BARE = """#!/bin/sh
cd ../queue
for branch in "$@"; do
    git merge -q --no-ff -m "land $branch" "$branch"
done
git -C ../repo merge -q --ff-only "$(git rev-parse HEAD)"
"""
PEER = """version: 2
project:
  name: demo
git:
  remote: origin
  integration_branch: main
  push_refs: [main]
gates:
  - name: check
    run: sh check.sh
"""
REUSED = """deploy:
  reuse:
    enabled: true
"""


@dataclass(frozen=True)
class Round:
    """One way's day of work."""

    seconds: float
    landed: int
    runs: int
    commits: int
    """Commits of the target's first-parent line that landed."""


def main() -> None:
    rounds, named, _ = _arguments()
    chosen = named.split(",") if named else list(WAYS)
    print(
        f"{TICKETS} tickets, a check of {SECONDS} s, window and slots {SLOTS}, medians of {rounds} rounds\n{machine()}"
    )
    for title, red in (("all good", ()), ("one red in eight", tuple(RED))):
        found = {way: [WAYS[way](red) for _ in range(rounds)] for way in chosen if way != "peer" or _mergetrain()}
        _print(title, found, len(red))


def _arguments() -> tuple[int, str, str]:
    given = sys.argv[1:]
    rounds, ways, mergetrain = (*given, *("5", "", "mergetrain")[len(given) :])
    return int(rounds), ways, mergetrain


def _print(title: str, found: dict[str, list[Round]], red: int) -> None:
    print(f"\n{title}\n\n{'':34}{'s':>8}{'landed/min':>12}{'runs':>6}{'least':>7}{'ratio':>7}{'serial':>8}")
    serial = statistics.median(_rate(one) for one in found["serial"]) if "serial" in found else None
    for way, rounds in found.items():
        middle = sorted(rounds, key=_rate)[len(rounds) // 2]
        if way != "git" and any(one.landed != TICKETS - red for one in rounds):
            raise SystemExit(f"{NAMES[way]}: not what is good landed, and only that: {rounds}")
        least = middle.commits + red
        times = f"{_rate(middle) / serial:>8.1f}" if serial else ""
        economy = f"{least:>7}{middle.runs / least:>7.2f}" if way in {"train", "one", "serial"} else f"{'':14}"
        runs = f"{middle.runs or '':>6}{economy}"
        print(f"{NAMES[way]:34}{middle.seconds:>8.1f}{_rate(middle) * 60:>12.0f}{runs}{times}")


def _rate(one: Round) -> float:
    return one.landed / one.seconds


# ours


def _train(red: tuple[int, ...], more: str) -> Round:
    runs = f'[[checks]]\nname = "slow"\nrun = ["sh", "-c", "sleep {SECONDS}; test ! -d red"]\n'
    policy = f"{QUIET}{runs}[train]\nslots = {SLOTS}\nwindow = {SLOTS}\n{more}"
    with yard(files=FILES, changes=TICKETS, policy=policy, red=red) as (made, tickets):
        before = made.workspace.head()
        began = time.perf_counter()
        made.run(*tickets, seconds=300)
        seconds = time.perf_counter() - began
        landed = [ticket for step in made.landed(before) for ticket in step]
        made.assert_never_red(before)
        if made.demo.git("ls-tree", "--name-only", "main", "red"):
            raise SystemExit("the target is red")
        return Round(seconds, len(landed), _runs(made.workspace.state), len(made.landed(before)))


def _runs(state: Path) -> int:
    """Count the receipts of the check; each run has a log of its own."""
    return sum(1 for _ in (state / "logs").rglob("*-sh.log"))


# the others


def _serial(red: tuple[int, ...]) -> Round:
    return _scripted(SERIAL, red)


def _bare(red: tuple[int, ...]) -> Round:
    return _scripted(BARE, red)


def _scripted(script: str, red: tuple[int, ...]) -> Round:
    with tempfile.TemporaryDirectory() as place:
        root, branches = _made(Path(place).resolve(), red)
        git(root, "worktree", "add", "-q", "--detach", str(root.parent / "queue"), "main")
        return _timed(root, lambda: _sh(root, script, branches))


def _sh(root: Path, script: str, branches: list[str]) -> None:
    subprocess.run(
        ["sh", "-c", script, "sh", *branches], cwd=root, env=_environment(root), check=True, capture_output=True
    )


def _peer(red: tuple[int, ...]) -> Round:
    """Let `mergetrain` land them on a bare repository beside, which is the target that it knows."""
    with tempfile.TemporaryDirectory() as place:
        root, branches = _made(
            Path(place).resolve(), red, **{".mergetrain.yaml": PEER + REUSED, ".gitignore": ".mergetrain/\n"}
        )
        git(root.parent, "init", "-q", "--bare", "-b", "main", "origin.git")
        git(root, "remote", "add", "origin", str(root.parent / "origin.git"))
        git(root, "push", "-q", "origin", "main")
        git(root, "fetch", "-q", "origin")
        for branch in branches:
            tree = str(root.parent / "agents" / branch)
            git(root, "worktree", "add", "-q", tree, branch)
            command = [_mergetrain(), "enqueue", "--task", branch, "--branch", branch, "--worktree", tree, "--auto"]
            subprocess.run(command, cwd=root, env=_environment(root), check=True, capture_output=True)

        def land() -> None:
            command = [_mergetrain(), "daemon", "--once"]
            subprocess.run(command, cwd=root, env=_environment(root), check=False, capture_output=True)
            git(root, "pull", "-q", "--ff-only", "origin", "main")

        return _timed(root, land)


def _made(folder: Path, red: tuple[int, ...], **more: str) -> tuple[Path, list[str]]:
    root = folder / "repo"
    extra = {"check.sh": CHECK.format(seconds=SECONDS), **more}
    made = repository(root, files=FILES, changes=TICKETS, extra=extra, red=red)
    return root, [change.branch for change in made]


def _timed(root: Path, action: Callable[[], None]) -> Round:
    before, began = _count(root, "--merges"), time.perf_counter()
    action()
    seconds = time.perf_counter() - began
    log = root.parent / "runs"
    runs = len(log.read_text().splitlines()) if log.exists() else 0
    landed = sum(_landed(root, f"change{number}") for number in range(TICKETS))
    return Round(seconds, landed, runs, _count(root, "--merges") - before)


def _landed(root: Path, branch: str) -> bool:
    return subprocess.run(["git", "merge-base", "--is-ancestor", branch, "main"], cwd=root, check=False).returncode == 0


def _count(root: Path, what: str) -> int:
    command = ["git", "rev-list", "--count", "--first-parent", what, "main"]
    return int(subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout)


def _environment(root: Path) -> dict[str, str]:
    return {**ENVIRONMENT, "RUNS": str(root.parent / "runs")}


def _mergetrain() -> str:
    _, _, named = _arguments()
    return shutil.which(named) or (named if os.access(named, os.X_OK) else "")


WAYS: dict[str, Callable[[tuple[int, ...]], Round]] = {
    "serial": _serial,
    "train": lambda red: _train(red, ""),
    "one": lambda red: _train(red, "batch = 1\n"),
    "peer": _peer,
    "git": _bare,
}
NAMES = {
    "serial": "serial queue",
    "train": "train",
    "one": "train, one ticket a run",
    "peer": "mergetrain 3.7.1",
    "git": "git alone, no check",
}


if __name__ == "__main__":
    main()
