"""One more car of the merge train: merged, committed and compared by the engine, beside `git merge` in a worktree.

    python benchmarks/merging.py [rounds] [cars]

Budget for a car: under 2 ms of processor time, and at least 20 times (5,000 files) and 200 times (50,000 files) less
than `git merge`; all conflicts among 64 heads: under 20 ms. Then the growth with files, heads in flight and history.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from _project import ENVIRONMENT, git, machine
from worktrees.engine import MergeEngine
from worktrees.git import Repository
from worktrees.landing import Step, land, verify_landing
from worktrees.merge import Merged
from worktrees.overlaps import overlaps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

SIZES = (5_000, 50_000)
HEADS = (1, 4, 16, 64, 256)
HISTORIES = (100, 10_000, 100_000)
BEHIND = 19
"""Commits of the target that landed after the heads had begun."""
TEXT = "".join(f"a line of a file that is merged, number {number}\n" for number in range(24))
WHO = b"committer Ada <ada@example.org> %d +0000\n"
BEGAN = 1_700_000_000


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A repository with a target and heads in flight."""

    repository: Repository
    target: str
    heads: dict[str, tuple[str, str]]
    """Base and commit of each."""


@dataclass(frozen=True)
class Cost:
    """Of one series, for each thing that was done: milliseconds."""

    processor: float
    wall: float


# the repository


def lab(folder: Path, *, files: int, history: int = 100, heads: int = 64) -> Lab:
    """Make the repository in one go; heads edit 1 to 12 files and add one, every eighth edits the same line."""
    git(folder.parent, "init", "-qb", "main", str(folder))
    git(folder, "config", "gc.auto", "0")
    with tempfile.TemporaryFile() as stream:
        for line in _history(files, history):
            stream.write(line)
        for number in range(heads):
            stream.writelines(_head(number, files, history))
        stream.write(b"done\n")
        stream.seek(0)
        _import(folder, stream)
    repository = Repository.find(folder)
    repository.state.mkdir(exist_ok=True)
    refs = repository.refs("refs/heads")
    base = repository.commit(f"main~{min(BEHIND, history - 1)}") or ""
    found = {f"head{number}": (base, refs[f"refs/heads/head{number}"]) for number in range(heads)}
    return Lab(repository=repository, target=refs["refs/heads/main"], heads=found)


def _import(folder: Path, stream: IO[bytes]) -> None:
    command = ["git", "fast-import", "--quiet", "--done"]
    subprocess.run(command, cwd=folder, env=ENVIRONMENT, stdin=stream, check=True)


def _path(number: int) -> bytes:
    return b"part%d/group%d/file%d.txt" % (number // 2_500, number // 50 % 50, number)


def _history(files: int, commits: int) -> Iterator[bytes]:
    for number in range(commits):
        yield _commit(b"main", mark=number + 1, date=BEGAN + number)
        yield b"from :%d\n" % number if number else b""
        changed = range(files) if number == 0 else ((number * 7) % files,)
        yield from (
            _file(_path(file), TEXT.replace("number 3\n", f"number 3, {number}\n") + f"{file}\n") for file in changed
        )


def _head(number: int, files: int, history: int) -> Iterator[bytes]:
    yield _commit(b"head%d" % number, mark=history + number + 1, date=BEGAN + history + number)
    yield b"from :%d\n" % max(history - BEHIND, 1)
    for edit in range(number % 12 + 1):
        file = (number * 12 + edit) * 977 % files  # every file once, in no order
        yield _file(_path(file), TEXT.replace("number 20\n", f"number 20, {number}\n") + f"{file}\n")
    yield _file(b"part0/new%d.txt" % number, TEXT)
    if number % 8 == 0:
        yield _file(b"hot.txt", f"{number}\n")


def _commit(branch: bytes, *, mark: int, date: int) -> bytes:
    return b"commit refs/heads/%s\nmark :%d\n%sdata 2\nx\n" % (branch, mark, WHO % date)


def _file(path: bytes, text: str) -> bytes:
    data = text.encode()
    return b"M 100644 inline %s\ndata %d\n%s\n" % (path, len(data), data)


# measuring


def measured(action: Callable[[], object], *, count: int, engine: MergeEngine | None = None) -> Cost:
    """Take the time of an action that does `count` things, its own processes and those of the engine included."""
    before, began = _spent(engine), time.perf_counter()
    action()
    wall = time.perf_counter() - began
    return Cost((_spent(engine) - before) * 1000 / count, wall * 1000 / count)


def _spent(engine: MergeEngine | None) -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    living = sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in engine.pids) if engine else 0
    return time.process_time() + children.ru_utime + children.ru_stime + living / 1e9


def fitting(made: Lab) -> list[str]:
    """Choose the heads that can follow each other, in order."""
    with MergeEngine(made.repository) as engine:
        chain = _Chain(engine, made.target)
        return [commit for _, commit in made.heads.values() if chain.add(commit)]


class _Chain:
    """A train that is predicted car by car."""

    def __init__(self, engine: MergeEngine, head: str) -> None:
        self.engine, self.head = engine, head

    def add(self, car: str) -> bool:
        merged = self.engine.merge(self.head, car)
        if not isinstance(merged, Merged):
            return False
        self.head = self.engine.commit(merged.tree, parents=(self.head, car), message="rehearsal\n", rehearsal=True)
        return True


def predicted(made: Lab, cars: list[str], *, compared: bool = False) -> Cost:
    """Predict a train; the start of the engine's processes is in it."""

    def build() -> None:
        with MergeEngine(made.repository) as engine:
            chain = _Chain(engine, made.target)
            for car in cars:
                before = chain.head
                chain.add(car)
                if compared:
                    engine.changes(before, chain.head)

    return measured(build, count=len(cars))


def one_more(made: Lab, cars: list[str]) -> Cost:
    """Take the cost of the last car alone, by an engine that is warm."""
    with MergeEngine(made.repository) as engine:
        engine.merge(made.target, made.target)
        chain = _Chain(engine, made.target)
        for car in cars[:-1]:
            chain.add(car)
        return measured(lambda: chain.add(cars[-1]), count=1, engine=engine)


def merged_in_a_worktree(made: Lab, cars: list[str], place: Path) -> Cost:
    """Do the same by `git merge`, in a worktree that is there already."""
    git(place, "reset", "-q", "--hard", made.target)

    def build() -> None:
        for car in cars:
            git(place, "merge", "-q", "--no-ff", "--no-edit", car)

    return measured(build, count=len(cars))


def all_overlaps(made: Lab, count: int) -> tuple[Cost, Cost]:
    """Find the conflicts of all heads, by an engine that is warm; then those of one more."""
    heads = dict(list(made.heads.items())[: count + 1])
    last = list(heads)[-1]
    first = {name: head for name, head in heads.items() if name != last} or heads
    with MergeEngine(made.repository) as engine:
        engine.merge(made.target, made.target)
        engine.conflicts([(made.target, made.target)])
        made_by = {name: engine.changes(*head) for name, head in heads.items()}
        others = {name: made_by[name] for name in first}
        every = measured(lambda: overlaps(engine, others), count=1, engine=engine)
        return every, measured(lambda: overlaps(engine, made_by), count=1, engine=engine)


def landed(made: Lab, cars: list[str]) -> tuple[Cost, Cost]:
    """Land the predicted train, then look at it; the target is put back afterwards."""
    repository = made.repository
    steps, trees = [], []
    with MergeEngine(repository) as engine:
        chain = _Chain(engine, made.target)
        for car in cars:
            before = chain.head
            chain.add(car)
            steps.append(Step(old=before, new=chain.head, reason="land"))
            trees.append(engine.tree(chain.head))
    moved = measured(lambda: land(repository, "main", steps), count=len(cars))
    wrong: list[str] = []

    def look() -> None:
        wrong.append(verify_landing(repository, old=made.target, new=chain.head, trees=trees))

    looked = measured(look, count=len(cars))
    if wrong != [""]:
        raise SystemExit(f"the landing is not what was judged: {wrong}")
    repository.move("refs/heads/main", new=made.target, old=chain.head, reason="put back")
    return moved, looked


# the tables


def median(costs: list[Cost]) -> Cost:
    return Cost(statistics.median(one.processor for one in costs), statistics.median(one.wall for one in costs))


def show(name: str, costs: list[Cost], peer: list[Cost] | None = None) -> None:
    found = median(costs)
    ratio = f"{median(peer).processor / found.processor:9.0f}x" if peer else ""
    least, most = min(one.processor for one in costs), max(one.processor for one in costs)
    print(f"{name:48}{found.processor:10.2f}{least:9.2f}{most:9.2f}{found.wall:10.2f}{ratio}", flush=True)


def title(text: str) -> None:
    print(f"\n{text}\n{machine()}\n")
    print(f"{'':48}{'ms cpu':>10}{'min':>9}{'max':>9}{'ms wall':>10}{'peer':>10}", flush=True)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 32  # noqa: PLR2004 - the second argument
    with tempfile.TemporaryDirectory() as folder:
        for files in SIZES:
            against_git(Path(folder).resolve(), files, rounds=rounds, count=count)
        by_history(Path(folder).resolve(), rounds=rounds)


def against_git(folder: Path, files: int, *, rounds: int, count: int) -> None:
    """Show what a car costs in a repository of so many files, and how that grows with the heads in flight."""
    made = lab(folder / f"files{files}", files=files, heads=max(HEADS) + 40)
    every = fitting(made)
    cars, place = every[:count], folder / f"tree{files}"
    git(made.repository.root, "worktree", "add", "-q", "--detach", str(place), made.target)
    series: dict[str, list[Cost]] = {}

    def keep(name: str, cost: Cost) -> None:
        series.setdefault(name, []).append(cost)

    for _ in range(rounds):
        keep("git merge in a worktree", merged_in_a_worktree(made, cars, place))
        keep("a car, start of the engine included", predicted(made, cars))
        keep("one more car", one_more(made, cars))
        keep("a car and its change set", predicted(made, cars, compared=True))
        moved, looked = landed(made, cars)
        keep("the move of the target, a car", moved)
        keep("the look at what landed, a car", looked)
        for heads in HEADS:
            if heads <= len(every):
                keep(f"one more car behind {heads - 1}", one_more(made, every[:heads]))
            found, another = all_overlaps(made, heads)
            keep(f"all conflicts among {heads}", found)
            keep(f"one more head among {heads}", another)
    title(f"{files} files, trains of {len(cars)} cars, {rounds} rounds")
    for name, costs in series.items():
        show(name, costs, series["git merge in a worktree"] if "car" in name else None)


def by_history(folder: Path, *, rounds: int) -> None:
    labs = {number: lab(folder / f"history{number}", files=SIZES[0], history=number) for number in HISTORIES}
    cars = {number: fitting(made)[:32] for number, made in labs.items()}
    series: dict[str, list[Cost]] = {}
    for _ in range(rounds):
        for number, made in labs.items():
            series.setdefault(f"a car on {number} commits", []).append(predicted(made, cars[number]))
            moved, looked = landed(made, cars[number])
            series.setdefault(f"its landing on {number} commits", []).append(moved)
            series.setdefault(f"the look at it on {number} commits", []).append(looked)
    title(f"history, {SIZES[0]} files, {rounds} rounds")
    for name, costs in series.items():
        show(name, costs)


if __name__ == "__main__":
    main()
