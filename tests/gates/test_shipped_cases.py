"""Every gate's shipped cases, each as a test of its own; `orchestrate selftest` plays the same ones."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from gates.catalogue import BUILT_IN
from gates.example import case_of, commit_all, complaint, examples
from gates.workshop import Workshop
from worktrees.git import Repository
from worktrees.levels import available

if TYPE_CHECKING:
    from pathlib import Path

ALL = [(name, example) for name in BUILT_IN for example in examples(name)]
LEAST_REFUSED, LEAST_ALLOWED = 5, 3


class Forgetful:
    """Keeps nothing: every case is judged anew."""

    def get(self, key: str) -> None:
        pass

    def put(self, key: str, value: dict[str, object]) -> None:
        pass


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """One repository that holds base and change of every case."""
    place = tmp_path_factory.mktemp("cases")
    root = place / "repository"
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main", str(root)], check=True)
    repository = Repository.find(root)
    repository.state.mkdir(exist_ok=True)
    return Stage(repository, place, commit_all(repository, [example for _, example in ALL]))


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


QUICK = {"a test removed", "a test added", "reports forged by the product"}
"""Of the gate `tests`, whose every case runs pytest several times; CI plays all of them."""
EACH = [
    pytest.param(
        index,
        id=f"{gate}: {example.name}",
        marks=pytest.mark.long if gate == "tests" and example.name not in QUICK else [],
    )
    for index, (gate, example) in enumerate(ALL)
]


@pytest.mark.parametrize("index", EACH)
def test_shipped_case(index: int, stage: Stage) -> None:
    gate, example = ALL[index]
    case = case_of(
        example, stage.commits[index], repository=stage.repository, workshop=stage.workshop, store=Forgetful()
    )
    try:
        assert complaint(BUILT_IN[gate], case, example) == ""
    finally:
        case.workshop.close()


@pytest.mark.parametrize("gate", BUILT_IN)
def test_each_gate_ships_enough_cases(gate: str) -> None:
    cases = examples(gate)
    refused = [case for case in cases if case.must_refuse]
    assert len(refused) >= LEAST_REFUSED
    assert len(cases) - len(refused) >= LEAST_ALLOWED
    assert len({case.name for case in cases}) == len(cases)
