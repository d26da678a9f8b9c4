"""Start of a command under each level of isolation over a large tree, beside the bare command and `git worktree add`.

    python benchmarks/sandbox_start.py [files] [rounds]

Budget: over 30,000 files at most twice the bare command plus 60 ms, and under a tenth of `git worktree add` there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from _project import git, table, timed
from worktrees.checkout import remove
from worktrees.confinement import Confinement, Level
from worktrees.git import Repository
from worktrees.layer import Layer
from worktrees.levels import trouble
from worktrees.process import Bounds, Launch, run
from worktrees.snapshots import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath)}
PER_FOLDER = 100
WORKTREE = "git worktree add"


def main() -> None:
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 30_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 11  # noqa: PLR2004 - the second argument
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        root = folder / "repo"
        _make(root, files)
        repository = Repository.find(root)
        repository.state.mkdir(exist_ok=True)
        below = snapshot(repository, repository.tree(repository.commit("refs/heads/main") or ""), folder / "wt")
        ways = _ways(root, folder, below)
        times: dict[str, list[float]] = {name: [] for name in ways}
        os.sync()
        for name, start in ways.items():
            if name != WORKTREE:
                start()  # the first one fills caches
        for _ in range(rounds):
            for name, start in ways.items():
                if name != WORKTREE:
                    times[name].append(timed(start))
        # by itself: the files that it writes keep the disk busy for whoever comes next
        times[WORKTREE] = [timed(ways[WORKTREE]) for _ in range(rounds)]
        bare = sorted(times["the bare command"])[rounds // 2]
        table(f"start over {files} files", [(name, values, bare) for name, values in times.items()])


def _make(root: Path, files: int) -> None:
    for number in range(files):
        file = root / f"part{number // PER_FOLDER}" / f"file{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{number}\n", encoding="utf-8")
    git(root, "init", "-qb", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "many files")


def _ways(root: Path, folder: Path, below: Path) -> dict[str, Callable[[], object]]:
    numbers = count()

    def layered() -> None:
        place = folder / f"layer{next(numbers)}"
        layer = Layer(lower=below, upper=place / "upper", work=place / "work", at=place / "at")
        layer.make()
        layer.at.mkdir()
        _start(Confinement(level="bubblewrap", write=(), layers=(layer,)), layer.at)
        remove(place)

    def worktree() -> None:
        git(root, "worktree", "add", "--detach", str(folder / f"tree{next(numbers)}"))

    ways: dict[str, Callable[[], object]] = {
        "the bare command": partial(subprocess.run, ["/bin/true"], check=True),
        "no isolation": partial(_start, Confinement(level="none", write=()), below),
    }
    levels: dict[Level, Callable[[], object]] = {
        "landlock": partial(_start, Confinement(level="landlock", write=(), read=(below,)), below),
        "bubblewrap": layered,
    }
    ways |= {
        f"{level}, its layer made and removed" if level == "bubblewrap" else f"{level}, on a tree that is there": start
        for level, start in levels.items()
        if not trouble(level)
    }
    return {**ways, WORKTREE: worktree}


def _start(confinement: Confinement, cwd: Path) -> None:
    launch = Launch(command=["/bin/true"], cwd=cwd, env=ENVIRONMENT, confinement=confinement)
    receipt = run(launch, log=cwd.parent / "log", bounds=Bounds(timeout_s=60))
    if receipt.exit:
        raise SystemExit(f"the command did not run: {receipt.reason or receipt.exit}")


if __name__ == "__main__":
    main()
