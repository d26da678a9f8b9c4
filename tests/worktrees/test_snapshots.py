"""Snapshots: written once, kept while something stands on them, and the old ones cleared away."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from worktrees.leases import Pool
from worktrees.snapshots import FOLDER, KEPT, prune, snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worktrees.conftest import Workbench

LONG_AGO_S = 1000.0


@pytest.fixture
def worktrees(bench: Workbench) -> Path:
    made = bench.root.with_name("wt").resolve()
    made.mkdir()
    return made


def aged(place: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(place, (then, then))


def names(worktrees: Path) -> set[str]:
    return {place.name for place in (worktrees / FOLDER).iterdir() if place.is_dir()}


@pytest.mark.usefixtures("layers")
def test_old_ones_go_and_those_in_use_stay(bench: Workbench, worktrees: Path) -> None:
    commits = [bench.commit({"a.txt": f"{number}\n"}) for number in range(KEPT + 3)]
    trees = [bench.repository.tree(commit) for commit in commits]
    lease = Pool(repository=bench.repository, worktrees=worktrees, layered=True).take(trees[0])
    for number, tree in enumerate(trees):
        aged(snapshot(bench.repository, tree, worktrees), LONG_AGO_S - number)
    prune(bench.repository, worktrees)
    assert names(worktrees) == {trees[0], *trees[-KEPT:]}
    lease.give_back()
    prune(bench.repository, worktrees)
    assert names(worktrees) == set(trees[-KEPT:])


def test_one_that_was_used_just_now_stays(bench: Workbench, worktrees: Path) -> None:
    trees = [bench.repository.tree(bench.commit({"a.txt": f"{number}\n"})) for number in range(KEPT + 2)]
    for tree in trees:
        snapshot(bench.repository, tree, worktrees)
    assert names(worktrees) == set(trees)


def test_what_a_dead_process_was_making_goes_and_a_living_ones_stays(bench: Workbench, worktrees: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    tree = bench.repository.tree(bench.git("rev-parse", "HEAD"))
    snapshot(bench.repository, tree, worktrees)
    for pid in (ended.pid, os.getpid()):
        (worktrees / FOLDER / f".{tree}.{pid}.1").mkdir()
    prune(bench.repository, worktrees)
    assert names(worktrees) == {tree, f".{tree}.{os.getpid()}.1"}
