from __future__ import annotations

import random
import shutil
from itertools import combinations
from typing import TYPE_CHECKING

import pytest

from worktrees.engine import MergeEngine
from worktrees.merge import Conflict, merge
from worktrees.overlaps import overlaps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.worktrees.conftest import Workbench
    from worktrees.footprints import Pair

LINES = [f"line {number}" for number in range(12)]
FOLDERS = ("", "d/", "d/e/", "g/", "g/h/i/")


def text(name: str) -> str:
    return "\n".join([name, *LINES, name, ""])


def branch(bench: Workbench, base: str, changes: dict[str, str | None]) -> str:
    """A commit on the base; None removes a file, or a folder with all that is in it."""
    bench.git("checkout", "-q", "-f", "--detach", base)
    bench.git("clean", "-fdq", "-e", ".orchestrate")
    for path, content in changes.items():
        place = bench.root / path
        for above in place.relative_to(bench.root).parents[:-1]:
            (bench.root / above).unlink() if (bench.root / above).is_file() else None
        if place.is_dir():
            shutil.rmtree(place)
        if content is None:
            place.unlink(missing_ok=True)
        else:
            bench.write(path, content)
    return bench.commit()


@pytest.fixture
def base(bench: Workbench) -> str:
    return bench.commit({f"{folder}f{number}": text(f"{folder}{number}") for folder in FOLDERS for number in range(2)})


@pytest.fixture
def engine(bench: Workbench) -> Iterator[MergeEngine]:
    with MergeEngine(bench.repository) as made:
        yield made


def found(engine: MergeEngine, heads: dict[str, Pair]) -> list[Pair]:
    return overlaps(engine, {name: engine.changes(*head) for name, head in heads.items()})


def truth(bench: Workbench, heads: dict[str, Pair]) -> list[Pair]:
    return [
        (one, other)
        for one, other in combinations(heads, 2)
        if isinstance(merge(bench.repository, heads[one][1], heads[other][1]), Conflict)
    ]


def moved(folder: str, target: str) -> dict[str, str | None]:
    gone: dict[str, str | None] = {f"{folder}/f{number}": None for number in range(2)}
    return {**gone, **{f"{target}/f{number}": text(f"{folder}/{number}") for number in range(2)}}


CASES: dict[str, tuple[dict[str, str | None], dict[str, str | None]]] = {
    "one line": ({"d/f0": "ours\n"}, {"d/f0": "theirs\n"}),
    "changed and removed": ({"d/f0": text("d/0") + "more\n"}, {"d/f0": None}),
    "a file where the other has a folder": ({"new": "x\n"}, {"new/inner": "x\n"}),
    "a file where the other has a folder far above": ({"new": "x\n"}, {"new/a/b/c": "x\n"}),
    "a new file in a folder that moved": (moved("d/e", "k"), {"d/e/new": "x\n"}),
    "a file moved into a folder that moved": (moved("d/e", "k"), {"f0": None, "d/e/f9": text("0")}),
    "two moves of one folder": (moved("d/e", "k"), moved("d/e", "l")),
    "two files moved to one place": (
        {"f0": None, "z": text("0")},
        {"f1": None, "z": text("1")},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_conflict_is_found_on_either_side(name: str, bench: Workbench, base: str, engine: MergeEngine) -> None:
    one, other = (branch(bench, base, side) for side in CASES[name])
    for heads in ({"a": (base, one), "b": (base, other)}, {"a": (base, other), "b": (base, one)}):
        assert found(engine, heads) == [("a", "b")] == truth(bench, heads)


def test_changes_of_one_file_that_merge_are_no_conflict(bench: Workbench, base: str, engine: MergeEngine) -> None:
    one = branch(bench, base, {"d/f0": "first\n" + text("d/0")})
    other = branch(bench, base, {"d/f0": text("d/0") + "last\n"})
    assert found(engine, {"a": (base, one), "b": (base, other)}) == []


def test_what_shares_no_path_is_not_merged(bench: Workbench, base: str, engine: MergeEngine) -> None:
    heads = {f"h{number}": (base, branch(bench, base, {f"n{number}": "x\n"})) for number in range(4)}
    assert found(engine, heads) == []
    assert len(engine.pids) == 2  # commits were read and trees compared, nothing was merged


def test_no_head_and_one_head(base: str, engine: MergeEngine) -> None:
    assert found(engine, {}) == []
    assert found(engine, {"a": (base, base)}) == []


# against all pairs


def scattered(bench: Workbench, base: str, dice: random.Random) -> str:
    """A commit that edits, adds, removes and renames files and folders, by chance."""
    changes: dict[str, str | None] = {}
    for _ in range(dice.randint(1, 3)):
        folder, number = dice.choice(FOLDERS), dice.randrange(2)
        path, content = f"{folder}f{number}", text(f"{folder}{number}")
        kind = dice.randrange(7)
        if kind <= 1:
            line = dice.choice(LINES)
            changes[path] = content.replace(line, f"{line} {dice.randrange(99)}")
        elif kind == 2:
            changes[path] = None
        elif kind == 3:
            changes |= {path: None, f"{dice.choice(FOLDERS)}r{dice.randrange(3)}": content}
        elif kind == 4:
            changes[f"{dice.choice(FOLDERS)}n{dice.randrange(4)}"] = f"{dice.randrange(3)}\n"
        elif kind == 5:
            changes[f"n{dice.randrange(4)}/inner"] = f"{dice.randrange(3)}\n"
        elif folder:
            target = dice.choice(("k", "d/e", "l/m"))
            for one in range(2):
                changes |= {f"{folder}f{one}": None, f"{target}/f{one}": text(f"{folder}{one}")}
    return branch(bench, base, fitting(changes))


def fitting(changes: dict[str, str | None]) -> dict[str, str | None]:
    """Leave out what would be a file and a folder at once; removals come first."""
    kept = {
        path: content for path, content in changes.items() if not any(other.startswith(f"{path}/") for other in changes)
    }
    return dict(sorted(kept.items(), key=lambda item: item[1] is not None))


def missed(bench: Workbench, engine: MergeEngine, *, seed: int, heads: int) -> tuple[int, list[Pair]]:
    """Count the conflicts among heads on a target that moves, and give those that were not found."""
    dice = random.Random(seed)
    bench.git("checkout", "-q", "-f", "--detach", bench.git("rev-parse", "main"))
    bases = [bench.git("rev-parse", "HEAD")]
    for _ in range(3):
        bases.append(scattered(bench, bases[-1], dice))
    made = {f"h{number}": (base := dice.choice(bases), scattered(bench, base, dice)) for number in range(heads)}
    expected = truth(bench, made)
    told = found(engine, made)
    assert set(told) <= set(expected)
    return len(expected), [pair for pair in expected if pair not in told]


def test_no_conflict_is_missed(bench: Workbench, base: str, engine: MergeEngine) -> None:
    assert base
    count, lost = missed(bench, engine, seed=1, heads=7)
    assert count >= 3
    assert lost == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 12))
def test_no_conflict_is_missed_among_many(seed: int, bench: Workbench, base: str, engine: MergeEngine) -> None:
    assert base
    count, lost = missed(bench, engine, seed=seed, heads=14)
    assert count > 0
    assert lost == []


def test_bases_that_are_not_on_one_line_are_all_merged(bench: Workbench, base: str, engine: MergeEngine) -> None:
    left = branch(bench, base, {"f0": "left\n"})
    right = branch(bench, base, {"f0": "right\n"})
    heads = {"a": (left, branch(bench, left, {"x": "x\n"})), "b": (right, branch(bench, right, {"y": "y\n"}))}
    assert found(engine, heads) == [("a", "b")] == truth(bench, heads)
