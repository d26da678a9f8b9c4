"""A directory at a new exact tree, littered by a test and returned clean: a lease of the pool beside `git worktree`.

    python benchmarks/leases.py [rounds]

Budget: at least 20 times (5,000 files) and 60 times (50,000 files) less processor time than `git worktree add`, the same
litter, and `git worktree remove --force`. In each round what a process sees in the lease is hashed again, file by file.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from merging import SIZES, Lab, lab

from _project import git, machine
from worktrees import files, overlay
from worktrees.leases import Pool
from worktrees.levels import layer_trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from worktrees.leases import LeasedTree

ROUNDS = 7
LITTER = 6
"""Files that a test leaves behind; it also edits one file of the tree and deletes another."""
PEER, LAYERED, PLAIN = "git worktree add, remove", "lease: layer", "lease: directory that is kept"


@dataclass(frozen=True)
class Spent:
    """Milliseconds of one cycle."""

    processor: float
    wall: float


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    print(f"leases, {rounds} interleaved rounds, medians\n{machine()}")
    for size in SIZES:
        with tempfile.TemporaryDirectory() as place:
            _compare(Path(place).resolve(), size, rounds)


def _compare(folder: Path, size: int, rounds: int) -> None:
    made = lab(folder / "repo", files=size, heads=rounds + 1)
    known = _known(made)
    ways: dict[str, Callable[[str, str], None]] = {PEER: partial(_peer, made, known)}
    pools = {
        name: Pool(repository=made.repository, worktrees=folder / name[7:], layered=name == LAYERED)
        for name in _kinds(folder)
    }
    for name, pool in pools.items():
        pool.worktrees.mkdir()
        ways[name] = partial(_cycle, pool, known)
    spent: dict[str, list[Spent]] = {name: [] for name in ways}
    for number, (_, commit) in enumerate(made.heads.values()):
        made.repository.tree(commit)  # the train knows the tree of what it merged
        for name, way in ways.items():
            cost = _timed(partial(way, commit, f"tree{number}"))
            if number:  # the first round writes what is kept
                spent[name].append(cost)
        for pool in pools.values():
            _require_exact(pool, made, commit)
    _print(size, spent)


def _kinds(folder: Path) -> list[str]:
    why = layer_trouble(folder)
    if why:
        print(f"no layers here: {why}")
    return [PLAIN] if why else [LAYERED, PLAIN]


def _peer(made: Lab, known: tuple[str, str], commit: str, name: str) -> None:
    tree = made.repository.root.with_name(name)
    git(made.repository.root, "worktree", "add", "--detach", str(tree), commit)
    _child(lambda: _litter(tree, known))
    git(made.repository.root, "worktree", "remove", "--force", str(tree))


def _cycle(pool: Pool, known: tuple[str, str], commit: str, _name: str) -> None:
    lease = pool.take(pool.repository.tree(commit))
    lease.held.seal()
    _child(lambda: _litter(_entered(lease), known))
    if len(lease.held.written()) < LITTER:
        raise SystemExit("what the test wrote was not seen")
    lease.give_back()


def _entered(lease: LeasedTree) -> Path:
    """See the tree as the commands of a gate do."""
    if layer := lease.held.layer:
        places = (layer.lower, layer.upper, layer.work, layer.at, *layer.between)
        overlay.enter([[str(place) for place in places]])
    return lease.folder


def _known(made: Lab) -> tuple[str, str]:
    """Name a file for the test to edit, and one to delete: heads edit files and add some, but delete none."""
    paths = made.repository.entries(made.repository.tree(made.target))
    return paths[0].path, paths[-1].path


def _litter(tree: Path, known: tuple[str, str]) -> None:
    edited, deleted = known
    (tree / edited).write_text("edited\n")
    (tree / deleted).unlink()
    (tree / "litter").mkdir()
    for number in range(LITTER):
        (tree / "litter" / f"{number}.txt").write_text("x" * 100)


def _require_exact(pool: Pool, made: Lab, commit: str) -> None:
    tree = made.repository.tree(commit)
    expected = {entry.path: (entry.mode, entry.oid) for entry in made.repository.entries(tree)}
    lease = pool.take(tree)

    def compare() -> None:
        folder = _entered(lease)
        if {one.path: (one.mode, files.blob_id(folder, one, "sha1")) for one in files.walk(folder)} != expected:
            raise SystemExit("the lease is not exact")

    _child(compare)
    lease.give_back()


def _child(act: Callable[[], None]) -> None:
    """Do it in a process of its own; its time counts as ours."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    if os.waitpid(pid, 0)[1]:
        raise SystemExit("a process of the benchmark failed")


def _timed(act: Callable[[], None]) -> Spent:
    before, begun = _processor(), time.perf_counter()
    act()
    wall = time.perf_counter() - begun
    return Spent((_processor() - before) * 1000, wall * 1000)


def _processor() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    living = [one.cpu_times() for one in psutil.Process().children()]  # git, which stays
    return sum(one.ru_utime + one.ru_stime for one in used) + sum(one.user + one.system for one in living)


def _print(size: int, spent: dict[str, list[Spent]]) -> None:
    print(f"\n{size} files{'':32}{'processor ms':>14}{'wall ms':>10}{'less by':>10}{'wall':>8}")
    peer = [statistics.median(values) for values in zip(*map(_pair, spent[PEER]), strict=True)]
    for name, costs in spent.items():
        processor, wall = (statistics.median(values) for values in zip(*map(_pair, costs), strict=True))
        print(f"{name:44}{processor:>10.1f}{wall:>10.1f}{peer[0] / processor:>9.1f}x{peer[1] / wall:>7.1f}x")


def _pair(spent: Spent) -> tuple[float, float]:
    return spent.processor, spent.wall


if __name__ == "__main__":
    main()
