"""No gate refuses an honest change: every static gate of the catalogue on every one of them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from gates.catalogue import BUILT_IN
from gates.example import case_of, commit_all, complaint
from gates.workshop import Workshop
from honest import HONEST
from worktrees.git import Repository
from worktrees.levels import available

if TYPE_CHECKING:
    from pathlib import Path

RUNNING = frozenset({"origin", "checks", "tests", "acceptance", "smoke"})
"""Gates that start commands of the tree: what they find is the tree's doing, and has tests of its own."""
STATIC = [gate for name, gate in BUILT_IN.items() if name not in RUNNING]
LEAST = 60


class Forgetful:
    """Keeps nothing: every case is judged anew."""

    def get(self, key: str) -> None:
        pass

    def put(self, key: str, value: dict[str, object]) -> None:
        pass


@dataclass(frozen=True)
class Stage:
    repository: Repository
    place: Path
    commits: list[tuple[str, str]]

    def workshop(self, base: str) -> Workshop:
        return Workshop(
            repository=self.repository,
            base=base,
            folder=self.place / "leases",
            logs=self.place / "logs",
            level=available(),
        )


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """One repository that holds base and change of every case."""
    place = tmp_path_factory.mktemp("honest")
    root = place / "repository"
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main", str(root)], check=True)
    repository = Repository.find(root)
    repository.state.mkdir(exist_ok=True)
    return Stage(repository, place, commit_all(repository, HONEST))


@pytest.mark.parametrize("index", range(len(HONEST)), ids=[example.name for example in HONEST])
def test_no_gate_refuses_an_honest_change(index: int, stage: Stage) -> None:
    example = HONEST[index]
    case = case_of(
        example, stage.commits[index], repository=stage.repository, workshop=stage.workshop, store=Forgetful()
    )
    try:
        assert [said for gate in STATIC if (said := complaint(gate, case, example))] == []
    finally:
        case.workshop.close()


def test_the_changes_are_many_and_different() -> None:
    assert len({example.name for example in HONEST}) == len(HONEST) >= LEAST
    assert not any(example.must_refuse for example in HONEST)
